"""A study of phantom patients in two arms as its owner makes it: images in an archive, protocol from a template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pydicom

from docs.tutorial_study import case_row, write_cases
from mammosynth.cli import main as mammosynth
from tests.support.server import Server, find_series, made, stow

NAME = "pilot"
READERS = ("ann", "bob", "eve")
CASES = 5  # the first of them for training
_SIDES, _VIEW, _SEED = ("R", "L"), "CC", 1
_PIXEL_MM = 1.0  # 229 x 191 pixels
_RULE = "blinding: {rows: 512, columns: 416, edge: 6, fade: 6}\n"


def write_phantoms(folder: Path) -> None:
    """One CC of each breast, in folders case-*."""
    size: Sequence[object] = ("--cases", CASES, "--views", _VIEW, "--pixel-mm", _PIXEL_MM)
    _run("phantom", "--out", folder, "--seed", _SEED, *size, "--workers", 1)


def fill_archive(owner: Server, phantoms: Path) -> dict[str, dict[str, list[str]]]:
    """Store clinical images, and have the released model synthesize the other arm from their low energy.

    Returns:
        SOP Instance UIDs by case and arm, right breast first.
    """
    return {case.name: _two_arms(owner, case) for case in sorted(phantoms.glob("case-*"))}


def _two_arms(owner: Server, case: Path) -> dict[str, list[str]]:
    low_energy, clinical = (
        [case / f"{side}-{_VIEW}-{kind}.dcm" for side in _SIDES] for kind in ("low-energy", "recombined")
    )
    stow(owner, [*low_energy, *clinical]).raise_for_status()
    return {"clinical": [_uid(file) for file in clinical], "synthesized": [_synthesized(owner, f) for f in low_energy]}


def _uid(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)


def _synthesized(owner: Server, low_energy: Path) -> str:
    header = pydicom.dcmread(low_energy, stop_before_pixels=True)
    series = find_series(owner, header.PatientID)[header.SeriesDescription.removeprefix("SYNTHETIC PHANTOM ")]
    status = owner.synthesize(*series, parameters={"burned_in_mark": False})
    return str(made(status["result"])["sop_instance_uid"])


def write_protocol(folder: Path, phantoms: Path, images: dict[str, dict[str, list[str]]]) -> Path:
    """`mammosynth study new` with a table of cases; a rule for small copies is added by hand, as an editor would."""
    rows = [
        case_row(phantoms / case, case, _patient(phantoms / case), of_case, is_training=number == 0)
        for number, (case, of_case) in enumerate(images.items())
    ]
    write_cases(folder / "cases.csv", rows)
    protocol = folder / f"{NAME}.yaml"
    options: Sequence[object] = ("--name", NAME, "--readers", ",".join(READERS), "--cases", folder / "cases.csv")
    _run("study", "new", "--template", "cem-s3", *options, "--output", protocol)
    protocol.write_text(protocol.read_text() + _RULE)
    return protocol


def _patient(case: Path) -> str:
    return str(pydicom.dcmread(next(case.glob("*-low-energy.dcm")), stop_before_pixels=True).PatientID)


def _run(*arguments: object) -> None:
    assert mammosynth([str(each) for each in arguments]) == 0
