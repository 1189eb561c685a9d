"""Draws the pictures of `mask`: three label maps and the mammograms made of them, and a contact sheet of a data set.

Run: `.venv/bin/python -m docs.draw_mask`.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.cli import main
from mammosynth.tasks.mask.classes import COLOURS

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures"
MAPS = ("labels", "--draw", "3", "--seed", "1", "--density", "c", "--lesions", "1")
SYNTHESIS = ("synthesize", "mask")
ROWS, WIDTH = 333, 260


def draw_pairs(work: Path) -> None:
    """Label maps in their colours, and below them what the released model makes of them."""
    maps, images = work / "maps", work / "images"
    _run(*MAPS, "--output", str(maps))
    _run(*SYNTHESIS, str(maps), "--output", str(images), "--seed", "1")
    columns = []
    for path in sorted(maps.iterdir()):
        shown = Image.fromarray(COLOURS[np.asarray(Image.open(path))])
        made = np.asarray(Image.open(images / f"{path.stem}_mask.png")) >> 8
        parts = (shown.resize((WIDTH, ROWS)), Image.fromarray(made.astype(np.uint8)).resize((WIDTH, ROWS)))
        columns.append(np.concatenate([np.asarray(part.convert("RGB")) for part in parts]))
    Image.fromarray(np.concatenate(columns, axis=1)).save(PICTURES / "mask.png", optimize=True)


def draw_sheet(work: Path) -> None:
    """Twelve cases of the specification that the tutorial shows."""
    spec = work / "balanced.yaml"
    (written,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "tutorials" / "data-set.md").read_text("utf-8"), re.DOTALL)
    spec.write_text(written, encoding="utf-8")
    _run(*SYNTHESIS, "--cases", "12", "--spec", str(spec), "--output", str(work / "data"))
    (sheet,) = (work / "data" / "sheets").iterdir()
    shutil.copyfile(sheet, PICTURES / "mask-data-set.jpg")


def _run(*arguments: str) -> None:
    if main(arguments):
        raise SystemExit(f"mammosynth {' '.join(arguments)} failed")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        draw_pairs(Path(folder))
        draw_sheet(Path(folder))
