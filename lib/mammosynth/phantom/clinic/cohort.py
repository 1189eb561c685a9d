"""Many phantoms: written case by case in parallel, resumable, reproducible to the bit on CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from mammosynth.errors import DataError
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.manifest import (
    MANIFEST,
    CohortSettings,
    case_folder,
    differences,
    finished_case,
    read_manifest,
    software,
    write_manifest,
)
from mammosynth.phantom.clinic.write import write_case


def write_cohort(
    folder: Path,
    settings: CohortSettings,
    seeds: Sequence[int],
    *,
    engine: Engine | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Write the cases that are not there yet, each in a folder of its own, and the manifest of all.

    The bits of a case depend on settings and seed, not on the number of workers, nor on where they are. An interruption
    loses the cases that are being made; the same call goes on with them.

    Args:
        folder: Empty, absent, or written with the same settings and software.
        settings: What all cases have in common.
        seeds: Of the wanted cases. Cases of other seeds may be there and stay.
        engine: Where cases are made; None: in one process per core.
        progress: Called with the finished and all wanted cases, and the name of the one just finished.

    Returns:
        The manifest.

    Raises:
        DataError: If the folder holds something else, or a worker died.
        OutputError: If a file cannot be written.
    """
    _check_folder(folder, settings)
    write_manifest(folder, settings)
    missing = [seed for seed in seeds if finished_case(folder, seed) is None]
    done = len(seeds) - len(missing)
    try:
        make = partial(_write_case_of, folder, settings)
        with closing((engine or LocalEngine()).run(make, missing)) as finished:
            for seed, _ in finished:
                done += 1
                if progress is not None:
                    progress(done, len(seeds), case_folder(folder, seed).name)
    finally:
        manifest = write_manifest(folder, settings)
    return manifest


def reproduce_cohort(
    manifest_path: Path,
    folder: Path,
    *,
    engine: Engine | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[str]:
    """Generate every case of a manifest again, elsewhere, and compare the hashes of all pixels.

    Args:
        manifest_path: Of the cohort to make again.
        folder: Where the new files go; see `write_cohort`.
        engine: Where cases are made; None: in one process per core.
        progress: See `write_cohort`.

    Returns:
        What differs, in sentences; empty if every pixel is equal. Other software is named first if there are others.
    """
    settings, expected = read_manifest(manifest_path)
    seeds = [case["seed"] for case in expected["cases"]]
    write_cohort(folder, settings, seeds, engine=engine, progress=progress)
    found = []
    for case in expected["cases"]:
        again = finished_case(folder, case["seed"]) or {"files": []}
        hashes = {file["name"]: file["sha256"] for file in again["files"]}
        name = case_folder(folder, case["seed"]).name
        found += [
            f"{name}/{file['name']}: other pixels"
            for file in case["files"]
            if hashes.get(file["name"]) != file["sha256"]
        ]
    return [*differences(expected["software"], software()), *found] if found else []


def _write_case_of(folder: Path, settings: CohortSettings, seed: int) -> None:
    if finished_case(folder, seed) is not None:
        return  # the worker that was given it before died after its end
    write_case(case_folder(folder, seed), settings.case(seed), maps=settings.maps, device=settings.device)


def _check_folder(folder: Path, settings: CohortSettings) -> None:
    """Refuse to mix cohorts."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder.name}: holds files but no {MANIFEST}, so no phantoms; choose an empty folder")
    there, manifest = read_manifest(folder)
    found = [
        *differences(there.as_json(), settings.as_json()),
        *(differences(manifest["software"], software()) if manifest["cases"] else ()),
    ]
    if found:
        raise DataError(
            f"{folder.name}: holds phantoms made in another way: {'; '.join(found)}. Ask for the same, or choose "
            "another folder"
        )
