from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from mammosynth.errors import DataError
from mammosynth.preprocessing.look import Look
from mammosynth.published import cbis_ddsm as published
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.data import DATASET
from mammosynth.tasks.mask.layouts import cbis_ddsm
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.drawn_breasts import drawn_breast, painted
from tests.support.instances import as_file, build_instance
from tests.support.tables import write_table

UIDS = "1.3.6.1.4.1.9590.100.1.2.1/1.3.6.1.4.1.9590.100.1.2.2"
SHAPE = (256, 192)
BOX = (slice(110, 150), slice(40, 70))
OTHER_BOX = (slice(60, 80), slice(50, 60))


def write_dicom(path: Path, values: np.ndarray, bits: int) -> None:
    """As the archive has them: secondary captures that say MG, without window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"SOPClassUID": SecondaryCaptureImageStorage, "WindowCenter": None, "WindowWidth": None}
    instance = build_instance(values, bits=bits, allocated=bits, ImagerPixelSpacing=None, **known)
    path.write_bytes(as_file(instance).getvalue())


def values_of(subject: str, number: int = 1, pathology: str = "MALIGNANT", **changes: str) -> dict[str, str]:
    """A row of the table."""
    _, _, patient, side, view = subject.replace("P_", "P-").replace("Mass-", "Mass_").split("_")
    mass = f"{subject}_{number}/{UIDS}"
    return {
        "patient_id": patient.replace("-", "_"),
        "breast_density": "3",
        "left or right breast": side,
        "image view": view,
        "abnormality id": str(number),
        "pathology": pathology,
        "image file path": f"{subject}/{UIDS}/000000.dcm",
        "cropped image file path": f"{mass}/000000.dcm\n",
        "ROI mask file path": f"{mass}/000001.dcm\n",
        **changes,
    }


def describe(place: Path, rows: list[dict[str, str]], kind: str = "train") -> None:
    write_table(place / f"mass_case_description_{kind}_set.csv", rows)


def write_image(place: Path, subject: str, shape: tuple[int, int] = SHAPE) -> None:
    mirrored = "RIGHT" in subject
    pixels = painted(drawn_breast(shape[0], mirrored=mirrored, lesion=False))[:, : shape[1]]
    folder = place / "CBIS-DDSM" / subject / "08-07-2016-DDSM-1" / "1.000000-full mammogram images-2"
    write_dicom(folder / "1-1.dcm", np.rint(60000 * pixels).astype(np.uint16), 16)


def write_mass(
    place: Path, subject: str, box: tuple[slice, slice], shape: tuple[int, int] = SHAPE, mask: int = 2
) -> None:
    """Mask and crop; the mask is the file of that number."""
    drawn = np.zeros(shape, np.uint8)
    drawn[box] = 255
    crop = np.arange(drawn[box].size, dtype=np.uint16).reshape(drawn[box].shape)
    folder = place / "CBIS-DDSM" / subject / "08-07-2016-DDSM-1" / "1.000000-ROI mask images-2"
    write_dicom(folder / f"1-{mask}.dcm", drawn, 8)
    write_dicom(folder / f"1-{3 - mask}.dcm", crop, 16)


def write_set(place: Path, subject: str = "Mass-Training_P_00001_LEFT_CC", mask: int = 2) -> Path:
    """One image with one mass."""
    describe(place, [values_of(subject)])
    write_image(place, subject)
    write_mass(place, f"{subject}_1", BOX, mask=mask)
    return place


@pytest.mark.parametrize("mask", [1, 2])
def test_mask_is_told_from_crop_by_its_size_whatever_the_table_says(tmp_path, mask):
    place = write_set(tmp_path / "set", mask=mask)
    (row,) = published.read_rows(place)
    case = cbis_ddsm.read_case(place, row)
    assert np.array_equal(np.argwhere(case.labels.labels == BreastClass.MALIGNANT_LESION).min(axis=0), (110, 40))
    assert (case.labels.labels == BreastClass.MALIGNANT_LESION).sum() == 40 * 30
    assert (case.image.view_position, case.image.image_laterality) == (ViewPosition.CC, ImageLaterality.LEFT)
    assert (case.look, case.density, case.patient_id) == (Look.FILM, "c", "P_00001")
    assert case.image.pixels.max() > 0.9


def test_masses_of_an_image_are_one_case_with_their_classes(tmp_path):
    subject, place = "Mass-Test_P_00016_RIGHT_MLO", tmp_path / "set"
    rows = [values_of(subject), values_of(subject, 2, "BENIGN_WITHOUT_CALLBACK")]
    describe(place, rows, "test")
    write_image(place, subject)
    for number, box in ((1, BOX), (2, OTHER_BOX)):
        write_mass(place, f"{subject}_{number}", (box[0], slice(192 - box[1].stop, 192 - box[1].start)))
    assert DATASET.splits(place) == ["test"]
    (case,) = DATASET.read(place, "test")
    assert case.image.image_laterality is ImageLaterality.RIGHT
    sizes = {kind: int((case.labels.labels == kind).sum()) for kind in (6, 7)}
    assert sizes == {BreastClass.BENIGN_LESION: 200, BreastClass.MALIGNANT_LESION: 1200}


def test_large_images_are_reduced_with_their_masks(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "ROWS", 128)
    place = write_set(tmp_path / "set")
    case = cbis_ddsm.read_case(place, published.read_rows(place)[0])
    assert case.image.pixels.shape == case.labels.labels.shape == (128, 96)
    assert (case.labels.labels == BreastClass.MALIGNANT_LESION).sum() == 20 * 15


def test_training_patients_are_divided_and_test_patients_are_not(tmp_path):
    place = tmp_path / "set"
    names = [f"Mass-Training_P_{number:05d}_{side}_CC" for number in range(60) for side in ("LEFT", "RIGHT")]
    describe(place, [values_of(name) for name in names])
    describe(place, [values_of("Mass-Test_P_00100_LEFT_CC")], "test")
    assert DATASET.splits(place) == ["test", "train", "val"]
    rows = published.read_rows(place)
    assert all(len({row["split"] for row in rows if row["patient"] == f"P_{n:05d}"}) == 1 for n in range(60))


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("pathology", "UNSURE", "'pathology' is 'UNSURE', expected BENIGN, BENIGN_WITHOUT_CALLBACK, MALIGNANT"),
        ("left or right breast", "L", "'left or right breast' is 'L', expected LEFT, RIGHT"),
        ("image view", "ML", "'image view' is 'ML', expected CC, MLO"),
        ("ROI mask file path", "", "'ROI mask file path' is '', expected a path that begins with Mass-"),
    ],
)
def test_rows_that_cannot_be_understood_are_told_with_number_and_column(tmp_path, column, value, told):
    place, name = tmp_path / "set", "Mass-Training_P_00001_LEFT_CC"
    describe(place, [values_of(name), values_of(name, 2, **{column: value})])
    with pytest.raises(DataError) as refusal:
        DATASET.splits(place)
    assert f"mass_case_description_train_set.csv, row 3: {told}" in str(refusal.value)


def test_missing_columns_are_told(tmp_path):
    rows = [{key: value for key, value in values_of("Mass-Training_P_00001_LEFT_CC").items() if key != "pathology"}]
    describe(tmp_path / "set", rows)
    with pytest.raises(
        DataError, match=r"mass_case_description_train_set.csv: columns pathology are missing, expected"
    ):
        DATASET.splits(tmp_path / "set")


def test_folders_that_are_missing_and_masks_of_another_size_are_told_together(tmp_path):
    place, names = tmp_path / "set", [f"Mass-Test_P_0000{number}_LEFT_CC" for number in (1, 2, 3)]
    describe(place, [values_of(name) for name in names], "test")
    for name in names[1:]:
        write_image(place, name)
    write_mass(place, f"{names[2]}_1", BOX, shape=(256, 190))
    with pytest.raises(DataError) as refusal:
        DATASET.read(place, "test")
    lines = str(refusal.value).splitlines()
    assert lines[0].startswith("set: 3 of 3 images of split 'test' cannot be used")
    assert f"{names[0]}: no folder {names[0]} anywhere below set" in lines[1]
    assert f"{names[1]}: no folder {names[1]}_1 anywhere below set" in lines[2]
    assert (
        f"{names[2]}_1 holds 1-1.dcm with 40 x 30, 1-2.dcm with 256 x 190, expected one mask of the image's" in lines[3]
    )
