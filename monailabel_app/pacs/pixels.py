"""Frames as bytes and as pictures for the eye. Only what is asked for is read and decoded, and never too much."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_pixel_data_frame
from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut, get_expected_length
from pydicom.uid import UID, ExplicitVRLittleEndian

from mammosynth.dicom.bounded import check_pixels, open_regular, parse_instance
from mammosynth.dicom.codestream import check_codestream, decode
from mammosynth.errors import MammoSynthError
from monailabel_app.pacs.instances import StoredInstance, stamp_of

_MEDIA_TYPES = {  # PS3.18 table 8.7.3-5, lossless and lossy forms alike
    "1.2.840.10008.1.2.4.5": "image/jpeg",
    "1.2.840.10008.1.2.4.7": "image/jpeg",
    "1.2.840.10008.1.2.4.8": "image/jls",
    "1.2.840.10008.1.2.4.9": "image/jp2",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
_PIXEL_KEYWORDS = (  # PS3.3 table C.7-11b
    "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "PlanarConfiguration",
)  # fmt: skip
_NAME = "The instance"  # in messages
_SLOTS = threading.BoundedSemaphore(2)  # images decoded at once: of the largest accepted, one takes half a GiB
_BLOCK_PIXELS = 1 << 20  # windowed at a time, since windowing takes 8 bytes a pixel several times over


class UnavailableFrameError(LookupError):
    """The instance has no such frame, or no pixels at all."""


class UndecodableFrameError(ValueError):
    """The pixels cannot be decoded: damaged, too many, or in a form that no installed codec knows."""


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
    native = _native_frames(instance, numbers)
    if native is not None:
        return _typed("application/octet-stream", ExplicitVRLittleEndian), native
    compressed = UID(instance.transfer_syntax_uid).is_compressed
    with _SLOTS, _decoding(instance):
        dataset = _read_image(instance, numbers)
        if as_stored and compressed:
            name = next((m for p, m in _MEDIA_TYPES.items() if instance.transfer_syntax_uid.startswith(p)), None)
            media_type = _typed(name or "application/octet-stream", instance.transfer_syntax_uid)
            return media_type, _stored_frames(dataset, numbers)
        if dataset.is_little_endian and not compressed:
            frames = _stored_frames(dataset, numbers)
        else:
            frames = [np.ascontiguousarray(pixels).tobytes() for pixels in _decoded(dataset, numbers)]
    return _typed("application/octet-stream", ExplicitVRLittleEndian), frames


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
    with _SLOTS, _decoding(instance), np.errstate(all="ignore"):
        dataset = _read_image(instance, [number])
        (pixels,) = _decoded(dataset, [number])
        if pixels.ndim == 2:
            pixels = _to_grey_levels(dataset, pixels, window)
        image = Image.fromarray(pixels.astype(np.uint8, copy=False))
        if viewport is not None:
            image.thumbnail(viewport)
        encoded = io.BytesIO()
        image.save(encoded, image_format)
    return encoded.getvalue()


@contextmanager
def _decoding(instance: StoredInstance) -> Iterator[None]:
    """Name what stands in the way of the pixels."""
    try:
        yield
    except (UnavailableFrameError, UndecodableFrameError):
        raise
    except MammoSynthError as error:
        raise UndecodableFrameError(str(error)) from error
    except OSError as error:
        reason = error.strerror or "not a readable file"
        raise UnavailableFrameError(f"Instance {instance.sop_instance_uid} cannot be read: {reason}.") from error
    except Exception as error:  # parsers raise what they meet in a damaged file
        reason = str(error) or type(error).__name__
        raise UndecodableFrameError(
            f"The pixels ({UID(instance.transfer_syntax_uid).name}) cannot be decoded here: {reason}"
        ) from error


def _native_frames(instance: StoredInstance, numbers: Sequence[int]) -> list[bytes] | None:
    """Uncompressed frames from their places in the file; None if these are not known, or not of this file."""
    place = instance.pixels
    if place is None:
        return None
    _check_numbers(instance, numbers, place.frames)
    frames = []
    with _decoding(instance), open_regular(instance.path) as file:
        if stamp_of(os.fstat(file.fileno())) != instance.stamp:
            return None
        for number in numbers:
            file.seek(place.offset + (number - 1) * place.frame_bytes)
            frames.append(file.read(place.frame_bytes))
    return frames if all(len(frame) == place.frame_bytes for frame in frames) else None


def _read_image(instance: StoredInstance, numbers: Sequence[int]) -> FileDataset:
    with open_regular(instance.path) as file:
        dataset = parse_instance(file, _NAME, stop_before_pixels=False)
    if "PixelData" not in dataset:
        raise UnavailableFrameError(f"Instance {instance.sop_instance_uid} has no pixel data.")
    check_pixels(dataset, _NAME)
    _check_numbers(instance, numbers, _frames_of(dataset))
    return dataset


def _frames_of(dataset: FileDataset) -> int:
    return int(dataset.get("NumberOfFrames") or 1)


def _check_numbers(instance: StoredInstance, numbers: Sequence[int], count: int) -> None:
    if not all(1 <= number <= count for number in numbers):
        raise UnavailableFrameError(f"Instance {instance.sop_instance_uid} has frames 1 to {count}, no other.")


def _stored_frames(dataset: FileDataset, numbers: Sequence[int]) -> list[bytes]:
    """Frames as the file has them, compressed or not; those after the last one asked for are not looked at."""
    count = _frames_of(dataset)
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        wanted, found = {*numbers}, {}
        for number, frame in enumerate(generate_pixel_data_frame(dataset.PixelData, count), start=1):
            if number in wanted:
                found[number] = frame
            if number == max(wanted):
                break
        if len(found) != len(wanted):
            raise UndecodableFrameError(f"The pixel data have fewer than the {count} frames of the header.")
        return [found[number] for number in numbers]
    bits = dataset.Rows * dataset.Columns * dataset.get("SamplesPerPixel", 1) * dataset.BitsAllocated
    if count > 1 and bits % 8:
        raise UndecodableFrameError("Frames that do not end on a byte cannot be served one by one.")
    size = get_expected_length(dataset) // count
    return [dataset.PixelData[(number - 1) * size : number * size] for number in numbers]


def _decoded(dataset: FileDataset, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """(H, W) or (H, W, samples) of each frame, little endian."""
    compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
    for frame in _stored_frames(dataset, numbers):
        image = _image_of(dataset, frame)
        if compressed:
            check_codestream(frame, image, _NAME)
        pixels = decode(image, _NAME)
        yield pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)


def _image_of(dataset: FileDataset, frame: bytes) -> Dataset:
    """A data set of one frame, with what codecs need of the header."""
    image = Dataset()
    image.file_meta, image.is_little_endian = dataset.file_meta, dataset.is_little_endian
    image.is_implicit_VR = dataset.is_implicit_VR
    for keyword in _PIXEL_KEYWORDS:
        if keyword in dataset:
            setattr(image, keyword, dataset.get(keyword))
    image.SamplesPerPixel = dataset.get("SamplesPerPixel", 1)
    image.PixelData = encapsulate([frame]) if dataset.file_meta.TransferSyntaxUID.is_compressed else frame
    image["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"  # in big endian, words are swapped
    return image


def _to_grey_levels(dataset: FileDataset, pixels: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """(H, W) uint8, windowed in blocks of rows."""
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth = window
        if "VOILUTSequence" in dataset:
            del dataset.VOILUTSequence

    def windowed(block: np.ndarray) -> np.ndarray:
        return np.asarray(apply_voi_lut(apply_modality_lut(block, dataset), dataset), dtype=np.float64)

    blocks = np.array_split(pixels, max(1, min(len(pixels), pixels.size // _BLOCK_PIXELS)))
    low, high = _display_range(dataset, blocks, windowed)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"
    grey = np.empty(pixels.shape, np.uint8)
    for block, target in zip(blocks, np.array_split(grey, len(blocks)), strict=True):
        levels = np.nan_to_num(np.clip((windowed(block) - low) / max(high - low, 1e-9), 0, 1)) * 255
        target[...] = 255 - levels if inverted else levels
    return grey


def _display_range(
    dataset: FileDataset, blocks: Sequence[np.ndarray], windowed: Callable[[np.ndarray], np.ndarray]
) -> tuple[float, float]:
    """What is black and white: pydicom's windowing spans the range of the stored bits."""
    if "WindowCenter" in dataset and "VOILUTSequence" not in dataset:
        bits = 2**dataset.BitsStored
        low, high = (-bits / 2, bits / 2 - 1) if dataset.PixelRepresentation else (0, bits - 1)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        return low * slope + intercept, high * slope + intercept
    if "VOILUTSequence" in dataset:
        return 0.0, float(2 ** dataset.VOILUTSequence[0].LUTDescriptor[2] - 1)
    ranges = [(values.min(), values.max()) for values in map(windowed, blocks)]
    return float(min(low for low, _ in ranges)), float(max(high for _, high in ranges))


def _typed(media_type: str, transfer_syntax_uid: str) -> str:
    return f"{media_type}; transfer-syntax={transfer_syntax_uid}"
