"""Named tokens: made by the command, kept as hashes, read back carefully."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from mammosynth.cli import main
from monailabel_app import tokens
from monailabel_app.errors import OptionsError
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token, is_plain, read_tokens, remove_token

ANNA = Identity("Anna Müller", Role.USER)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "folder" / "tokens.json"


def test_a_token_is_known_by_whose_it_is_and_never_written(file):
    token = add_token(file, ANNA)
    reader = add_token(file, Identity("R1", Role.READER))
    book = TokenBook(file)
    assert (book.identify(token), book.identify(reader)) == (ANNA, Identity("R1", Role.READER))
    assert [book.identify(each) for each in ("", token[:-1], f"{token} ", token * 20)] == [None] * 4
    assert token not in file.read_text()
    assert len({each.salt for each in read_tokens(file)}) == 2


def test_a_token_that_is_removed_while_a_server_starts_lets_nobody_in(file, monkeypatch):
    def removed_since(place):
        found = read_tokens(place)
        if is_to_be_removed:
            is_to_be_removed.pop()
            remove_token(place, ANNA.name)
        return found

    is_to_be_removed = [True]
    token, kept = add_token(file, ANNA), add_token(file, Identity("R1", Role.READER))
    monkeypatch.setattr(tokens, "read_tokens", removed_since)
    book = TokenBook(file)
    assert (book.identify(token), book.identify(kept)) == (None, Identity("R1", Role.READER))


def test_only_the_owner_of_the_file_can_read_it_whatever_the_umask(file):
    before = os.umask(0)
    try:
        add_token(file, ANNA)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_adds_is_read_by_the_account_of_the_server(file):
    file.parent.mkdir()
    os.chown(file.parent, 12345, 12345)
    add_token(file, ANNA)
    add_token(file, Identity("R1", Role.READER))
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 12345)


def test_tokens_that_are_added_at_once_are_all_kept(file):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_token(file, Identity(f"P{number}", Role.USER)), range(16)))
    assert {each.name for each in read_tokens(file)} == {f"P{number}" for number in range(16)}


def test_a_name_has_one_token(file):
    add_token(file, ANNA)
    with pytest.raises(OptionsError, match="Anna Müller has a token in tokens.json already; choose another name"):
        add_token(file, ANNA)
    remove_token(file, "Anna Müller")
    assert read_tokens(file) == ()
    with pytest.raises(OptionsError, match="'Anna Müller'; it has: none"):
        remove_token(file, "Anna Müller")
    with pytest.raises(OptionsError, match="holds no token; make one: mammosynth token add NAME"):
        TokenBook(file)


@pytest.mark.parametrize("name", ["", " a", "a ", "a^b", "a=b", "a\\b", "../a", "a\nb", "_a", "a" * 64, "local"])
def test_what_cannot_be_a_name_in_a_segmentation_is_refused(file, name):
    with pytest.raises(OptionsError, match="cannot be a name: expected up to 63 letters"):
        add_token(file, Identity(name, Role.USER))
    assert not file.exists()


def test_a_plain_token_of_earlier_versions_is_an_owners_and_is_kept_when_named_ones_are_made(tmp_path):
    file = tmp_path / "token"
    file.write_text("0123456789abcdef\n")
    file.chmod(0o600)
    owner = Identity("owner", Role.OWNER)
    assert is_plain(file)
    assert TokenBook(file).identify("0123456789abcdef") == owner
    token = add_token(file, ANNA)
    book = TokenBook(file)
    assert (book.identify("0123456789abcdef"), book.identify(token)) == (owner, ANNA)
    assert not is_plain(file)
    assert "0123456789abcdef" not in file.read_text()


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        ("0123456789abcdef", 0o644, "can be read by other users; run chmod 600"),
        ("short", 0o600, "at least 16"),
        ("0123456789 abcdef", 0o600, "without spaces"),
        ("{", 0o600, "is damaged"),
        ('{"tokens": [{"name": "a"}]}', 0o600, "is damaged"),
        ('{"tokens": [{"name": "a", "role": "god", "salt": "", "sha256": "", "created": ""}]}', 0o600, "is damaged"),
        ('{"tokens": [{"name": "a", "role": "user", "salt": "x", "sha256": "", "created": ""}]}', 0o600, "is damaged"),
        ('{"tokens": 3}', 0o600, "is damaged"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_and_left_as_it_is(tmp_path, content, mode, words):
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(mode)
    for use in (TokenBook, read_tokens, lambda file: add_token(file, ANNA), lambda file: remove_token(file, "a")):
        with pytest.raises(OptionsError, match=words):
            use(file)
    assert file.read_text() == content


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(
        OptionsError, match="cannot be read .*; make one: mammosynth token add NAME --token-file .*none"
    ):
        TokenBook(tmp_path / "none")


def test_the_command_prints_the_token_once_and_lists_and_removes(file, capsys):
    place = ["--token-file", str(file)]
    assert main(["token", "add", "anna", "--role", "owner", *place]) == 0
    printed = capsys.readouterr()
    token = printed.out.strip()
    assert TokenBook(file).identify(token) == Identity("anna", Role.OWNER)
    assert "shown only now" in printed.err
    assert token not in printed.err
    assert main(["token", "list", *place]) == 0
    listed = capsys.readouterr().out
    assert listed.split()[0::2] == ["owner", "anna"]
    assert token not in listed
    assert main(["token", "remove", "anna", *place]) == 0
    assert json.loads(file.read_text()) == {"tokens": []}
    assert main(["token", "remove", "anna", *place]) == 1
    assert capsys.readouterr().err.endswith("error: tokens.json has no token named 'anna'; it has: none\n")


def test_the_command_refuses_a_role_that_it_does_not_know(file, capsys):
    with pytest.raises(SystemExit):
        main(["token", "add", "anna", "--role", "god", "--token-file", str(file)])
    assert "choose from" in capsys.readouterr().err
    assert not file.exists()
