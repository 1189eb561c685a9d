"""What contrast starts from."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.task import task_named
from mammosynth.tasks.contrast.specification import SPECIFICATION, accept_low_energy


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
