"""Frames as bytes and as pictures for the eye."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_pixel_data_frame
from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut
from pydicom.uid import UID, ExplicitVRLittleEndian

from monailabel_app.pacs.instances import StoredInstance

_MEDIA_TYPES = {  # PS3.18 table 8.7.3-5, lossless and lossy forms alike
    "1.2.840.10008.1.2.4.5": "image/jpeg",
    "1.2.840.10008.1.2.4.7": "image/jpeg",
    "1.2.840.10008.1.2.4.8": "image/jls",
    "1.2.840.10008.1.2.4.9": "image/jp2",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


class UnavailableFrameError(LookupError):
    """The instance has no such frame, or no pixels at all."""


class UndecodableFrameError(ValueError):
    """The pixels cannot be decoded: damaged, or in a form that no installed codec knows."""


def read_frames(instance: StoredInstance, numbers: Sequence[int], *, as_stored: bool) -> tuple[str, list[bytes]]:
    """The pixel data of frames.

    Args:
        instance: Where from.
        numbers: Frame numbers, from 1.
        as_stored: True for the compressed frames as they are in the file; False decodes to Explicit VR Little Endian.

    Returns:
        The media type with its transfer syntax, and one byte string per frame.

    Raises:
        UnavailableFrameError: If a number is out of range.
        UndecodableFrameError: If decoding fails.
    """
    dataset = _read_image(instance, numbers)
    count = int(dataset.get("NumberOfFrames") or 1)
    if as_stored and UID(instance.transfer_syntax_uid).is_compressed:
        frames = list(generate_pixel_data_frame(dataset.PixelData, count))
        name = next((m for prefix, m in _MEDIA_TYPES.items() if instance.transfer_syntax_uid.startswith(prefix)), None)
        return _typed(name or "application/octet-stream", instance.transfer_syntax_uid), [
            frames[n - 1] for n in numbers
        ]
    if UID(instance.transfer_syntax_uid).is_compressed or not dataset.is_little_endian:
        pixels = _decode(dataset)
        frames = [np.ascontiguousarray(frame).tobytes() for frame in (pixels if count > 1 else pixels[None])]
    else:
        bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
        if bits % 8:
            raise UndecodableFrameError("frames that do not end on a byte cannot be served one by one")
        size = bits // 8
        frames = [dataset.PixelData[start : start + size] for start in range(0, count * size, size)]
    return _typed("application/octet-stream", ExplicitVRLittleEndian), [frames[n - 1] for n in numbers]


def render(
    instance: StoredInstance,
    number: int,
    *,
    image_format: str,
    viewport: tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
) -> bytes:
    """One frame as the header wants it displayed.

    Args:
        instance: Where from.
        number: Frame number, from 1.
        image_format: "PNG" or "JPEG".
        viewport: Largest (width, height); aspect is kept, nothing is enlarged.
        window: (centre, width) instead of the header's VOI LUT.

    Raises:
        UnavailableFrameError: If there is no such frame.
        UndecodableFrameError: If decoding fails.
    """
    dataset = _read_image(instance, [number])
    pixels = _decode(dataset)
    pixels = pixels[number - 1] if int(dataset.get("NumberOfFrames") or 1) > 1 else pixels
    if dataset.SamplesPerPixel == 1:
        pixels = _to_grey_levels(dataset, pixels, window)
    image = Image.fromarray(pixels.astype(np.uint8))
    if viewport is not None:
        image.thumbnail(viewport)
    encoded = io.BytesIO()
    image.save(encoded, image_format)
    return encoded.getvalue()


def _read_image(instance: StoredInstance, numbers: Sequence[int]) -> FileDataset:
    dataset = dcmread(instance.path)
    count = int(dataset.get("NumberOfFrames") or 1)
    if "PixelData" not in dataset:
        raise UnavailableFrameError(f"Instance {instance.sop_instance_uid} has no pixel data.")
    if not all(1 <= number <= count for number in numbers):
        raise UnavailableFrameError(f"Instance {instance.sop_instance_uid} has frames 1 to {count}, no other.")
    return dataset


def _decode(dataset: FileDataset) -> np.ndarray:
    try:
        pixels = dataset.pixel_array
    except (RuntimeError, NotImplementedError, ValueError, AttributeError, KeyError) as error:
        syntax = dataset.file_meta.TransferSyntaxUID
        raise UndecodableFrameError(f"The pixels ({syntax.name}) cannot be decoded here: {error}") from error
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)


def _to_grey_levels(dataset: FileDataset, pixels: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    values = apply_modality_lut(pixels, dataset)
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth = window
        if "VOILUTSequence" in dataset:
            del dataset.VOILUTSequence
    values = np.asarray(apply_voi_lut(values, dataset), dtype=np.float64)
    low, high = _display_range(dataset, values)
    grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def _display_range(dataset: FileDataset, values: np.ndarray) -> tuple[float, float]:
    """What is black and white: pydicom's windowing spans the range of the stored bits."""
    if "WindowCenter" in dataset and "VOILUTSequence" not in dataset:
        bits = 2**dataset.BitsStored
        low, high = (-bits / 2, bits / 2 - 1) if dataset.PixelRepresentation else (0, bits - 1)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        return low * slope + intercept, high * slope + intercept
    if "VOILUTSequence" in dataset:
        return 0.0, float(2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    return float(values.min()), float(values.max())


def _typed(media_type: str, transfer_syntax_uid: str) -> str:
    return f"{media_type}; transfer-syntax={transfer_syntax_uid}"
