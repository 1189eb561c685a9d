import pytest
from pydicom.dataset import Dataset

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of


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
