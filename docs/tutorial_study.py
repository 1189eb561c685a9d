"""Makes what the tutorial of reader studies begins with: images of phantoms in two arms, and their protocol.

Run: `.venv/bin/python -m docs.tutorial_study FOLDER` from the repository's root; some minutes. What is there is kept.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mammosynth.cli import main as mammosynth
from mammosynth.reading.new_protocol import new_protocol

CASES, SEED = 5, 1
_SIDES, _VIEW = ("R", "L"), "CC"
_ARMS = ("clinical", "synthesized")


def write_study(folder: Path, readers: tuple[str, ...] = ("ann", "bob")) -> Path:
    """Write `images` and `tutorial.yaml` into a folder.

    Returns:
        The protocol: five patients, one for training, in two sessions.
    """
    phantoms = folder / "phantoms"
    _run("phantom", "--out", phantoms, "--cases", CASES, "--seed", SEED, "--views", _VIEW, "--workers", 1)
    cases = sorted(phantoms.glob("case-*"))
    for number, case in enumerate(cases, start=1):
        for side in _SIDES:
            name = _name(number, side)
            _copy(case / f"{side}-{_VIEW}-recombined.dcm", folder / "images" / f"{name}_clinical.dcm")
            _copy(case / f"{side}-{_VIEW}-low-energy.dcm", folder / "low-energy" / f"{name}.dcm")
    made = folder / "synthesized"
    as_read = ("--no-mark", "--rendering", "sampled")
    _run("synthesize", "contrast", folder / "low-energy", "--output", made, "--skip-existing", *as_read)
    for image in made.glob("*.dcm"):
        _copy(image, folder / "images" / f"{image.stem.removesuffix('_contrast')}_synthesized.dcm")
    write_cases(
        folder / "cases.csv",
        [
            case_row(case, f"case-{number}", f"P{number}", _images(number), is_training=number == 1)
            for number, case in enumerate(cases, start=1)
        ],
    )
    protocol = folder / "tutorial.yaml"
    protocol.write_text(new_protocol("cem-s3", name="tutorial", readers=readers, cases=folder / "cases.csv"))
    return protocol


def write_cases(file: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write the table that `mammosynth study new --cases` takes."""
    with file.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def case_row(
    folder: Path, name: str, patient: str, images: Mapping[str, Sequence[str]], *, is_training: bool
) -> dict[str, str]:
    """A phantom patient as a row of that table.

    Args:
        folder: Of the phantom, with its truth in `case.json`.
        name: Of the case.
        patient: Whose it is.
        images: By arm, of both breasts.
        is_training: Whether readers are told the truth.
    """
    truth = json.loads((folder / "case.json").read_text())
    kinds = " and ".join(sorted({each["kind"] for each in truth["lesions"]}))
    sides = {each["side"] for each in truth["lesions"]}
    feedback = f"In {' and '.join(sorted(sides))}: {kinds}." if kinds else "No lesion."
    return {
        "case": name,
        "patient": patient,
        "breasts": "+".join(_SIDES),
        "training": "yes" if is_training else "",
        "feedback": feedback if is_training else "",
        **{f"images:{arm}": "|".join(of_arm) for arm, of_arm in images.items()},
        "truth:bpe": truth["described"]["parenchymal_enhancement"],
        **{f"truth:lesion:{side}": "yes" if side in sides else "no" for side in _SIDES},
    }


def _images(number: int) -> dict[str, list[str]]:
    return {arm: [f"{_name(number, side)}_{arm}" for side in _SIDES] for arm in _ARMS}


def _name(number: int, side: str) -> str:
    return f"P{number}_{side}_{_VIEW}"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _run(*arguments: object) -> None:
    if mammosynth([str(each) for each in arguments]):
        raise SystemExit(f"mammosynth {arguments[0]} failed")


if __name__ == "__main__":
    print(f"Wrote {write_study(Path(sys.argv[1]))}")  # noqa: T201
