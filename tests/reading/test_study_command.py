"""The commands of docs/how-to/reader-study.md, as they stand there; and what they say when they cannot."""

from __future__ import annotations

import json
import re
import shlex
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from mammosynth.cli import main
from mammosynth.files import write_image
from mammosynth.reading.store import StudyStore
from tests.support.blinded import blinded_protocol, read
from tests.support.studies import case, protocol

DOCS = Path(__file__).parents[2] / "docs" / "how-to" / "reader-study.md"


def study(*arguments: str) -> int:
    return main(["study", *arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```\n(mammosynth study new.*?)```", DOCS.read_text(), re.DOTALL)
    for line in block[1].splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    printed = capsys.readouterr().out
    assert "3 readers, 246 readings" in printed
    assert "tutorial: open, SIMULATED READERS, 246 of 246 readings" in printed
    assert "246 readings are as they were" in printed
    results = json.loads((folder / "results" / "results.json").read_text())
    assert not [name for name, result in results["endpoints"].items() if "problem" in result]
    skill = {"clinical": 0.94, "synthesized": 0.86}
    for arm, found in results["endpoints"]["auc"]["arms"].items():
        assert found["value"] == pytest.approx(skill[arm], abs=0.1)  # 37 and 26 breasts: standard error 0.04
    page = (folder / "results" / "report.html").read_text()
    assert "Simulated readers: no person has read these cases" in page
    assert results["protocol_sha256"] in page
    assert not re.search(r"(?:src|href)=\"http", page), "the page is self-contained"
    check_second_run(folder)
    check_exports(folder, results)


def check_second_run(folder: Path) -> None:
    """The same from the backup in another store, byte for byte."""
    assert study("analyse", "tutorial", "--store", "elsewhere.sqlite", "--output", "again") == 0
    for name in ("report.html", "report.pdf", "results.json", "answers.csv", "records.csv", "lesion.imrmc"):
        first, second = (sha256((folder / place / name).read_bytes()).digest() for place in ("results", "again"))
        assert first == second, name


def check_exports(folder: Path, results: dict) -> None:
    answers = pd.read_csv(folder / "tables" / "answers.csv")
    assert len(answers) == 3 * 2 * (40 + 63)
    assert set(answers["arm"]) == {"clinical", "synthesized"}
    printed = json.loads((folder / "mrmc.json").read_text())
    (difference,) = printed["differences"]
    endpoint = results["endpoints"]["auc"]["differences"]["synthesized"]
    sign = 1 if difference["first"] == "synthesized" else -1
    assert sign * difference["value"] == pytest.approx(endpoint["value"], abs=1e-12)


def test_a_protocol_is_never_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study("new", "--template", "realism") == 0
    assert study("new", "--template", "realism") == 1
    assert "realism.yaml is there already, and is never replaced" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place",
    [
        "postgresql:/ann:secret@host/name",
        "postgresql//ann:secret@host/name",
        "ann:secret@host/name",
        "host=127.0.0.1 password=secret",
    ],
)
def test_a_mistyped_address_is_no_file_and_its_password_is_not_shown(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study("new", "--template", "bpe-agreement")
    for arguments in (("open", "bpe-agreement.yaml"), ("status", "bpe-agreement")):
        assert study(*arguments, "--store", place) == 1
        said = "".join(capsys.readouterr())
        assert "is no address of a database, expected a file, or postgresql://" in said
        assert "secret" not in said
    assert [file.name for file in folder.iterdir()] == ["bpe-agreement.yaml"]


def test_an_open_study_shows_no_answers_and_a_closed_one_takes_none(capsys: pytest.CaptureFixture[str]) -> None:
    study("new", "--template", "bpe-agreement")
    assert study("open", "bpe-agreement.yaml", "--store", "s.sqlite") == 0
    assert study("analyse", "bpe-agreement", "--store", "s.sqlite") == 1
    assert "bpe-agreement is open, and its answers stay unseen" in capsys.readouterr().err
    assert study("close", "bpe-agreement", "--store", "s.sqlite") == 1
    assert study("close", "bpe-agreement", "--store", "s.sqlite", "--reason", "no money") == 0
    assert study("simulate", "bpe-agreement", "--store", "s.sqlite", "--skill", "clinical=0.9") == 1
    assert "expected one AUC for each of clinical, synthesized" in capsys.readouterr().err


def test_a_store_that_was_tampered_with_is_told_and_the_command_fails(capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    study("new", "--template", "realism")
    study("open", "realism.yaml", "--store", "s.sqlite")
    with sqlite3.connect("s.sqlite") as connection:
        connection.execute("UPDATE readings SET arm = 'real' WHERE position = 3 AND session = 1")
    connection.close()
    assert study("verify", "realism", "--store", "s.sqlite") == 1
    assert "the readings are not those that were drawn at the opening" in capsys.readouterr().err
    assert study("backup", "realism", "--store", "s.sqlite") == 1
    assert "realism does not verify" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "x"], "there is no such file; open a study first"),
        (["verify"], "name a study of the store, or a --backup"),
        (["check"], "no protocol was named"),
        (["check", "none.yaml"], "none.yaml: cannot be read"),
        (["restore", "none.json", "--store", "s.sqlite"], "none.json: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(*arguments) == 1
    assert words in capsys.readouterr().err


def test_a_study_of_one_is_told_without_plurals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = protocol(
        readers=["ann"],
        design={"sessions": 1, "seed": 1},
        cases={"case-1": case("P1", ("clinical",), truth={"lesion": "yes"})},
    )
    (folder / "one.yaml").write_text(one.canonical())
    assert study("check", "one.yaml") == 0
    assert study("open", "one.yaml", "--store", "s.sqlite") == 0
    assert study("status", "small", "--store", "s.sqlite") == 0
    printed = capsys.readouterr().out
    assert "1 case of 1 patient, 0 for training\n1 reader, 1 reading\nat most 1 reading in a session" in printed
    assert "small: open, 0 of 1 reading\n" in printed
    assert study("close", "small", "--store", "s.sqlite") == 1
    assert "1 reading of small is unfinished; let readers finish" in capsys.readouterr().err


def test_the_json_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert study("check", "--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Protocol"


@pytest.mark.slow
def test_a_study_is_blinded_from_a_folder_and_attacked(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # One secret in twenty makes names and noise that tell arms apart by chance.
    monkeypatch.setattr("mammosynth.reading.blinding.copies.secrets.token_hex", lambda count: "5" * 2 * count)
    store = StudyStore(folder / "studies.sqlite")
    store.open_study(
        blinded_protocol(cases={f"case-{n}": case(f"P{n}", view_position="CC") for n in range(20)}), "owner"
    )
    store.close()
    for name in (f"P{number} {arm}" for number in range(20) for arm in ("clinical", "synthesized")):
        source = read(name)
        write_image(folder / "images" / f"{name}.png", source.pixels, source, None)
    place = ("--store", "studies.sqlite", "--copies", "copies")
    assert study("blind", "small", "--images", "images", *place) == 0
    assert study("attack", "small", "--json", "attack.json", *place) == 0
    assert "40 blinded copies of 256 x 208 pixels" in capsys.readouterr().out
    (found,) = json.loads((folder / "attack.json").read_text())["attacks"]
    assert found["leaks"] == []
    assert found["copies"] == [20, 20]


def test_a_study_without_its_images_says_which_are_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = StudyStore(folder / "studies.sqlite")
    store.open_study(blinded_protocol(), "owner")
    store.close()
    (folder / "images").mkdir()
    assert study("blind", "small", "--images", "images", "--store", "studies.sqlite") != 0
    assert "P0 clinical: 0 files of images have that name" in capsys.readouterr().err
