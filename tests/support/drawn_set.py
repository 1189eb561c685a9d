"""A folder of drawn breasts with painted images, as the task `mask` reads and writes it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.tasks.mask.data import DRAWN, DRAWN_COLUMNS
from tests.support.drawn_breasts import mask_case


def write_drawn_set(folder: Path, **splits: int) -> Path:
    """So many cases in every split; each is another patient's."""
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    rows, number = [], 0
    for split, count in splits.items():
        for _ in range(count):
            case = mask_case(number)
            side, view = case.image.image_laterality, case.image.view_position
            name = f"P{number}_{side}_DM_{view}.png"
            Image.fromarray(np.rint(case.image.pixels * 255).astype(np.uint8)).save(folder / "images" / name)
            Image.fromarray(case.labels.labels).save(folder / "labels" / name)
            files = f"images/{name}", f"labels/{name}"
            rows.append([split, case.patient_id, *files, view, side, case.density, case.look])
            number += 1
    with (folder / DRAWN).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([DRAWN_COLUMNS, *rows])
    return folder
