"""`write_data_set`: a folder of generated mammograms, resumable, the same bytes whoever makes which part of it when.

images/  labels/  records/    a file of each for every case; the record is written last and holds the others' hashes
cases.csv                     what `tasks.mask.data` reads
manifest.json                 specification, software, model, quotas, and every case
sheets/                       what it looks like
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mammosynth import __version__
from mammosynth.atomic import remove_unfinished, write_bytes, write_json
from mammosynth.bundle import Bundle
from mammosynth.errors import DataError, InvalidParameterError
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.manifest import MANIFEST, differences
from mammosynth.problems import Problems
from mammosynth.task import IMAGE, LABELS
from mammosynth.tasks.mask.bulk.case import PlannedCase, Shared, check_model, finished_case, make_case, plan
from mammosynth.tasks.mask.bulk.sheet import write_sheets
from mammosynth.tasks.mask.bulk.specification import BulkSpec, read_specification
from mammosynth.tasks.mask.data import DRAWN, DRAWN_COLUMNS, HASH_COLUMNS

FORMAT = "MammoSynth generated mammograms 1"
GENERATOR_VERSION = "2"
"""Counts up when the same specification gives other bytes."""
_LIBRARIES = ("numpy", "scipy", "torch", "pillow", "pydicom", "highdicom")


@dataclass(frozen=True)
class Written:
    """What became of a data set.

    Attributes:
        made: Cases that were made now.
        kept: Cases that were there, as their records say.
        refused: Why others cannot be made.
        sheets: Pages of the contact sheet.
    """

    made: int
    kept: int
    refused: Problems
    sheets: int


def write_data_set(
    output: Path,
    cases: int,
    specification: Path | None,
    *,
    bundle: Path,
    device: str = "cpu",
    seed: int | None = None,
    engine: Engine | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Written:
    """Make the cases that are not there yet, whole and unchanged, and list all of them.

    A case follows from specification, seed and number; how many are made at once, in which order and in how many
    attempts changes no byte. An interruption loses the cases that are being made.

    Args:
        output: Empty, absent, or written for the same specification.
        cases: How many.
        specification: YAML or JSON of `BulkSpec`; None: all defaults.
        bundle: Folder of the model.
        device: A torch device.
        seed: Instead of the specification's.
        engine: Where cases are made; None: in one process per core.
        progress: Called with the finished and all cases, and the name of the one just finished.

    Raises:
        InvalidParameterError: If there is nothing to make, or the specification cannot be used.
        DataError: If the folder holds something else, or a process died.
        OutputError: If a file cannot be written.
    """
    if cases < 1:
        raise InvalidParameterError(f"--cases is {cases}, expected 1 or more")
    chosen = engine or LocalEngine()
    asked = BulkSpec() if specification is None else read_specification(specification)
    shared = Shared(asked if seed is None else asked.changed(seed=seed), bundle, device)
    planned = plan(shared.specification, cases)
    about = _about(shared, check_model(shared), planned)
    _check_folder(output, about)
    remove_unfinished(output)
    records = {case.number: finished_case(output, case) for case in planned}
    _write_lists(output, about, planned, records)
    missing = [case for case in planned if records[case.number] is None]
    done, refused = len(planned) - len(missing), Problems()
    try:
        with closing(chosen.run(partial(make_case, output, shared), missing)) as finished:
            for case, made in finished:
                if isinstance(made, str):
                    refused.add(made)
                else:
                    records[case.number] = made
                done += 1
                if progress is not None:
                    progress(done, cases, case.name)
    finally:
        remove_unfinished(output)
        _write_lists(output, about, planned, records)
    whole = [record for case in planned if (record := records[case.number]) is not None]
    sheets = write_sheets(output, whole, engine=chosen)
    return Written(len(missing) - len(refused), cases - len(missing), refused, sheets)


def _about(shared: Shared, bundle: Bundle, planned: Sequence[PlannedCase]) -> dict[str, Any]:
    """What a manifest says of all cases together."""
    axes = shared.specification.axes()
    return {
        "format": FORMAT,
        "software": {
            "generator": GENERATOR_VERSION,
            "mammosynth": __version__,
            **{name: version(name).split("+")[0] for name in _LIBRARIES},
        },
        "model": {"bundle": bundle.name, "version": bundle.version, "weights_sha256": bundle.weights_sha256},
        "settings": {"cases": len(planned), "device": shared.device, **shared.specification.as_json()},
        "quotas": {
            axis: {value: Counter(getattr(case, axis) for case in planned)[value] for value in values}
            for axis, values in axes.items()
        },
    }


def _check_folder(folder: Path, about: Mapping[str, Any]) -> None:
    """Refuse to mix data sets."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(f"{folder.name}: holds files but no {MANIFEST}, so no data set; choose an empty folder")
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        if there["format"] != FORMAT:
            raise ValueError(f"format is {there['format']!r}, expected {FORMAT!r}")
        found = [each for part in ("settings", "model", "software") for each in differences(there[part], about[part])]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder.name}/{MANIFEST}: of no data set ({error}); choose an empty folder") from error
    if found:
        raise DataError(
            f"{folder.name}: holds a data set made in another way: {'; '.join(found)}. Ask for the same, or choose "
            "another folder"
        )


def _write_lists(
    folder: Path, about: Mapping[str, Any], planned: Sequence[PlannedCase], records: Mapping[int, dict[str, Any] | None]
) -> None:
    """The manifest of all cases, and the table of those that are there."""
    listed = [records[case.number] or {**asdict(case), "name": case.name} for case in planned]
    write_json(folder / MANIFEST, {**about, "cases": listed}, indent=1)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow((*DRAWN_COLUMNS, *HASH_COLUMNS, "lesions"))
    writer.writerows(_row(record) for case in planned if (record := records[case.number]) is not None)
    write_bytes(folder / DRAWN, table.getvalue().encode())


def _row(record: Mapping[str, Any]) -> tuple[str, ...]:
    image, labels = record["files"][IMAGE], record["files"][LABELS]
    told = [record[name] for name in ("view_position", "image_laterality", "density", "look")]
    files = image["name"], labels["name"]
    return (record["split"], record["patient"], *files, *told, image["sha256"], labels["sha256"], record["lesions"])
