"""`Choices`: what the panel keeps in the scene, so that a saved one opens with it."""

from __future__ import annotations

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class Choices:
    """The choices of the panel, in Slicer's parameter node of the module.

    Address and token of the server are of this computer and its user, not of a scene, and are not kept here.

    Attributes:
        model: Name as the server lists it; empty until one is chosen.
        image: What the first image slot of any model gets, and what is drawn on.
        drawing: What the first label map slot of any model gets.
        more_images: Of further image slots, by role.
        more_drawings: Of further label map slots, by role.
        texts: Of JSON slots as they were typed, by role.
        values: A JSON object of the parameters that differ from the model's defaults; what another model does not know
            is kept for those that do.
        store: Whether results become series in the archive.
    """

    model: str
    image: slicer.vtkMRMLScalarVolumeNode
    drawing: slicer.vtkMRMLSegmentationNode
    more_images: dict[str, slicer.vtkMRMLScalarVolumeNode]
    more_drawings: dict[str, slicer.vtkMRMLSegmentationNode]
    texts: dict[str, str]
    values: str = "{}"
    store: bool = False
