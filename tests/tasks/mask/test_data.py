"""Where cases of `mask` come from: layouts, their refusals, patients apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import DataError
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.data import DATASET
from mammosynth.terms import ViewPosition
from tests.support.drawn_breasts import drawn_breast, mask_case, painted
from tests.support.drawn_set import write_drawn_set
from tests.support.tables import write_table


def _grey(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(path)


def test_a_drawn_set_is_read_as_it_was_drawn(tmp_path: Path) -> None:
    folder = write_drawn_set(tmp_path / "set", train=2, val=1)
    assert DATASET.splits(folder) == ["train", "val"]
    first, second = DATASET.read(folder, "train")
    assert np.array_equal(first.labels.labels, mask_case(0).labels.labels)
    assert (first.patient_id, second.patient_id) == ("patient 0", "patient 1")
    assert (first.look, first.density, first.image.view_position) == (Look.DIGITAL, "b", ViewPosition.CC)
    assert first.digest() != second.digest()
    with pytest.raises(DataError, match="no rows with split 'test', found train, val"):
        DATASET.read(folder, "test")


@pytest.mark.slow
def test_film_masses_get_their_class_and_guessed_shapes_are_left_out(tmp_path: Path) -> None:
    labels = drawn_breast()
    rows = []
    for number, (pathology, aspect, kind) in enumerate(
        [
            ("BENIGN_WITHOUT_CALLBACK", "measured", "drawn"),
            ("MALIGNANT", "measured", "drawn"),
            ("BENIGN", "assumed", "box"),
        ]
    ):
        name = f"{number}_L_CC.jpg"
        _grey(tmp_path / "images" / name, painted(labels, number))
        mask = np.where(labels == BreastClass.MALIGNANT_LESION, 1.0, 0.0)
        _grey(tmp_path / "masks" / name.replace("jpg", "png"), mask)
        known = {"split": "train", "file": name, "patient": f"P{number}", "side": "L", "view": "CC", "density": "3"}
        rows.append({**known, "mask_kind": kind, "aspect": aspect, "pathology": pathology})
    write_table(tmp_path / "index.csv", rows)
    benign, malignant = DATASET.read(tmp_path, "train")
    assert (benign.look, benign.density) == (Look.FILM, "c")
    assert (benign.labels.labels == BreastClass.BENIGN_LESION).sum() > 500
    assert (malignant.labels.labels == BreastClass.MALIGNANT_LESION).sum() > 500
    assert len(DATASET.read(tmp_path, "train", ViewPosition.CC)) == 2
    assert DATASET.read(tmp_path, "train", ViewPosition.MLO) == []


@pytest.mark.slow
def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    folder = write_drawn_set(tmp_path / "set", train=3)
    names = sorted(path.name for path in (folder / "images").iterdir())
    (folder / "images" / names[0]).write_bytes(b"no image")
    Image.fromarray(np.full((512, 384), 9, np.uint8)).save(folder / "labels" / names[1])
    (folder / "labels" / names[2]).unlink()
    with pytest.raises(DataError) as refusal:
        DATASET.read(folder, "train")
    assert "2 of 3 images of split 'train' cannot be used" in str(refusal.value)
    assert names[0] in str(refusal.value)
    assert names[2] in str(refusal.value)


def test_an_unknown_folder_is_told_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json.*cases\.csv.*pairs\.csv.*index\.csv"):
        DATASET.splits(tmp_path)


def test_a_patient_in_both_sets_is_refused() -> None:
    with pytest.raises(DataError, match="patient 0 is in training and validation"):
        DATASET.prepare([mask_case(0)], [mask_case(0)], None)
