"""What contrast starts from."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammosynth.dicom.segmentation import Segment, draw_segmentation
from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import task_named
from mammosynth.tasks.contrast.specification import SPECIFICATION, accept_lesions, accept_low_energy
from tests.support.instances import build_instance


def described(description: str) -> Mammogram:
    header = Dataset()
    header.SeriesDescription = description
    return Mammogram(np.zeros((4, 4), np.float32), "a", header=header)


def test_it_is_found_by_its_name() -> None:
    assert task_named("contrast") is SPECIFICATION


def test_contrast_is_not_made_from_an_image_that_has_it() -> None:
    accept_low_energy(described("low energy"))
    accept_low_energy(Mammogram(np.zeros((4, 4), np.float32), "a"))
    with pytest.raises(UnsupportedImageError, match="says recombined, expected low energy"):
        accept_low_energy(described("L CC recombined"))


@pytest.mark.parametrize("name", ["P102_R_CM_CC.jpg", "l-cc-recombined.png", "L CC high energy.tif"])
def test_a_name_tells_where_there_is_no_header(name: str) -> None:
    accept_low_energy(Mammogram(np.zeros((4, 4), np.float32), "P102_R_DM_CC.jpg"))
    with pytest.raises(UnsupportedImageError, match=r"its name says (recombined|high energy), expected low energy"):
        accept_low_energy(Mammogram(np.zeros((4, 4), np.float32), name))


@pytest.mark.parametrize("part", ["dataset", "objectives", "evaluation"])
def test_every_part_that_it_names_exists(part: str) -> None:
    assert SPECIFICATION.load(part)


def test_lesions_are_drawn_alone() -> None:
    labels = np.ones((4, 4), np.uint8)
    accept_lesions(LabelMap(labels, "drawn.png"))
    with pytest.raises(UnsupportedImageError, match=r"^drawn\.png: nothing is drawn"):
        accept_lesions(LabelMap(labels * 0, "drawn.png"))
    image = build_instance(np.zeros((4, 4), np.uint16))
    for is_lesion in (True, False):
        segment = Segment(1, "Mass" if is_lesion else "adipose", labels > 0, is_lesion=is_lesion)
        header = draw_segmentation([segment], image, software_version="1")
        drawn = LabelMap(labels, "1.2.3", header=header)
        if is_lesion:
            accept_lesions(drawn)
        else:
            with pytest.raises(
                UnsupportedImageError, match="segment 1, 'adipose', is no lesion, expected lesions alone"
            ):
                accept_lesions(drawn)
