"""Folders in the layout of CDD-CESM."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.breasts import half_ellipse
from tests.support.tables import write_table


def write_folder(folder: Path, rows: list[dict[str, str]], side: int = 64) -> Path:
    """A folder in CDD-CESM's layout with phantom breasts, `side` pixels wide; `dy`, `dx` move the recombined image."""
    for kind in ("images", "masks"):
        (folder / "512" / kind).mkdir(parents=True)
    table = []
    for number, row in enumerate(rows):
        complete = {
            "split": "train", "patient": f"P{number}", "side": "L", "view": "CC",
            "low_energy": f"P{number}_L_DM_CC.png", "recombined": f"P{number}_L_CM_CC.png",
            "scale": "1.0", "dy": "0", "dx": "0", **row,
        }  # fmt: skip
        table.append(complete)
        breast = half_ellipse(side, side)
        lesion = np.zeros((side, side), bool)
        lesion[28:36, 14:22] = True
        texture = np.random.default_rng(number).uniform(0, 30, (side, side))
        back = (-int(complete["dy"]), -int(complete["dx"]))
        recombined = np.roll(breast * (60 + texture / 2 + 120 * lesion), back, axis=(0, 1))
        for name, image, mask in (
            (complete["low_energy"], breast * (120 + texture + 40 * lesion), lesion),
            (complete["recombined"], recombined, np.roll(lesion, back, axis=(0, 1))),
        ):
            Image.fromarray(image.astype(np.uint8)).save(folder / "512" / "images" / name)
            Image.fromarray((255 * mask).astype(np.uint8)).save(folder / "512" / "masks" / name)
    write_table(folder / "pairs.csv", table)
    return folder
