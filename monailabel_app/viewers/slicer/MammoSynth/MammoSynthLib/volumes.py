"""Images as volume nodes: where a source comes from, and how a result is laid on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import slicer
import vtk

WHITE = 65535  # stored value of white in everything the server makes
_PREFIX = "MammoSynth."
_GENERATED = _PREFIX + "Generated"
_PROVENANCE = _PREFIX + "Provenance."
_SHOWN_PERCENTILES = (1.0, 99.5)  # of the breast, from black to white: as the server stores them with a result
_SAME_PLACE_MM = 1e-2  # spacing passes through 32-bit floats on some ways: 1e-7 of 300 mm is less


class VolumeError(Exception):
    """What is wrong with a node, in a sentence for the user."""


@dataclass(frozen=True)
class Source:
    """An image to start from.

    Attributes:
        name: As the user knows it.
        study_instance_uid: Empty if it is no DICOM image.
        series_instance_uid: The same.
        sop_instance_uid: The same.
        file: Its DICOM file on this computer, if there is one.
    """

    name: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    file: Path | None = None


def source_of(volume: Any, database: Any = None) -> Source:
    """What a volume node shows.

    Args:
        volume: vtkMRMLScalarVolumeNode: loaded from DICOM, from the server, or from any file.
        database: Slicer's DICOM database (ctkDICOMDatabase).

    Raises:
        VolumeError: If it was synthesized itself, or is no single image.
    """
    name = volume.GetName()
    if is_generated(volume):
        raise VolumeError(f"{name}: was synthesized itself; choose its source")
    if volume.GetImageData() is None or volume.GetImageData().GetDimensions()[2] != 1:
        raise VolumeError(f"{name}: is no single image; load the views of a series one by one (DICOM module, Advanced)")
    if volume.GetAttribute(_PREFIX + "SOPInstanceUID"):
        uids = [
            volume.GetAttribute(_PREFIX + key) for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        ]
        return Source(name, *uids)
    image = volume.GetAttribute("DICOM.instanceUIDs") or ""
    file = database.fileForInstance(image) if database is not None and image else ""
    if not file:
        return Source(name)
    study, series = (database.fileValue(file, tag) for tag in ("0020,000d", "0020,000e"))
    return Source(name, study, series, image, Path(file))


def load_source(scene: Any, path: Path, source: Source) -> Any:
    """A volume node of an image that the server sent, in the server's display: black 0, white 65535."""
    volume = _load(scene, path, source.name)
    uids = (source.study_instance_uid, source.series_instance_uid, source.sop_instance_uid)
    for key, uid in zip(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"), uids):
        volume.SetAttribute(_PREFIX + key, uid)
    _set_window(volume, 0, WHITE)
    return volume


def load_result(scene: Any, path: Path, name: str, provenance: Mapping[str, Any], source_volume: Any = None) -> Any:
    """A volume node of a synthesized image.

    Args:
        scene: Where it goes.
        path: NRRD or DICOM.
        name: Of the node.
        provenance: Kept as attributes of the node.
        source_volume: What it must lie on; None if it has a geometry of its own.

    Raises:
        VolumeError: If it does not lie on the source.
    """
    volume = _load(scene, path, name)
    if source_volume is not None:
        try:
            _lay_on(volume, source_volume)
        except VolumeError:
            scene.RemoveNode(volume)
            raise
    note_provenance(volume, provenance)
    _set_window(volume, *_window_of(path, volume))
    return volume


def note_provenance(node: Any, provenance: Mapping[str, Any]) -> None:
    """Mark a node as synthesized, and keep how it was made as its attributes."""
    node.SetAttribute(_GENERATED, "YES")
    for key, value in provenance.items():
        node.SetAttribute(_PROVENANCE + key, value if isinstance(value, str) else json.dumps(value))


def provenance_of(node: Any) -> dict[str, str]:
    """What is known about how a node was made; empty if it was not synthesized."""
    names = [name for name in node.GetAttributeNames() if name.startswith(_PROVENANCE)]
    return {name[len(_PROVENANCE) :]: node.GetAttribute(name) for name in names}


def is_generated(volume: Any) -> bool:
    """Whether a volume was synthesized, so that nothing is to be made from it."""
    return bool(volume.GetAttribute(_GENERATED))


def write_nrrd(volume: Any, path: Path) -> None:
    """A volume as it is, as NRRD file.

    Raises:
        VolumeError: If it cannot be written.
    """
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    if not storage.WriteData(volume):
        raise VolumeError(f"{volume.GetName()}: cannot be written to {path.parent}; check the free space")


def write_labels(labels: np.ndarray, volume: Any, path: Path) -> None:
    """(H, W) uint8 numbers on the matrix of a volume, as NRRD file.

    Raises:
        VolumeError: If it cannot be written.
    """
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(path.stem)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix_of(volume)))
    slicer.util.updateVolumeFromArray(node, labels[np.newaxis])
    write_nrrd(node, path)


def matrix_of(volume: Any) -> np.ndarray:
    """(4, 4) from column, row, slice to right, anterior, superior in mm."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _load(scene: Any, path: Path, name: str) -> Any:
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    storage.SetSingleFile(1)  # else its neighbours in the folder are taken for slices of a series
    volume = slicer.vtkMRMLScalarVolumeNode()
    if not storage.ReadData(volume):
        raise VolumeError(f"{path.name}: what the server sent cannot be read; try again, then look at its log")
    volume.SetName(name)
    scene.AddNode(volume)
    volume.CreateDefaultDisplayNodes()
    return volume


def _lay_on(volume: Any, source: Any) -> None:
    mine, sources = matrix_of(volume), matrix_of(source)
    size, expected = (node.GetImageData().GetDimensions() for node in (volume, source))
    last = np.array([*expected[:2], 1, 1])
    if size != expected or np.abs((mine - sources) * last).max() > _SAME_PLACE_MM:  # every axis, and the origin
        raise VolumeError(
            f"{volume.GetName()}: does not lie on {source.GetName()} ({size} and {expected} pixels); the source was "
            "changed after loading, load it again"
        )
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(sources))


def _set_window(volume: Any, black: float, white: float) -> None:
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(black, white)


def _window_of(path: Path, volume: Any) -> tuple[float, float]:
    """Values of black and white: those in the header of a DICOM file, PS3.3 C.11.2.1.2, else those of the breast."""
    if path.suffix == ".dcm":
        header = pydicom.dcmread(path, stop_before_pixels=True)
        center, width = float(header.WindowCenter), float(header.WindowWidth)
        return center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    pixels = slicer.util.arrayFromVolume(volume)
    breast = pixels[(pixels > 0) & (pixels < WHITE)]  # neither the background nor the mark that is burned in
    black, white = np.percentile(breast, _SHOWN_PERCENTILES) if breast.size else (0, WHITE)
    return float(black), float(max(white, black + 1))
