"""The one way to write a file: it is either whole or not there, also when the process is killed or the disk is full."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeGuard

from mammosynth.errors import OutputError

UNFINISHED = ".unfinished-"
"""How the name of a file begins that is being written; it is hidden. Only a killed process leaves one behind."""

_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def is_of_the_disk(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether it says that the disk cannot be written on, by anybody at the moment."""
    return isinstance(error, OSError) and error.errno in _OF_THE_DISK


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to, in the folder of `path` and with its endings; it becomes `path` when the block ends well.

    Args:
        path: Where the file shall be. Missing folders are made; an existing file is replaced.

    Yields:
        The temporary path.

    Raises:
        OutputError: If the file cannot be written there.
    """
    temporary = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{path.name[-32:]}")  # writers look at the ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(
            f"{path.name}: cannot be written ({_reason(error)}); check the folder, its rights and free space."
        ) from error
    finally:
        with suppress(OSError):  # the reason above is the one to tell
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file; either the old or the new one exists at any moment.

    Args:
        path: See `atomic_path`.
        content: Of the file.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: object, *, indent: int = 4) -> None:
    """Write a value as JSON; either the old or the new file exists at any moment.

    Args:
        path: See `atomic_path`.
        value: What JSON can hold, numpy's scalars included.
        indent: Spaces per level.

    Raises:
        OutputError: If the file cannot be written.
    """
    text = json.dumps(value, indent=indent, default=lambda number: number.item())
    write_bytes(path, f"{text}\n".encode())


def _reason(error: BaseException) -> str:
    """In a few words: pydicom raises another error of the same kind, whose text is a traceback."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.strerror:
            return found.strerror
        found = found.__cause__ or found.__context__
    return str(error)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing in a folder or in one below it; nobody reads it."""
    for left in [*folder.glob(f"{UNFINISHED}*"), *folder.glob(f"*/{UNFINISHED}*")]:
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Only POSIX systems can and need to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
