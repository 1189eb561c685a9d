"""Scenes for the tests: the running Slicer's own logics are left alone."""

import os
import unittest
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SERVER = os.environ.get("MAMMOSYNTH_SERVER", "")
EXAM = Path(os.environ.get("MAMMOSYNTH_EXAM", ""))  # folder with the DICOM files of a study
needs_server = unittest.skipUnless(SERVER, "set MAMMOSYNTH_SERVER to the address of a running server")


class Scene:
    """A scene with the colours, the orientations and, if asked for, the two slice views of the application."""

    def __init__(self, *, views: bool = False) -> None:
        self.mrml = slicer.vtkMRMLScene()
        self.colours = slicer.vtkMRMLColorLogic()
        self.colours.SetMRMLScene(self.mrml)
        self.colours.AddDefaultColorNodes()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.mrml)
        _register_label_maps()
        self.application = slicer.vtkMRMLApplicationLogic()
        self.application.SetMRMLScene(self.mrml)
        self.slices = []
        if views:
            self._add_views()

    def volume(self, pixels: np.ndarray, name: str = "R CC", spacing_mm: float = 0.5):
        """A slice as Slicer loads a mammogram without patient position: columns to the left, rows to the back."""
        volume = self.mrml.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        matrix = np.diag([-spacing_mm, -spacing_mm, 1.0, 1.0])
        volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        slicer.util.updateVolumeFromArray(volume, pixels[np.newaxis])
        volume.CreateDefaultDisplayNodes()
        return volume

    def segmentation(self, volume, *masks: np.ndarray):
        """One segment per (H, W) mask."""
        node = self.mrml.AddNewNodeByClass("vtkMRMLSegmentationNode", "Lesions")
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        for number, mask in enumerate(masks, start=1):
            image = slicer.vtkOrientedImageData()
            image.SetDimensions(mask.shape[1], mask.shape[0], 1)
            image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
            image.SetImageToWorldMatrix(matrix)

            array = vtk_to_numpy(image.GetPointData().GetScalars())
            array[:] = mask.ravel() > 0
            node.AddSegmentFromBinaryLabelmapRepresentation(image, f"Lesion {number}")
        return node

    def seen(self, view: int) -> np.ndarray:
        """(H, W) uint8: what a slice view shows, top row first."""
        logic = self.slices[view]
        logic.UpdatePipeline()
        producer = logic.GetImageDataConnection().GetProducer()
        producer.Update()
        image = producer.GetOutputDataObject(0)
        width, height, _ = image.GetDimensions()
        values = vtk_to_numpy(image.GetPointData().GetScalars())
        return np.flipud(values.reshape(height, width, -1)[..., 0])

    def _add_views(self) -> None:
        self.mrml.AddNewNodeByClass("vtkMRMLLayoutNode")
        self.links = slicer.vtkMRMLSliceLinkLogic()
        self.links.SetMRMLApplicationLogic(self.application)
        self.links.SetMRMLScene(self.mrml)
        logics = vtk.vtkCollection()
        for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal")):  # as Slicer starts
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self.application)
            logic.SetMRMLScene(self.mrml)
            node = logic.AddSliceNode(name)
            node.SetOrientation(orientation)
            node.SetDimensions(60, 40, 1)
            logics.AddItem(logic)
            self.slices.append(logic)
        self.application.SetSliceLogics(logics)
        self.logics = logics


def _register_label_maps() -> None:
    """What the application's Segmentations module does at its start: empty segments need it."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    if not factory.ConstructRepresentationObjectByClass("vtkOrientedImageData"):
        factory.RegisterConverterRule(slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule())


def breast(height: int = 40, width: int = 30) -> np.ndarray:
    """(H, W) uint16, unlike itself under every flip and turn; 16 bits are used."""
    rows, columns = np.mgrid[:height, :width]
    return (65535 * (0.2 + 0.5 * columns / width + 0.3 * rows / height)).astype(np.uint16)
