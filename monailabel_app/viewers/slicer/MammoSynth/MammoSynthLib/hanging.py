"""Source and result beside each other, zoomed and moved together where they share a geometry."""

from __future__ import annotations

from typing import Any

import slicer

VIEWS = ("Red", "Yellow")  # what Slicer calls the two views of its side-by-side layout


def hang(application: Any, source: Any, result: Any, *, linked: bool = True) -> None:
    """Show two volumes side by side, each in the plane of its image.

    Args:
        application: Slicer's application logic, which has the slice views.
        source: Goes to the left.
        result: Goes to the right.
        linked: Whether zooming and moving one does it to the other: if the same place is the same in both.
    """
    layout = application.GetMRMLScene().GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layout is not None:
        layout.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    for view, volume in zip(VIEWS, (source, result)):
        logic = application.GetSliceLogicByLayoutName(view)
        composite, node = logic.GetSliceCompositeNode(), logic.GetSliceNode()
        composite.SetBackgroundVolumeID(volume.GetID())
        composite.SetForegroundVolumeID(None)
        composite.SetLinkedControl(linked)
        composite.SetHotLinkedControl(linked)
        node.SetOrientation("Axial")  # links hold between views of equal orientation
        node.RotateToVolumePlane(volume)
    fit(application)


def fit(application: Any) -> None:
    """Let each image fill its view; once more when the views have got their size on the screen."""
    for view in VIEWS:
        application.GetSliceLogicByLayoutName(view).FitSliceToBackground()
