"""Compressed instances are smaller and hold the very same pixels."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLSLossless

from mammosynth.dicom.compress import compress_instance
from mammosynth.dicom.stored import read_stored_values
from mammosynth.dicom.write import write_instance
from tests.support.instances import breast_values, build_instance


@pytest.mark.parametrize("kind", ["breast", "noise", "black", "full range"])
def test_compressed_pixels_are_the_same_bit_for_bit(kind: str, tmp_path: Path) -> None:
    values = {
        "breast": breast_values(bits=16),
        "noise": np.random.default_rng(0).integers(0, 65536, (37, 23)).astype(np.uint16),
        "black": np.zeros((16, 16), np.uint16),
        "full range": np.tile(np.array([0, 65535], np.uint16), (9, 9)),
    }[kind]
    dataset = build_instance(values, bits=16)
    before = dataset.PixelData
    write_instance(compress_instance(dataset), tmp_path / "a.dcm")
    back = pydicom.dcmread(tmp_path / "a.dcm")
    assert back.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert back.LossyImageCompression == "00"
    np.testing.assert_array_equal(read_stored_values(back, "a").values, values)
    assert dataset.PixelData == before


def test_a_view_becomes_smaller(tmp_path: Path) -> None:
    dataset = build_instance(breast_values(480, 400, bits=16), bits=16)
    for name, each in (("plain", dataset), ("compressed", compress_instance(dataset))):
        write_instance(each, tmp_path / name)
    assert (tmp_path / "compressed").stat().st_size < 0.5 * (tmp_path / "plain").stat().st_size


def test_what_is_compressed_already_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 16, 16, 1, explicit"):
        compress_instance(compress_instance(build_instance(bits=16)))
