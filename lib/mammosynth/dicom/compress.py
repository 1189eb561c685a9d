"""Lossless compression of an instance's pixels."""

from __future__ import annotations

import copy
import io

import numpy as np
import pillow_jpls  # noqa: F401 (teaches Pillow JPEG-LS)
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

_PIXEL_DATA_GROUP = 0x7FE0


def compress_instance(dataset: Dataset) -> Dataset:
    """The same instance in JPEG-LS Lossless (PS3.5 A.4.3), its pixels the same bit for bit.

    JPEG-LS because it is smaller than JPEG 2000 on results (2.7 of 14.7 MB) and five times as fast.

    Args:
        dataset: One uncompressed grey-scale frame of 16 unsigned bits; not changed.

    Returns:
        A new dataset, ready for `write_instance`; that the pixels were ever lossy is said as before.

    Raises:
        ValueError: If the pixels are of another kind.
    """
    found = (dataset.BitsAllocated, dataset.BitsStored, dataset.SamplesPerPixel, dataset.file_meta.TransferSyntaxUID)
    if found != (16, 16, 1, ExplicitVRLittleEndian):
        raise ValueError(
            f"bits allocated, stored, samples and transfer syntax are {found}, expected 16, 16, 1, explicit"
        )
    pixels = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint16)).save(stream, "JPEG-LS")
    compressed = Dataset({tag: dataset[tag] for tag in dataset.keys() if tag.group != _PIXEL_DATA_GROUP})  # noqa: SIM118
    compressed.is_little_endian, compressed.is_implicit_VR = True, False
    compressed.file_meta = copy.deepcopy(dataset.file_meta)
    compressed.file_meta.TransferSyntaxUID = JPEGLSLossless
    compressed.PixelData = encapsulate([stream.getvalue()])
    compressed["PixelData"].VR, compressed["PixelData"].is_undefined_length = "OB", True
    return compressed
