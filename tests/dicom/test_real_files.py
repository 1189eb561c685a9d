"""Real vendors' files, which are not part of the repository: `MAMMOSYNTH_TEST_DICOM` or `../shared/data/dicom`."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mammosynth.dicom.read import read_mammogram
from mammosynth.errors import MammoSynthError, UnsupportedImageError
from mammosynth.files import read_image, to_nrrd_bytes
from tests.support.real_data import REAL_DICOM

pytestmark = pytest.mark.skipif(
    not REAL_DICOM.is_dir(),
    reason="no folder of real DICOM files: set MAMMOSYNTH_TEST_DICOM; vendors' quirks are not tested",
)
GE = REAL_DICOM / "ge_senographe_essential_r_mlo.dcm"
CHART = REAL_DICOM / "pixel_spacing_chart.dcm"
TOMOSYNTHESIS = REAL_DICOM / "hologic_tomosynthesis_multiframe.dcm"


@pytest.mark.slow
def test_the_ge_image_is_read_with_its_voi_lut_and_padding() -> None:
    mammogram = read_mammogram(GE)
    assert mammogram.pixels.shape == (3062, 2394)
    assert (mammogram.view_position, mammogram.image_laterality) == ("MLO", "R")
    assert mammogram.pixel_spacing_mm == pytest.approx((0.09409090909091,) * 2)
    assert mammogram.pixels[mammogram.valid].mean() > 0.2
    assert mammogram.valid.mean() == pytest.approx(0.32, abs=0.01)  # the rest is padding, 0 to 30
    assert mammogram.pixels[:, -300:].mean() > 5 * mammogram.pixels[:, :300].mean()  # chest wall on the right
    assert mammogram.warnings == ()


@pytest.mark.slow
def test_the_ge_voi_lut_is_close_to_the_ge_sigmoid() -> None:
    # The vendor gives one display twice: as a table and as SIGMOID 2653/900. dcmtk and others may use either.
    mammogram = read_mammogram(GE)
    header = mammogram.header
    table = np.asarray(header.VOILUTSequence[0].LUTData) / 4095
    first = header.VOILUTSequence[0].LUTDescriptor[1]
    values = np.arange(first, first + table.size)
    sigmoid = 1 / (1 + np.exp(-4 * (values - 2653) / 900))
    assert np.abs(table - sigmoid)[values > 1500].max() < 0.05


def test_the_chart_is_read_at_the_detector_plane() -> None:
    mammogram = read_mammogram(CHART)
    assert mammogram.pixel_spacing_mm == (0.5, 0.5)
    assert "test or quality control image" in mammogram.warnings[0]
    assert "1.5" in mammogram.warnings[1]


def test_the_tomosynthesis_is_refused() -> None:
    with pytest.raises(UnsupportedImageError, match="tomosynthesis or multi-frame"):
        read_mammogram(TOMOSYNTHESIS)


@pytest.mark.slow
@pytest.mark.parametrize("path", [GE, CHART], ids=["ge", "chart"])
def test_a_result_has_the_geometry_that_itk_and_slicer_give_the_dicom(path: Path, tmp_path: Path) -> None:
    mammogram = read_image(path)
    (tmp_path / "a.nrrd").write_bytes(to_nrrd_bytes(mammogram.pixels, mammogram))
    ours, theirs = sitk.ReadImage(str(tmp_path / "a.nrrd")), sitk.ReadImage(str(path))
    assert ours.GetSize() == theirs.GetSize()
    assert ours.GetOrigin() == theirs.GetOrigin()
    assert ours.GetDirection() == pytest.approx(theirs.GetDirection())
    assert ours.GetSpacing() == pytest.approx(theirs.GetSpacing(), rel=1e-6)


def test_a_real_file_cut_off_anywhere_gives_an_error_in_words(tmp_path: Path) -> None:
    content = GE.read_bytes()
    path = tmp_path / "cut.dcm"
    lengths = [*range(0, 4000, 331), 20000, 32000, *range(100_000, len(content), 900_000), len(content) - 30]
    for length in lengths:
        path.write_bytes(content[:length])
        with pytest.raises(MammoSynthError, match=r"cut\.dcm"):
            read_mammogram(path)
