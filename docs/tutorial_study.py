"""Makes what the tutorial of reader studies begins with: images of phantoms in two arms, and their protocol.

Run: `.venv/bin/python -m docs.tutorial_study FOLDER` from the repository's root; some minutes. What is there is kept.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from mammosynth.atomic import write_bytes
from mammosynth.cli import main as mammosynth
from mammosynth.reading.new_protocol import new_protocol
from mammosynth.reading.protocol import parse_protocol

CASES, SEED = 5, 1
VIEWS = ("CC", "MLO")
_SIDE = "R"
_ROW = "{name},{patient},R,{training},{feedback},{clinical},{synthesized},{bpe},{lesion}"
_HEAD = "case,patient,breasts,training,feedback,images:clinical,images:synthesized,truth:bpe,truth:lesion:R"


def write_study(folder: Path, readers: tuple[str, ...] = ("ann", "bob")) -> Path:
    """Write `images` and `tutorial.yaml` into a folder.

    Returns:
        The protocol: five patients, one for training, in two sessions.
    """
    phantoms = folder / "phantoms"
    _run("phantom", "--out", phantoms, "--cases", CASES, "--seed", SEED, "--sides", _SIDE, "--workers", 1)
    cases = sorted(phantoms.glob("case-*"))
    for number, case in enumerate(cases, start=1):
        for view in VIEWS:
            _copy(case / f"{_SIDE}-{view}-recombined.dcm", folder / "images" / f"{_name(number, view)}_clinical.dcm")
            _copy(case / f"{_SIDE}-{view}-low-energy.dcm", folder / "low-energy" / f"{_name(number, view)}.dcm")
    made = folder / "synthesized"
    _run("synthesize", "contrast", folder / "low-energy", "--output", made, "--no-mark", "--skip-existing")
    for image in made.glob("*.dcm"):
        view = "_".join(image.stem.split("_")[:3])
        _copy(image, folder / "images" / f"{view}_synthesized.dcm")
    write_bytes(folder / "cases.csv", "\n".join([_HEAD, *map(_row, range(1, CASES + 1), cases)]).encode())
    text = new_protocol("cem-s3", name="tutorial", readers=readers, cases=folder / "cases.csv")
    protocol = folder / "tutorial.yaml"
    write_bytes(protocol, parse_protocol(text.replace("name: tutorial\n", "name: tutorial\n")).canonical().encode())
    return protocol


def _row(number: int, case: Path) -> str:
    truth: dict[str, Any] = json.loads((case / "case.json").read_text())
    kinds = sorted({each["kind"] for each in truth["lesions"]})
    images = {arm: "|".join(f"{_name(number, view)}_{arm}" for view in VIEWS) for arm in ("clinical", "synthesized")}
    return _ROW.format(
        name=f"case-{number}",
        patient=f"P{number}",
        training="yes" if number == 1 else "no",
        feedback=(f"Lesion: {', '.join(kinds)}." if kinds else "No lesion.") if number == 1 else "",
        bpe=truth["described"]["parenchymal_enhancement"],
        lesion="yes" if kinds else "no",
        **images,
    )


def _name(number: int, view: str) -> str:
    return f"P{number}_{_SIDE}_{view}"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _run(*arguments: object) -> None:
    if mammosynth([str(each) for each in arguments]):
        raise SystemExit(f"mammosynth {arguments[0]} failed")


if __name__ == "__main__":
    print(f"Wrote {write_study(Path(sys.argv[1]))}")  # noqa: T201
