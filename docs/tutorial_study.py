"""Makes what the tutorial of reader studies begins with: images of phantoms in two arms, and their protocol.

Run: `.venv/bin/python -m docs.tutorial_study FOLDER` from the repository's root; some minutes. What is there is kept.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
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
    _run("synthesize", "contrast", folder / "low-energy", "--output", made, "--no-mark", "--skip-existing")
    for image in made.glob("*.dcm"):
        _copy(image, folder / "images" / f"{image.stem.removesuffix('_contrast')}_synthesized.dcm")
    rows = [_row(number, case) for number, case in enumerate(cases, start=1)]
    with (folder / "cases.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    protocol = folder / "tutorial.yaml"
    protocol.write_text(new_protocol("cem-s3", name="tutorial", readers=readers, cases=folder / "cases.csv"))
    return protocol


def _row(number: int, case: Path) -> dict[str, str]:
    truth = json.loads((case / "case.json").read_text())
    kinds = " and ".join(sorted({each["kind"] for each in truth["lesions"]}))
    sides = {each["side"] for each in truth["lesions"]}
    training = {
        "training": "yes",
        "feedback": f"In {' and '.join(sorted(sides))}: {kinds}." if kinds else "No lesion.",
    }
    return {
        "case": f"case-{number}",
        "patient": f"P{number}",
        "breasts": "+".join(_SIDES),
        **(training if number == 1 else dict.fromkeys(training, "")),
        **{f"images:{arm}": "|".join(f"{_name(number, side)}_{arm}" for side in _SIDES) for arm in _ARMS},
        "truth:bpe": truth["described"]["parenchymal_enhancement"],
        **{f"truth:lesion:{side}": "yes" if side in sides else "no" for side in _SIDES},
    }


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
