"""Atomic writes: a file is either whole or not there, also when the process is killed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mammosynth.errors import OutputError


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
    temporary = path.with_name(f".{uuid.uuid4().hex}-{path.name[-32:]}")  # writers choose the format by the ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path.name}: cannot be written ({error.strerror or error}); check the folder, its rights and free space."
        ) from error
    finally:
        with suppress(OSError):  # the reason above is the one to tell
            temporary.unlink(missing_ok=True)
