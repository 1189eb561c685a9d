"""Label maps of other tools, read on the pixels of an image or refused."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.files import mask_as_first_class, read_labels
from mammosynth.label_map import LabelMap
from tests.support.instances import build_instance

SHAPE = (48, 37)
MIRRORED = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def image(**attributes: object) -> Dataset:
    return build_instance(np.zeros(SHAPE, np.uint16), **attributes)


def drawing() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 20:31], labels[40, 36] = 1, 255
    return labels


def write(path: Path, values: np.ndarray, direction: tuple[float, ...] | None = None) -> Path:
    volume = sitk.GetImageFromArray(values)
    if direction is not None:
        volume.SetDirection(direction)
    sitk.WriteImage(volume, str(path))
    return path


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii", "a.nii.gz"])
@pytest.mark.parametrize("values", [drawing(), drawing()[None], drawing().astype(np.int16)[None], drawing() * 1.0])
def test_a_label_map_is_read_in_any_number_type_flat_or_as_a_slice(
    name: str, values: np.ndarray, tmp_path: Path
) -> None:
    found = read_labels(write(tmp_path / name, values), image())
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, drawing())


@pytest.mark.parametrize("name", ["a.nrrd", "a.nii.gz"])
def test_a_label_map_that_lies_mirrored_on_the_image_is_refused(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, drawing()[None], MIRRORED)
    with pytest.raises(
        UnsupportedImageError, match="would lie turned or mirrored; save it in the geometry of the image"
    ):
        read_labels(path, image())


def test_the_orientation_of_the_image_itself_is_no_mirroring(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz", drawing()[None], MIRRORED)
    found = read_labels(path, image(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]))
    np.testing.assert_array_equal(found, drawing())


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (drawing().T.copy(), "size 48 x 37 with 1 value.s. a pixel, expected 37 x 48"),
        (np.zeros((3, *SHAPE), np.uint8), "size 37 x 48 x 3"),
        (drawing() * 0.5, "values from 0 to 127.5, expected whole numbers"),
        (drawing().astype(np.int16) * -1, "values from -255 to 0"),
        (drawing().astype(np.int16) * 2, "values from 0 to 510"),
        (np.where(drawing() == 1, np.nan, 0.0), "holds values that are no finite numbers"),
    ],
    ids=["turned", "three slices", "fractions", "negative", "too large", "no numbers"],
)
def test_what_is_no_label_map_of_the_image_is_refused(values: np.ndarray, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImageError, match=reason):
        read_labels(write(tmp_path / "a.nrrd", values), image())


def test_segments_that_overlap_in_layers_are_refused(tmp_path: Path) -> None:
    layers = sitk.GetImageFromArray(np.stack([drawing()] * 2, axis=-1), isVector=True)
    sitk.WriteImage(layers, str(tmp_path / "a.seg.nrrd"))
    with pytest.raises(UnsupportedImageError, match="2 value.s. a pixel.*without overlaps"):
        read_labels(tmp_path / "a.seg.nrrd", image())


def test_a_huge_label_map_is_refused_by_its_header(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 90000 90000\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_text(header)
    with pytest.raises(UnsupportedImageError, match="size 90000 x 90000"):
        read_labels(tmp_path / "a.nrrd", image())


def test_other_formats_and_damaged_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableImageError, match="neither NRRD nor NIfTI; save the label map as"):
        read_labels(tmp_path / "a.png", image())
    path = write(tmp_path / "a.nii", drawing())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_labels(path, image())


def test_a_mask_in_black_and_white_is_of_the_first_class_and_numbers_stay_as_they_are() -> None:
    classes = {1: "malignant lesion", 2: "benign lesion"}
    white, numbered = np.array([[0, 255], [128, 100]], np.uint8), np.array([[0, 2], [1, 255]], np.uint8)
    made = mask_as_first_class(LabelMap(white, "m.png", classes))
    np.testing.assert_array_equal(made.labels, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(mask_as_first_class(LabelMap(numbered, "m.png", classes)).labels, numbered)
