"""What a DICOM Segmentation means to a task: its segments as the numbers that a slot asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from mammosynth.dicom.bounded import check_pixels, open_regular, parse_instance
from mammosynth.dicom.segmentation import (
    Segment,
    check_matrix,
    check_segmentation,
    read_segments,
    referenced_images,
)
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram


def open_segmentation(path: Path) -> Dataset:
    """The dataset in a file, with its pixels; see `read_drawing`.

    Raises:
        UnreadableImageError: If the file is missing or damaged.
    """
    try:
        with open_regular(path) as file:
            return parse_instance(file, path.name, stop_before_pixels=False)
    except OSError as error:
        raise UnreadableImageError(
            f"{path.name}: cannot be read ({error.strerror}); check that it is there."
        ) from error


def read_drawing(dataset: Dataset, name: str, image: Mammogram | None, classes: Mapping[int, str]) -> LabelMap:
    """The label map of a segmentation.

    Args:
        dataset: With its pixels.
        name: How messages and provenance name it.
        image: What it must be drawn on; None if it may be drawn on anything.
        classes: What the numbers of the label map are to mean; empty for the segments' own numbers.

    Raises:
        UnsupportedImageError: If it is no segmentation, of another image, or of something that no class stands for.
        UnreadableImageError: If it cannot be decoded.
    """
    check_segmentation(dataset, name)
    check_pixels(dataset, name)
    shown = referenced_images(dataset)
    own = "" if image is None or image.header is None else str(image.header.SOPInstanceUID)
    if not shown or (image is not None and own not in shown):
        raise UnsupportedImageError(
            f"{name}: drawn on image {', '.join(shown) or 'none'}, expected {own or 'one image'}; draw on the "
            "source itself"
        )
    shape = (int(dataset.Rows), int(dataset.Columns))
    if image is not None and image.header is not None:
        check_matrix(shape, image.header, image.source_name)
    return number_segments(read_segments(dataset, own or shown[0], name), shape, name, classes, dataset)


def number_segments(
    segments: Sequence[Segment], shape: tuple[int, int], name: str, classes: Mapping[int, str], header: Dataset
) -> LabelMap:
    """Segments as one label map; where they overlap, the higher number.

    Args:
        segments: What is drawn.
        shape: (H, W) of the image.
        name: How messages and provenance name the segmentation.
        classes: What the numbers are to mean; a segment is of a class if that is its lesion class
            ("malignant", or "malignant lesion") or its label.
        header: Of the segmentation; its pixels are not looked at.

    Raises:
        UnsupportedImageError: If no class stands for a segment.
    """
    numbers = {name.casefold(): number for number, name in classes.items()}
    labels = np.zeros(shape, np.uint8)
    known = dict(classes)
    for segment in sorted(segments, key=lambda segment: segment.number):
        number = segment.number
        if classes:
            kind = segment.lesion_class
            words = [word.casefold() for word in (kind and f"{kind}", kind and f"{kind} lesion", segment.label) if word]
            number = next((numbers[word] for word in words if word in numbers), 0)
            if not number:
                raise UnsupportedImageError(
                    f"{name}: segment {segment.number} is '{segment.label}', expected one of "
                    f"{', '.join(classes.values())}; name its class"
                )
        else:
            known[number] = str(segment.lesion_class or segment.label)
        labels[segment.mask] = np.maximum(labels[segment.mask], number)
    return LabelMap(labels, name, known, header=header)
