"""Named tokens: who may sign in to a server that asks for tokens.

A file holds salted hashes, never a token, so that a copy of it (a backup, a screen that is shared) lets nobody in. One
round of SHA-256 is enough: tokens are 256 random bits that we make ourselves, and no dictionary holds those. A slow
hash, which passwords need, would be paid for by every request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mammosynth.atomic import atomic_path
from monailabel_app.errors import OptionsError
from monailabel_app.identity import LOCAL, Identity, Role
from monailabel_app.ownership import give_to_owner_of

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[^\W_](?:[\w .-]{0,61}[\w.-])?")  # fits a person name (PS3.5 section 6.2), as which SEGs hold it
_TOKEN_BYTES = 32
_MAX_TOKEN_CHARACTERS = 512
_MIN_PLAIN_CHARACTERS = 16
_PLAIN_NAME = "owner"


@dataclass(frozen=True)
class NamedToken:
    """One line of a token file.

    Attributes:
        name: Who holds the token.
        role: A `Role`.
        salt: Random, in hexadecimal digits.
        sha256: Of salt and token, in hexadecimal digits.
        created: In ISO 8601.
    """

    name: str
    role: Role
    salt: str
    sha256: str
    created: str

    @classmethod
    def of(cls, identity: Identity, token: str) -> NamedToken:
        """What is kept of a token."""
        salt = secrets.token_hex(16)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(identity.name, identity.role, salt, _hash(salt, token), created)

    def fits(self, token: str) -> bool:
        """Whether it is this token; the time that it takes does not tell how much of it is right."""
        return hmac.compare_digest(_hash(self.salt, token), self.sha256)


class TokenBook:
    """Who holds which token, as the file is now: a token that is added or removed counts from the next request on.

    Args:
        file: A token file.
        more: Tokens of this run of the server, which are in no file.

    Raises:
        OptionsError: If the file cannot be used, or holds no token.
    """

    def __init__(self, file: Path, more: Sequence[NamedToken] = ()) -> None:
        self._file = file
        self._more = tuple(more)
        self._state = _state(file)  # before it is read: a change in between is seen by the next request
        self._tokens = read_tokens(file)
        if not self._tokens:
            raise OptionsError(f"--token-file {file.name} holds no token; make one: {_command('add NAME', file)}")

    def identify(self, token: str) -> Identity | None:
        """Who holds the token; None if nobody does."""
        if not 0 < len(token) <= _MAX_TOKEN_CHARACTERS:
            return None
        self._read_again()
        holders = [Identity(each.name, each.role) for each in (*self._more, *self._tokens) if each.fits(token)]
        return holders[0] if holders else None

    def _read_again(self) -> None:
        if (state := _state(self._file)) == self._state:
            return
        self._state = state
        try:
            self._tokens = read_tokens(self._file)
        except OptionsError as error:
            logger.error("%s; until then nobody can sign in", error)
            self._tokens = ()


def read_tokens(file: Path) -> tuple[NamedToken, ...]:
    """The tokens in a file.

    A file with one plain token, as earlier versions asked for, counts as that of an owner named "owner".

    Raises:
        OptionsError: If the file is missing or damaged, others may read it, or a plain token is too short to be secret.
    """
    try:
        text = file.read_text(encoding="utf-8").strip()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise OptionsError(
            f"--token-file {file.name}: cannot be read ({reason}); make one: {_command('add NAME', file)}"
        ) from None
    if mode & 0o077:
        raise OptionsError(f"--token-file {file.name} can be read by other users; run chmod 600 on it")
    if not text.startswith("{"):
        if len(text) < _MIN_PLAIN_CHARACTERS or not text.isascii() or any(c.isspace() for c in text):
            raise OptionsError(
                f"--token-file {file.name}: a plain token must be at least {_MIN_PLAIN_CHARACTERS} ASCII characters "
                f"without spaces; better, make named tokens in a new file: {_command('add NAME', file)}"
            )
        return (NamedToken.of(Identity(_PLAIN_NAME, Role.OWNER), text),)
    try:
        return tuple(_parse(entry) for entry in json.loads(text)["tokens"])
    except (ValueError, KeyError, TypeError):
        raise OptionsError(
            f"--token-file {file.name} is damaged; take it from a backup, or make a new file: "
            f"{_command('add NAME', file)}"
        ) from None


def is_plain(file: Path) -> bool:
    """Whether a token file holds one plain token, as earlier versions asked for."""
    return not file.read_text(encoding="utf-8").lstrip().startswith("{")


def add_token(file: Path, identity: Identity) -> str:
    """Make a token; the file is made where there is none, and a plain token in it is kept under the name "owner".

    Returns:
        The token, which is kept nowhere.

    Raises:
        OptionsError: If the name cannot be one or has a token already, or the file cannot be used.
        OutputError: If the file cannot be written.
    """
    if not _NAME.fullmatch(identity.name) or identity.name == LOCAL.name:
        raise OptionsError(
            f"{identity.name[:80]!r} cannot be a name: expected up to 63 letters, digits, spaces, '.', '_' and '-', "
            f"with a letter or digit first, and not {LOCAL.name!r}, which stands for a server without tokens"
        )
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    with _locked(file):
        tokens = read_tokens(file) if file.exists() else ()
        if identity.name in {each.name for each in tokens}:
            raise OptionsError(
                f"{identity.name} has a token in {file.name} already; choose another name, or first "
                f"{_command(f'remove {identity.name!r}', file)}"
            )
        _write(file, (*tokens, NamedToken.of(identity, token)))
    return token


def remove_token(file: Path, name: str) -> None:
    """Take a token out of a file.

    Raises:
        OptionsError: If there is none of that name, or the file cannot be used.
        OutputError: If the file cannot be written.
    """
    with _locked(file):
        tokens = read_tokens(file)
        kept = tuple(each for each in tokens if each.name != name)
        if len(kept) == len(tokens):
            known = ", ".join(each.name for each in tokens) or "none"
            raise OptionsError(f"{file.name} has no token named {name[:80]!r}; it has: {known}")
        _write(file, kept)


def _write(file: Path, tokens: Sequence[NamedToken]) -> None:
    with atomic_path(file) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        give_to_owner_of(file if file.exists() else file.parent, descriptor)  # else the server could not read it
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump({"tokens": [asdict(each) for each in tokens]}, stream, indent=1)


def _parse(entry: dict[str, str]) -> NamedToken:
    bytes.fromhex(entry["salt"] + entry["sha256"])
    return NamedToken(**{**entry, "role": Role(entry["role"])})


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One change at a time: of two, the later would be written over the earlier."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(file.parent, os.O_RDONLY)
    except OSError as error:
        raise OptionsError(
            f"--token-file {file.name}: its folder cannot be used ({error.strerror}); choose another"
        ) from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _hash(salt: str, token: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + token.encode("utf-8", "surrogateescape")).hexdigest()


def _state(file: Path) -> tuple[int, ...]:
    """What changes with the content of a file."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def _command(words: str, file: Path) -> str:
    return f"mammosynth token {words} --token-file {file}"
