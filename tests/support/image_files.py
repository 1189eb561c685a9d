"""The same small image in every format and compression that is read, for tests that damage files."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import openjpeg
import SimpleITK as sitk
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mammosynth.dicom.compress import compress_instance
from tests.support.instances import as_file, breast_values, build_instance

_SYNTAXES = {
    "implicit.dcm": ImplicitVRLittleEndian,
    "explicit.dcm": ExplicitVRLittleEndian,
    "big.dcm": ExplicitVRBigEndian,
    "deflated.dcm": DeflatedExplicitVRLittleEndian,
    "rle.dcm": RLELossless,
    "jpeg2000.dcm": JPEG2000Lossless,
    "jpeg-ls.dcm": None,  # as this software compresses
}
_PICTURES = {
    "L_CC.png": {},
    "L_CC.tif": {},
    "L_CC_lzw.tif": {"compression": "tiff_lzw"},
    "L_CC_deflate.tif": {"compression": "tiff_deflate"},
    "L_CC.jpg": {"quality": 90},
}
_VOLUMES = {"L_CC.nrrd": False, "L_CC_gzip.nrrd": True, "L_CC.nii": False, "L_CC.nii.gz": True}
NAMES = (*_SYNTAXES, *_PICTURES, *_VOLUMES)


@cache
def image_file(name: str) -> bytes:
    """The content of the file of a name out of `NAMES`; DICOM mammograms are L CC, and so are the other names."""
    if name in _SYNTAXES:
        return _dicom(name)
    return _picture(name) if name in _PICTURES else _volume(name)


def in_rle_or_jpeg_2000(dataset: Dataset, syntax: str) -> Dataset:
    """The instance, compressed."""
    if syntax == RLELossless:
        dataset.compress(RLELossless, encoding_plugin="pydicom")
        return dataset
    stream = openjpeg.encode(dataset.pixel_array, bits_stored=dataset.BitsStored)
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return dataset


def _dicom(name: str) -> bytes:
    syntax, dataset = _SYNTAXES[name], build_instance(breast_values(bits=16), bits=16)
    if syntax is None:
        return as_file(compress_instance(dataset)).getvalue()
    if syntax in (RLELossless, JPEG2000Lossless):
        return as_file(in_rle_or_jpeg_2000(dataset, syntax)).getvalue()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.is_implicit_VR = syntax == ImplicitVRLittleEndian
    dataset.is_little_endian = syntax != ExplicitVRBigEndian
    return as_file(dataset).getvalue()


def _picture(name: str) -> bytes:
    values = breast_values(bits=8 if _PICTURES[name] else 16)
    content = io.BytesIO()
    kind = {".png": "PNG", ".tif": "TIFF", ".jpg": "JPEG"}[Path(name).suffix]
    Image.fromarray(values.astype(np.uint8) if _PICTURES[name] else values).save(content, kind, **_PICTURES[name])
    return content.getvalue()


def _volume(name: str) -> bytes:
    volume = sitk.GetImageFromArray(breast_values(bits=16)[None])
    volume.SetSpacing((0.07, 0.1, 1.0))
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(volume, str(Path(folder) / name), useCompression=_VOLUMES[name])
        return (Path(folder) / name).read_bytes()
