"""A study in one file: written from any store, read into any other, and verified on both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mammosynth.atomic import write_json
from mammosynth.errors import DataError
from mammosynth.reading.store import StudyStore
from mammosynth.reading.verify import problems_of

_FORMAT = "mammosynth reader study"
_VERSION = 1
_TABLES = {"study": dict, "readings": list, "records": list}


def write_backup(store: StudyStore, name: str, file: Path) -> int:
    """Write everything of a study into a file.

    Returns:
        How many records it has.

    Raises:
        NotFoundError: If there is no such study.
        DataError: If it does not verify.
        OutputError: If the file cannot be written.
    """
    content = store.content(name)
    _refuse_problems(name, content)
    write_json(file, {"format": _FORMAT, "version": _VERSION, **content}, indent=1)
    return len(content["records"])


def read_backup(file: Path) -> dict[str, Any]:
    """The content of a study, as `StudyStore.content` gives it.

    Raises:
        DataError: If the file is no backup.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON in UTF-8"
        raise DataError(f"{file.name}: cannot be read ({reason}); give a file of `mammosynth study backup`") from None
    if not isinstance(found, dict) or (found.get("format"), found.get("version")) != (_FORMAT, _VERSION):
        raise DataError(f"{file.name}: is no backup of a study, version {_VERSION}; give one")
    content = {name: found.get(name) for name in _TABLES}
    if not all(isinstance(content[name], kind) for name, kind in _TABLES.items()):
        raise DataError(f"{file.name}: lacks {', '.join(_TABLES)} or one of them; take another copy")
    return {**content, "blinding": found.get("blinding")}  # those of before there were copies have none


def read_verified(file: Path) -> dict[str, Any]:
    """The content of a study, as `StudyStore.insert` takes it.

    Raises:
        DataError: If the file is no backup, or does not verify.
    """
    content = read_backup(file)
    _refuse_problems(file.name, content)
    return content


def restore_backup(store: StudyStore, file: Path) -> str:
    """Put the study of a file into a store.

    Returns:
        Its name.

    Raises:
        DataError: If the file is none, or does not verify.
        ConflictError: If the store has a study of that name.
    """
    content = read_verified(file)
    store.insert(content)
    return str(content["study"]["name"])


def _refuse_problems(name: str, content: dict[str, Any]) -> None:
    if found := problems_of(content):
        raise DataError("\n  ".join([f"{name} does not verify, so that it is left where it is:", *found[:20]]))
