"""Reading a folder in CDD-CESM's layout: registration, splits, and every bad file at once."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.pairs import (
    ContrastPair,
    ViewPair,
    read_cdd_cesm,
    read_cdd_cesm_views,
    splits,
)
from mammosynth.terms import ImageLaterality, ViewPosition
from mammosynth.training.dataset import hash_cases
from tests.support.cdd_cesm import write_folder


def test_recombined_image_and_lesion_are_registered_onto_the_low_energy_image(tmp_path: Path) -> None:
    (pair,) = read_cdd_cesm(write_folder(tmp_path, [{"dy": "3", "dx": "2"}]), "train")
    assert pair.lesion is not None
    assert pair.low_energy_lesion is not None
    np.testing.assert_array_equal(pair.lesion, pair.low_energy_lesion)
    brightest = pair.recombined > 0.6
    assert 2 * (brightest & pair.lesion).sum() / (brightest.sum() + pair.lesion.sum()) > 0.95


def test_pair_says_patient_view_and_side(tmp_path: Path) -> None:
    (pair,) = read_cdd_cesm(write_folder(tmp_path, [{"view": "MLO", "side": "R", "patient": "P7"}]), "train")
    assert pair.patient_id == "P7"
    assert pair.low_energy.view_position is ViewPosition.MLO
    assert pair.low_energy.image_laterality is ImageLaterality.RIGHT
    assert pair.low_energy.source_name == "P0_L_DM_CC.png"


def test_split_is_selected_and_an_unknown_one_is_refused_with_the_names_found(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, [{}, {"split": "held"}])
    assert splits(folder) == ["held", "train"]
    assert [pair.patient_id for pair in read_cdd_cesm(folder, "held")] == ["P1"]
    with pytest.raises(DataError, match="no rows with split 'val', found held, train"):
        read_cdd_cesm(folder, "val")


def test_all_bad_files_are_listed_together(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, [{}, {}, {"scale": "9"}, {}])
    (folder / "512" / "images" / "P0_L_DM_CC.png").unlink()
    (folder / "512" / "images" / "P1_L_CM_CC.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="3 of 4 pairs") as refusal:
        read_cdd_cesm(folder, "train")
    for name in ("P0_L_DM_CC.png", "P1_L_DM_CC.png", "P2_L_DM_CC.png: scale is 9.0"):
        assert name in str(refusal.value)


def test_folder_without_table_or_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pairs\.csv is missing"):
        read_cdd_cesm(tmp_path, "train")
    (tmp_path / "pairs.csv").write_text("split,patient\n")
    with pytest.raises(DataError, match="columns side, view"):
        read_cdd_cesm(tmp_path, "train")


def test_images_that_do_not_lie_on_each_other_are_no_pair() -> None:
    source = Mammogram(np.zeros((8, 8), np.float32), "a.png")
    with pytest.raises(DataError, match=r"a\.png: recombined has shape \(8, 9\)"):
        ContrastPair(source, np.zeros((8, 9), np.float32), "P1")


def test_hash_depends_on_pixels_and_not_on_order(tmp_path: Path) -> None:
    pairs = read_cdd_cesm(write_folder(tmp_path, [{}, {}]), "train")
    assert hash_cases(pairs) == hash_cases(pairs[::-1])
    assert hash_cases(pairs) != hash_cases(pairs[:1])


def write_views(folder: Path, rows: list[dict[str, str]]) -> Path:
    """A folder in CDD-CESM's layout; CC and MLO of breast n are the images of pairs 2n and 2n + 1."""
    write_folder(folder, [{"view": view} for _ in rows for view in ("CC", "MLO")])
    names = {"cc_low_energy": "P{}_L_DM_CC.png", "mlo_low_energy": "P{}_L_DM_CC.png"}
    with (folder / "breasts_cc_mlo.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=["split", "patient", "side", *names])
        writer.writeheader()
        for number, row in enumerate(rows):
            views = {name: text.format(2 * number + second) for second, (name, text) in enumerate(names.items())}
            writer.writerow({"split": "train", "patient": f"P{number}", "side": "R", **views, **row})
    return folder


def test_both_views_of_a_breast_come_with_the_lesions_drawn_on_each(tmp_path: Path) -> None:
    folder = write_views(tmp_path, [{}, {"split": "held"}])
    (pair,) = read_cdd_cesm_views(folder, "train")
    assert (pair.cc.view_position, pair.mlo.view_position) == (ViewPosition.CC, ViewPosition.MLO)
    assert pair.cc.image_laterality is pair.mlo.image_laterality is ImageLaterality.RIGHT
    assert (pair.patient_id, pair.mlo.source_name) == ("P0", "P1_L_DM_CC.png")
    assert pair.cc_lesion is not None
    assert pair.mlo_lesion is not None
    assert pair.cc_lesion.sum() == pair.mlo_lesion.sum() == 64
    with pytest.raises(DataError, match="no rows with split 'val', found held, train"):
        read_cdd_cesm_views(folder, "val")


def test_a_bad_file_of_a_view_is_told(tmp_path: Path) -> None:
    folder = write_views(tmp_path, [{}, {}])
    (folder / "512" / "images" / "P3_L_DM_CC.png").unlink()
    with pytest.raises(DataError, match=r"1 of 2 pairs.*breasts_cc_mlo\.csv:\n  P2_L_DM_CC\.png: "):
        read_cdd_cesm_views(folder, "train")


@pytest.mark.parametrize(
    ("cc", "mlo", "words"),
    [
        ((ViewPosition.MLO, "L"), (ViewPosition.CC, "L"), "views are MLO and CC, expected CC and MLO"),
        ((ViewPosition.CC, "L"), (ViewPosition.MLO, "R"), "not of the same breast"),
    ],
)
def test_views_that_do_not_belong_together_are_no_pair(cc, mlo, words) -> None:
    views = [Mammogram(np.zeros((8, 8), np.float32), "a", view, ImageLaterality(side)) for view, side in (cc, mlo)]
    with pytest.raises(DataError, match=words):
        ViewPair(*views, "P1")


def test_a_mask_of_another_size_is_refused() -> None:
    views = [Mammogram(np.zeros((8, 8), np.float32), "a", view, ImageLaterality.LEFT) for view in ViewPosition]
    with pytest.raises(DataError, match=r"mask has shape \(8, 9\), the image \(8, 8\)"):
        ViewPair(*views, "P1", mlo_lesion=np.zeros((8, 9), bool))
