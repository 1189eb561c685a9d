"""The folders that hold both views of breasts."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import DataError
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.data import DATASET
from tests.support.breasts import breast_image
from tests.support.tables import write_table


def write_picture(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_film(place: Path, rows: list[dict[str, str]]) -> Path:
    """As prepared from CBIS-DDSM: a table of breasts beside one of images."""
    place.mkdir(exist_ok=True)
    (place / "index.csv").write_text("file\n")
    write_table(place / "breasts_cc_mlo.csv", rows)
    mask = np.zeros((64, 48), np.uint8)
    mask[20:30, 10:20], mask[40:44, 10:20] = 255, 128
    for row in rows:
        for view in ("cc", "mlo"):
            write_picture(place / "images" / row[view], np.rint(255 * breast_image(64, 48)).astype(np.uint8))
            write_picture(place / "masks" / Path(row[view]).with_suffix(".png"), mask)
    return place


def row(number: int, split: str = "train", aspects: str = "measured+measured") -> dict[str, str]:
    return {
        "split": split,
        "patient": f"P_{number}",
        "side": "L",
        "density": "2",
        "cc": f"{number}_L_CC.jpg",
        "mlo": f"{number}_L_MLO.jpg",
        "aspects": aspects,
    }


def test_film_breasts_have_both_views_their_masks_and_what_their_aspect_is_worth(tmp_path):
    place = write_film(tmp_path / "set", [row(1), row(2, "val"), row(3, aspects="assumed+measured")])
    assert DATASET.splits(place) == ["train", "val"]
    first, guessed = DATASET.read(place, "train")
    assert (first.name, first.patient_id, first.look, first.density) == ("1_L_CC.jpg", "P_1", Look.FILM, "b")
    assert first.views.cc_lesion.sum() == 140  # outlines and boxes alike
    assert (first.has_true_aspect, guessed.has_true_aspect) == (True, False)
    assert first.digest() != guessed.digest()


def test_a_folder_of_sets_is_read_as_one(tmp_path):
    (tmp_path / "all").mkdir()
    write_film(tmp_path / "all" / "a", [row(1)])
    write_film(tmp_path / "all" / "b", [row(2), row(3, "test")])
    (tmp_path / "all" / "notes").mkdir()
    assert [case.name for case in DATASET.read(tmp_path / "all", "train")] == ["1_L_CC.jpg", "2_L_CC.jpg"]
    assert DATASET.splits(tmp_path / "all") == ["train"]


def test_missing_files_are_told_together_and_unknown_folders_at_once(tmp_path):
    place = write_film(tmp_path / "set", [row(1), row(2)])
    (place / "images" / "1_L_CC.jpg").unlink()
    (place / "masks" / "2_L_MLO.png").unlink()
    with pytest.raises(DataError, match="2 of 2 breasts of split 'train' cannot be used"):
        DATASET.read(place, "train")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no layout that is known, expected manifest.json of phantoms"):
        DATASET.read(tmp_path / "empty", "train")


def test_a_patient_in_training_and_validation_is_refused(tmp_path):
    place = write_film(tmp_path / "set", [row(1)])
    cases = DATASET.read(place, "train")
    with pytest.raises(DataError, match="patient P_1 is in training and validation"):
        DATASET.prepare(cases, cases, None)
