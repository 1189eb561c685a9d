"""Jobs and reader studies of a server in one file: from any kind of database, into any other, verified on both ways."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from mammosynth.atomic import atomic_path
from mammosynth.database import Database
from mammosynth.errors import ConflictError, DataError
from mammosynth.reading.backup import read_verified, write_backup
from mammosynth.reading.store import StudyStore
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway.jobs import JobStore

_FORMAT, _VERSION = "mammosynth server", 1
_MANIFEST, _JOBS = "manifest.json", "jobs.json"
_MOST_BYTES = 4 * 1024**3  # unpacked; a million jobs are a tenth of it
Place = Path | str
"""A SQLite file, or a URL of a database."""


def back_up(jobs: Place, studies: Place, file: Path) -> tuple[int, int]:
    """Write everything that the databases hold; the server may run meanwhile.

    Args:
        jobs: Database of the jobs.
        studies: Store of the reader studies.
        file: Where to write; replaced if it is there.

    Returns:
        How many jobs and reader studies it holds.

    Raises:
        DatabaseError: If a database cannot be opened.
        DataError: If the file of the jobs is not there, that of the reader studies neither nor the jobs beside it, or
            a reader study does not verify.
        OutputError: If the file cannot be written.
    """
    if not is_there(jobs):
        raise DataError(
            f"{jobs}: there is no such file, which every server makes at its start; name the server's --data-dir, or "
            "its --jobs and --reader-studies if they are elsewhere"
        )
    if not is_there(studies) and not (isinstance(jobs, Path) and jobs.parent == Path(studies).parent):
        raise DataError(
            f"{studies}: there is no such file of reader studies, and the jobs are elsewhere; name the server's "
            "--reader-studies, too (the database of its --jobs, if no study was opened yet)"
        )
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        rows = _job_store(jobs, stack).content()
        (folder / _JOBS).write_text(json.dumps(rows), encoding="utf-8")
        store = stack.enter_context(closing(StudyStore(studies))) if is_there(studies) else None
        names = store.names() if store else []
        for number, name in enumerate(names):
            write_backup(store, name, folder / _study_file(number))
        digests = {path.name: _digest(path.read_bytes()) for path in sorted(folder.iterdir())}
        manifest = {"format": _FORMAT, "version": _VERSION, "sha256": digests}
        with atomic_path(file) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
            for name in digests:
                archive.write(folder / name, name)
    return len(rows), len(names)


def restore(file: Path, jobs: Place, studies: Place) -> tuple[int, int]:
    """Put what a backup holds into databases that have none of it; jobs that ran then are queued again.

    Nothing is stored unless all of it verifies.

    Returns:
        How many jobs and reader studies there were.

    Raises:
        DataError: If the file is no backup, or is damaged.
        ConflictError: If there are jobs already, or a reader study of the same name.
    """
    with _unpacked(file) as folder, ExitStack() as stack:
        rows = json.loads((folder / _JOBS).read_text(encoding="utf-8"))
        files = sorted(folder.glob("study-*.json"))
        studies_found = [read_verified(each) for each in files]
        names = [each["study"]["name"] for each in studies_found]
        job_store = _job_store(jobs, stack)
        store = stack.enter_context(closing(StudyStore(studies)))
        if taken := sorted(set(names) & set(store.names())):
            raise ConflictError(
                f"there is a reader study {taken[0]!r} already, which is never replaced; name a new store"
            )
        job_store.insert(rows)
        for each in studies_found:
            store.insert(each)
    return len(rows), len(names)


def _job_store(place: Place, stack: ExitStack) -> JobStore:
    return JobStore(stack.enter_context(closing(Database(place, LAYOUTS))), holder="backup")


def is_there(place: Place) -> bool:
    """Whether a file is there; a database server is asked when it is opened."""
    return not isinstance(place, Path) or place.is_file()


def _study_file(number: int) -> str:
    return f"study-{number:04d}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _unpacked(file: Path) -> Iterator[Path]:
    """A folder with the files of a backup, each as it was written."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            with zipfile.ZipFile(file) as archive:
                digests = _digests(file, archive)
                for name, digest in digests.items():
                    content = archive.read(name)
                    if _digest(content) != digest:
                        raise DataError(f"{file.name}: {name} is not as it was written; take another copy")
                    (Path(temporary) / name).write_bytes(content)
        except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, KeyError, EOFError) as error:
            reason = getattr(error, "strerror", None) or "it is damaged, or none"
            raise DataError(f"{file.name}: cannot be read ({reason}); give a file of `mammosynth backup`") from None
        yield Path(temporary)


def _digests(file: Path, archive: zipfile.ZipFile) -> dict[str, str]:
    """Hash by name, of a manifest that fits the files."""
    if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
        raise DataError(
            f"{file.name}: would be larger than {_MOST_BYTES // 1024**3} GiB unpacked; it is no backup of ours"
        )
    try:
        manifest: dict[str, Any] = json.loads(archive.read(_MANIFEST))
        known = manifest["format"] == _FORMAT and manifest["version"] == _VERSION
        digests = manifest["sha256"]
        expected = {_JOBS, *(_study_file(number) for number in range(len(digests) - 1))}
    except (ValueError, TypeError, RecursionError):
        known = False
    if not known or set(digests) != expected or set(archive.namelist()) != expected | {_MANIFEST}:
        raise DataError(
            f"{file.name}: is no backup of a server, version {_VERSION}; give a file of `mammosynth backup`"
        )
    return digests
