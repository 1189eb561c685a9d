"""The section in which a label map is drawn: segmentation, Slicer's own segment editor, what every segment is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
import slicer

from MammoSynthLib.masks import LESION_CLASSES, class_of, set_class
from MammoSynthLib.model import Slot

_NOT_STATED = "not stated"
_EFFECTS = ("Paint", "Draw", "Erase", "Scissors", "Islands")


class Drawing:
    """What the section `drawingSection` of the panel does."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._classes: Sequence[str] = LESION_CLASSES
        self._editor: Any = None
        self._observed: list[tuple[Any, int]] = []
        ui.segmentation.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: self._watch())
        self.offer(None)

    def offer(self, slot: Slot | None) -> None:
        """Show the section for a slot, or hide it for a model that takes no drawing."""
        ui = self._ui
        ui.drawingSection.setVisible(slot is not None)
        if slot is None:
            return
        ui.drawingSection.text = slot.label
        ui.drawingSection.setToolTip(slot.description)
        self._classes = tuple(slot.classes.values()) or LESION_CLASSES
        self._list_classes()

    def node(self) -> Any:
        """The chosen segmentation; None if there is none."""
        return self._ui.segmentation.currentNode()

    def paint(self, volume: Any) -> None:
        """Draw on an image with Slicer's own segment editor, inside this section."""
        node = self.node()
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", self._ui.drawingSection.text)
        if node.GetSegmentation().GetNumberOfSegments() == 0:
            node.CreateDefaultDisplayNodes()
            node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
            name = "Lesion 1" if set(self._classes) <= set(LESION_CLASSES) else self._classes[0]
            node.GetSegmentation().AddEmptySegment(name, name)
        self._ui.segmentation.setCurrentNode(node)
        editor = self._segment_editor()
        editor.setSegmentationNode(node)
        editor.setSourceVolumeNode(volume)
        editor.setActiveEffectByName("Paint")

    def leave(self) -> None:
        """Let go of the mouse in the views."""
        if self._editor is not None:
            self._editor.setActiveEffect(None)
            self._editor.removeViewObservations()

    def close(self) -> None:
        """Forget the segmentation."""
        for segments, tag in self._observed:
            segments.RemoveObserver(tag)
        self._observed = []

    def _watch(self) -> None:
        self.close()
        node = self.node()
        if node is not None:
            segments = node.GetSegmentation()
            for event in ("SegmentAdded", "SegmentRemoved", "SegmentModified"):
                tag = segments.AddObserver(getattr(slicer.vtkSegmentation, event), lambda *_: self._list_classes())
                self._observed.append((segments, tag))
        self._list_classes()

    def _list_classes(self) -> None:
        node, table = self.node(), self._ui.classes
        segments = node.GetSegmentation() if node is not None else None
        count = segments.GetNumberOfSegments() if segments is not None else 0
        table.setRowCount(count)
        for row in range(count):
            segment = segments.GetNthSegment(row)
            table.setItem(row, 0, qt.QTableWidgetItem(segment.GetName()))
            table.setCellWidget(row, 1, self._class_box(segment))

    def _class_box(self, segment: Any) -> Any:
        box, names = qt.QComboBox(), (_NOT_STATED, *self._classes)
        for name in names:
            box.addItem(name)
        chosen = class_of(segment, self._classes)
        box.setCurrentIndex(names.index(chosen) if chosen else 0)
        box.connect("currentIndexChanged(int)", lambda index: set_class(segment, names[index] if index > 0 else None))
        return box

    def _segment_editor(self) -> Any:
        if self._editor is None:
            self._editor = slicer.qMRMLSegmentEditorWidget()
            self._editor.setMaximumNumberOfUndoStates(10)
            self._editor.setEffectNameOrder(list(_EFFECTS))
            self._editor.unorderedEffectsVisible = False
            self._ui.editorPlace.layout().addWidget(self._editor)
        if self._editor.mrmlSegmentEditorNode() is None:  # the first time, and after the scene was closed
            self._editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNode(slicer.vtkMRMLSegmentEditorNode()))
            self._editor.setMRMLScene(slicer.mrmlScene)
        self._editor.setupViewObservations()
        return self._editor
