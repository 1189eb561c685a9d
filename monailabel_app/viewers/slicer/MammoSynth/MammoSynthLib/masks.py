"""Lesions: from a segmentation node to the pixels of an image, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from MammoSynthLib.volumes import VolumeError, matrix_of

CLASSES = ("malignant", "benign")
_CLASS_TAG = "MammoSynth.LesionClass"
_MOST_SEGMENTS = 255  # a label map of 8 bits


@dataclass(frozen=True)
class Mask:
    """Lesions on the matrix of an image.

    Attributes:
        pixels: (H, W) uint8: 0, or the number of a segment.
        segments: number, label and lesion_class (malignant, benign or None) of each.
        name: Of the segmentation.
    """

    pixels: np.ndarray
    segments: list[dict[str, Any]]
    name: str


def mask_of(segmentation: Any, volume: Any) -> Mask:
    """The segments at the resolution of an image; where they overlap the later one wins.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        volume: The image, a single slice.

    Raises:
        VolumeError: If nothing is drawn on the image, or there are too many segments.
    """
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(index) for index in range(segments.GetNumberOfSegments())]
    if len(ids) > _MOST_SEGMENTS:
        raise VolumeError(f"{segmentation.GetName()}: {len(ids)} segments, expected at most {_MOST_SEGMENTS}")
    exported = _exported(segmentation, ids, volume)
    drawn = [number for number in range(1, len(ids) + 1) if (exported == number).any()]
    if not drawn:
        raise VolumeError(f"{segmentation.GetName()}: nothing is drawn on {volume.GetName()}; paint a lesion first")
    pixels, described = np.zeros_like(exported), []
    for number, before in enumerate(drawn, start=1):  # a SEG counts its segments from 1 without gaps
        pixels[exported == before] = number
        segment = segments.GetSegment(ids[before - 1])
        described.append({"number": number, "label": segment.GetName(), "lesion_class": lesion_class(segment)})
    return Mask(pixels, described, segmentation.GetName())


def load_mask(scene: Any, mask: Mask, volume: Any) -> Any:
    """A segmentation node of lesions that the server holds, drawn on the image."""
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


def lesion_class(segment: Any) -> str | None:
    """malignant, benign, or None where nobody said it."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(_CLASS_TAG, value) and str(value) in CLASSES else None


def set_lesion_class(segment: Any, name: str | None) -> None:
    """Note what a lesion is; None takes it back."""
    if name is None:
        segment.RemoveTag(_CLASS_TAG)
    else:
        segment.SetTag(_CLASS_TAG, name)


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
        set_lesion_class(segment, one.get("lesion_class"))
