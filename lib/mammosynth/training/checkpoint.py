"""The file that a run goes on from: one that was damaged, or is of another make, is told before torch reads it."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from mammosynth.atomic import atomic_path
from mammosynth.errors import OutputError

CHECKPOINT = Path("run", "checkpoint.pt")

_SIGNATURE = b"mammosynth checkpoint "
_VERSION = b"1"
_BEFORE_HASHES = b"PK"
"""How checkpoints of 0.1.0 begin: torch's archive and nothing in front of it."""


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state behind a line with the SHA-256 of what follows; either the old or the new file exists.

    Args:
        path: See `atomic_path`.
        state: Tensors, numbers, text, and lists and dictionaries of these.

    Raises:
        OutputError: If the file cannot be written.
    """
    content = io.BytesIO()  # torch tells a full disk as a RuntimeError, and a hash in front must be known first
    torch.save(state, content)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_first_line(content.getbuffer()))
        file.write(content.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The state that was written. Nothing in the file is run, and nothing is read from it unless its hash is right.

    Args:
        path: Of the file.

    Returns:
        With tensors on the CPU, whatever they were trained on.

    Raises:
        OutputError: If it cannot be read, is damaged, or was not written by this version or one before.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror or error})") from error
    archive = _checked(path, content)
    try:
        state = torch.load(archive, map_location="cpu", weights_only=True)
    except Exception as error:  # an unpickler can raise anything
        raise _refused(path, "holds no state of a training run") from error
    if not isinstance(state, dict):
        raise _refused(path, "holds no state of a training run")
    return state


def unfit(path: Path, error: Exception) -> OutputError:
    """The error of a checkpoint whose state does not fit the run that it says it is of."""
    reason = " ".join(str(error).split())[:200]
    return _refused(path, f"does not fit this version of the software ({type(error).__name__}: {reason})")


def _checked(path: Path, content: memoryview) -> io.BytesIO:
    """Torch's archive, if it is as it was written."""
    if bytes(content[: len(_BEFORE_HASHES)]) == _BEFORE_HASHES:
        return _checked_before_hashes(path, io.BytesIO(content))
    if bytes(content[: len(_SIGNATURE)]) != _SIGNATURE:
        raise _refused(path, "is no checkpoint, or its beginning is damaged")
    line, found, _ = bytes(content[:128]).partition(b"\n")
    version = line[len(_SIGNATURE) :].partition(b" ")[0]
    if found and version.isdigit() and version != _VERSION:
        raise _refused(path, f"is of format {version.decode()}, expected {_VERSION.decode()}: of another version")
    archive = content[len(line) + 1 :]
    if line + b"\n" != _first_line(archive):
        raise _refused(path, "is damaged: its SHA-256 is not the one that it was written with")
    return io.BytesIO(archive)


def _checked_before_hashes(path: Path, archive: io.BytesIO) -> io.BytesIO:
    """Without a hash of the whole, what the archive itself keeps of each part must do."""
    try:
        with zipfile.ZipFile(archive) as parts:
            damaged = parts.testzip()
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError) as error:
        raise _refused(path, "is damaged: cut short, or its table of contents is wrong") from error
    if damaged is not None:
        raise _refused(path, "is damaged: the checksum of a part is wrong")
    archive.seek(0)
    return archive


def _first_line(archive: memoryview) -> bytes:
    return _SIGNATURE + _VERSION + b" sha256 " + hashlib.sha256(archive).hexdigest().encode() + b"\n"


def _refused(path: Path, problem: str) -> OutputError:
    return OutputError(
        f"{path.resolve().parents[1].name}/{CHECKPOINT.as_posix()}: {problem}; put back a copy of it, start over with "
        "--restart, or choose another output folder"
    )
