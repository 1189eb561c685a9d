"""Drawings: from a segmentation node to the pixels of an image, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from MammoSynthLib.volumes import VolumeError, matrix_of

LESION_CLASSES = ("malignant", "benign")
"""What a lesion can be; of a model that lists other classes, a segment's class is stored as its name."""
_CLASS_TAG = "MammoSynth.Class"
_MOST_SEGMENTS = 255  # a label map of 8 bits


@dataclass(frozen=True)
class Mask:
    """A drawing on the matrix of an image.

    Attributes:
        pixels: (H, W) uint8: 0, or the number of a segment.
        segments: number, label, lesion_class (malignant, benign or None) and is_lesion of each.
        name: Of the segmentation.
    """

    pixels: np.ndarray
    segments: list[dict[str, Any]]
    name: str

    def numbered(self, classes: Mapping[int, str]) -> np.ndarray:
        """(H, W) uint8 with the number of the class at each pixel; that of the segment if there are no classes."""
        if not classes:
            return self.pixels
        numbers = {name: number for number, name in classes.items()}
        labels = np.zeros_like(self.pixels)
        for one in self.segments:
            words = (*_words(one["lesion_class"]), one["label"])
            labels[self.pixels == one["number"]] = next(numbers[word] for word in words if word in numbers)
        return labels


def mask_of(
    segmentation: Any, volume: Any, classes: Mapping[int, str] | None = None, lesions: Sequence[str] = ()
) -> Mask:
    """The segments at the resolution of an image; where they overlap the later one wins.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        volume: The image, a single slice.
        classes: What every segment must be one of; None or empty if it may be anything.
        lesions: Which of these are lesions; empty if all are.

    Raises:
        VolumeError: If nothing is drawn on the image, there are too many segments, or one is of no class.
    """
    names = list((classes or {}).values())
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    if len(ids) > _MOST_SEGMENTS:
        raise VolumeError(f"{segmentation.GetName()}: {len(ids)} segments, expected at most {_MOST_SEGMENTS}")
    exported = _exported(segmentation, ids, volume)
    drawn = [number for number in range(1, len(ids) + 1) if (exported == number).any()]
    if not drawn:
        raise VolumeError(f"{segmentation.GetName()}: nothing is drawn on {volume.GetName()}; paint something first")
    pixels, described = np.zeros_like(exported), []
    for number, before in enumerate(drawn, start=1):  # a SEG counts its segments from 1 without gaps
        pixels[exported == before] = number
        segment = segments.GetSegment(ids[before - 1])
        what = class_of(segment, names or LESION_CLASSES)
        if names and what is None:
            raise VolumeError(
                f"{segmentation.GetName()}: '{segment.GetName()}' has no class, expected {' or '.join(names)}; choose "
                "it in the list of what is drawn"
            )
        lesion_class = next((each for each in LESION_CLASSES if what in _words(each)), None)
        label = segment.GetName() if lesion_class or what is None else what
        is_lesion = not lesions or what in lesions
        described.append({"number": number, "label": label, "lesion_class": lesion_class, "is_lesion": is_lesion})
    return Mask(pixels, described, segmentation.GetName())


def load_mask(scene: Any, mask: Mask, volume: Any) -> Any:
    """A segmentation node of a drawing that the server holds, on its image."""
    labels = _label_volume(scene, volume)
    slicer.util.updateVolumeFromArray(labels, mask.pixels[np.newaxis])
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", mask.name)
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    logic.ImportLabelmapToSegmentationNode(labels, segmentation)
    _remove_labels(scene, labels)
    _name_segments(segmentation.GetSegmentation(), mask)
    return segmentation


def class_of(segment: Any, classes: Sequence[str]) -> str | None:
    """Which of the classes a segment is of, by choice or by its name; None where nobody said it."""
    value = vtk.reference("")
    said = str(value) if segment.GetTag(_CLASS_TAG, value) else segment.GetName()
    words = [said.casefold(), f"{said} lesion".casefold()]
    return next((name for name in classes if name.casefold() in words), None)


def set_class(segment: Any, name: str | None) -> None:
    """Note what a segment is; None takes it back."""
    if name is None:
        segment.RemoveTag(_CLASS_TAG)
    else:
        segment.SetTag(_CLASS_TAG, name)


def _words(lesion_class: str | None) -> tuple[str, ...]:
    """How a class of lesions is called: "malignant", or "malignant lesion"."""
    return (lesion_class, f"{lesion_class} lesion") if lesion_class else ()


def _exported(segmentation: Any, ids: Sequence[str], volume: Any) -> np.ndarray:
    scene = volume.GetScene()
    wanted = vtk.vtkStringArray()
    for id_ in ids:
        wanted.InsertNextValue(id_)
    height, width = slicer.util.arrayFromVolume(volume).shape[1:]
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "mask")
    done = bool(ids) and slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(
        segmentation, wanted, labels, volume, slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    )
    pixels = slicer.util.arrayFromVolume(labels)[0].astype(np.uint8) if done else np.zeros((height, width), np.uint8)
    _remove_labels(scene, labels)
    return pixels


def _label_volume(scene: Any, volume: Any) -> Any:
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "mask")
    labels.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix_of(volume)))
    return labels


def _remove_labels(scene: Any, labels: Any) -> None:
    display = labels.GetDisplayNode()
    if display is not None:
        if display.GetColorNode() is not None and not display.GetColorNode().GetSingletonTag():
            scene.RemoveNode(display.GetColorNode())  # made for this export
        scene.RemoveNode(display)
    scene.RemoveNode(labels)


def _name_segments(segmentation: Any, mask: Mask) -> None:
    """Import makes one segment per value that occurs, in ascending order; a segment may be empty, or all covered."""
    present = [one for one in mask.segments if (mask.pixels == one["number"]).any()]
    for index, one in enumerate(sorted(present, key=lambda one: one["number"])):
        segment = segmentation.GetNthSegment(index)
        segment.SetName(one["label"])
        set_class(segment, one.get("lesion_class"))
