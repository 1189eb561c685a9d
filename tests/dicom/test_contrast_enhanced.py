import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of, refuse_wrong_exposure
from mammosynth.errors import UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.terms import Task


def _header(image_type=("ORIGINAL", "PRIMARY"), description=""):
    header = Dataset()
    header.ImageType = list(image_type)
    header.SeriesDescription = description
    return header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (_header(("DERIVED", "PRIMARY", "RECOMBINED")), Exposure.RECOMBINED),
        (_header(("ORIGINAL", "PRIMARY", "", "LOW_ENERGY")), Exposure.LOW_ENERGY),
        (_header(("ORIGINAL", "PRIMARY", "HIGH_ENERGY")), Exposure.HIGH_ENERGY),
        (_header(description="L CC low energy"), Exposure.LOW_ENERGY),
        (_header(description="CESM subtracted R MLO"), Exposure.RECOMBINED),
        (_header(description="L CC"), None),
        (Dataset(), None),
    ],
)
def test_the_exposure_is_what_image_type_or_description_say(header, expected):
    assert exposure_of(header) == expected


def test_contrast_is_not_made_from_an_image_that_has_it():
    pixels = np.zeros((4, 4), np.float32)
    refuse_wrong_exposure(Mammogram(pixels, "a", header=_header(description="low energy")), Task.CONTRAST)
    refuse_wrong_exposure(Mammogram(pixels, "a"), Task.CONTRAST)
    with pytest.raises(UnsupportedImageError, match="says recombined, expected low energy"):
        refuse_wrong_exposure(Mammogram(pixels, "a", header=_header(description="L CC recombined")), Task.CONTRAST)
