"""A folder of small data sets, as `experiments.train_all` reads it: painted breasts in the layouts of the real sets."""

from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.cases import ViewCase
from tests.support.tables import write_table
from tests.support.view_pairs import view_case

SPLITS = ("train", "train", "train", "val")
"""Of the women of each set."""


def write_data_sets(folder: Path) -> Path:
    """`cdd-cesm` and `cbis-ddsm`, each with a breast of some women in both views."""
    _write_digital(folder / "cdd-cesm")
    _write_film(folder / "cbis-ddsm")
    return folder


def _write_digital(folder: Path) -> None:
    pairs, breasts, full = [], [], []
    for number, split in enumerate(SPLITS):
        case = view_case(number, Look.DIGITAL)
        known = {"split": split, "patient": f"P{number}", "side": "L", "density": "B"}
        names = {view: f"P{number}_L_DM_{view}.png" for view in ("CC", "MLO")}
        for view, pixels, lesion in _views(case):
            contrast = names[view].replace("DM", "CM")
            for name, image in ((names[view], pixels), (contrast, 0.5 * pixels + 0.4 * lesion * (pixels > 0))):
                _save(folder / "512" / "images" / name, image)
                _save(folder / "512" / "masks" / name, lesion)
            place = {"scale": "1.0", "dy": "0", "dx": "0"}
            pairs.append({**known, "view": view, "low_energy": names[view], "recombined": contrast, **place})
        breasts.append({**known, "cc_low_energy": names["CC"], "mlo_low_energy": names["MLO"]})
        _save(folder / "full" / "cc_low_energy" / names["CC"], case.views.cc.pixels)
        full.append({**known, "file": names["CC"], "category": "malignant", "mask": ""})
    write_table(folder / "pairs.csv", pairs)
    write_table(folder / "breasts_cc_mlo.csv", breasts)
    write_table(folder / "full" / "cc_index.csv", full)


def _write_film(folder: Path) -> None:
    images, breasts = [], []
    for number, split in enumerate(SPLITS):
        known = {"split": split, "patient": f"P_{number}", "side": "L", "density": "2"}
        names = {view: f"{number}_L_{view}.png" for view in ("CC", "MLO")}
        for view, pixels, lesion in _views(view_case(100 + number, Look.FILM)):
            _save(folder / "images" / names[view], pixels)
            _save(folder / "masks" / names[view], lesion)
            drawn = {"mask_kind": "drawn", "aspect": "measured", "pathology": ("BENIGN", "MALIGNANT")[number % 2]}
            images.append({**known, "file": names[view], "view": view, **drawn})
        breasts.append({**known, "cc": names["CC"], "mlo": names["MLO"], "aspects": "measured+measured"})
    write_table(folder / "index.csv", images)
    write_table(folder / "breasts_cc_mlo.csv", breasts)


def _views(case: ViewCase) -> list[tuple[str, np.ndarray, np.ndarray]]:
    views = case.views
    assert views.cc_lesion is not None
    assert views.mlo_lesion is not None
    return [("CC", views.cc.pixels, views.cc_lesion), ("MLO", views.mlo.pixels, views.mlo_lesion)]


def _save(path: Path, image: np.ndarray) -> None:
    """An image, or a mask, in [0, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)).save(path)
