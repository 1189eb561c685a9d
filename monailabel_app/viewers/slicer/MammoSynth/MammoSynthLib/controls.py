"""Qt controls for what a model lists: one per parameter, and one per input beside image and drawing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

import qt
import slicer

from MammoSynthLib.model import IMAGE, JSON, Slot, fits, spaced

_DECIMALS = 4
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1  # what Qt's spin box can hold
_NOT_SET = "automatic"
_NODES = {IMAGE: "vtkMRMLScalarVolumeNode"}  # any other input that is a node is a segmentation
_TEXT_HEIGHT = 60  # pixels


class Control:
    """A control, its label, and how to read it.

    Attributes:
        name: Of the parameter, or role of the input.
        label: Name and unit.
        widget: The Qt widget; its tool tip says what it is for.
        default: Value of a parameter that nobody has touched.
    """

    def __init__(self, name: str, described: Mapping[str, Any], kept: Any, changed: Callable[[], None]) -> None:
        """Build it.

        Args:
            name: Of the parameter.
            described: As JSON Schema.
            kept: A value that was chosen before, perhaps for another model; None if there is none.
            changed: Called when another value is chosen.
        """
        self.name = name
        self.default = described.get("default")
        unit = described.get("unit")
        self.label = spaced(name) + (f" ({unit})" if unit else "")
        kind = "enum" if described.get("enum") else described.get("type", "string")
        shown = kept if fits(kept, described) else self.default
        self.widget, self._read, signal = _BUILDERS[kind](described, shown)
        self.widget.setToolTip(described.get("description") or "")
        self.widget.connect(signal, lambda *_: changed())

    def value(self) -> Any:
        """What is chosen; None for the server's default."""
        return self._read()


class NodeInput:
    """A node of the scene for a slot beside the first of its kind."""

    def __init__(self, slot: Slot, node: Any, changed: Callable[[], None]) -> None:
        """Build it, with the node that was chosen before; None if there is none."""
        self.slot = slot
        self.widget = box = slicer.qMRMLNodeComboBox()
        box.nodeTypes = [_NODES.get(slot.kind, "vtkMRMLSegmentationNode")]
        box.showChildNodeTypes = False
        box.noneEnabled = True
        box.addEnabled = False
        box.removeEnabled = False
        box.setMRMLScene(slicer.mrmlScene)
        box.setCurrentNode(node)
        box.setToolTip(slot.description)
        box.connect("currentNodeChanged(vtkMRMLNode*)", lambda _: changed())

    def value(self) -> Any:
        """The chosen node; None if there is none."""
        return self.widget.currentNode()


class TextInput:
    """JSON that is typed, or read from a file."""

    def __init__(self, slot: Slot, text: str, changed: Callable[[], None]) -> None:
        """Build it, with the text that was typed before."""
        self.slot = slot
        self.widget = qt.QWidget()
        self.text = qt.QPlainTextEdit()
        self.text.setMaximumHeight(_TEXT_HEIGHT)
        self.text.setPlainText(text)
        self.text.setToolTip(slot.description)
        self.text.connect("textChanged()", changed)
        self.open_button = qt.QPushButton("From file…")
        self.open_button.connect("clicked()", self._open)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addWidget(self.open_button)

    def value(self) -> str:
        """The text as it is."""
        return self.text.toPlainText()

    def _open(self) -> None:
        path = qt.QFileDialog.getOpenFileName(self.widget, self.slot.label, "", "JSON (*.json);;All files (*)")
        if path:
            self.text.setPlainText(Path(path).read_text(encoding="utf-8", errors="replace"))


def input_for(slot: Slot, kept: Any, changed: Callable[[], None]) -> Any:
    """The control of a slot beside the first of its kind.

    Args:
        slot: What it is for.
        kept: What was chosen before: a node, or a text.
        changed: Called when something else is chosen.
    """
    return TextInput(slot, kept or "", changed) if slot.kind == JSON else NodeInput(slot, kept, changed)


_Built = tuple[Any, Callable[[], Any], str]


def _enum(described: Mapping[str, Any], shown: Any) -> _Built:
    box = qt.QComboBox()
    choices = list(described["enum"])
    if described.get("default") is None:
        choices = [None, *choices]
    for choice in choices:
        box.addItem(_NOT_SET if choice is None else str(choice))
    if shown in choices:
        box.setCurrentIndex(choices.index(shown))
    return box, lambda: choices[box.currentIndex], "currentIndexChanged(int)"


def _boolean(described: Mapping[str, Any], shown: Any) -> _Built:
    box = qt.QCheckBox()
    box.setChecked(bool(shown))
    return box, lambda: bool(box.checked), "stateChanged(int)"


def _integer(described: Mapping[str, Any], shown: Any) -> _Built:
    box = qt.QSpinBox()
    read = _set_range(box, described, shown, _SMALLEST, _LARGEST, 1)
    return box, lambda: read(int), "valueChanged(int)"


def _number(described: Mapping[str, Any], shown: Any) -> _Built:
    box = qt.QDoubleSpinBox()
    box.setDecimals(_DECIMALS)
    read = _set_range(box, described, shown, -1e9, 1e9, 1.0)
    return box, lambda: read(float), "valueChanged(double)"


def _string(described: Mapping[str, Any], shown: Any) -> _Built:
    line = qt.QLineEdit()
    line.setText(shown or "")
    return line, lambda: line.text.strip() or None, "textChanged(QString)"


def _set_range(box: Any, described: Mapping[str, Any], shown: Any, lowest: float, highest: float, step: float) -> Any:
    """Set limits and value; a box whose default is null says so one step below its smallest value.

    Returns:
        Gives the value as a type; None if it is not set.
    """
    limits = [described.get("minimum"), described.get("maximum")]
    minimum, maximum = (
        unlimited if limit is None else min(max(limit, lowest), highest)
        for limit, unlimited in zip(limits, (lowest, highest))
    )
    may_be_empty = described.get("default") is None and "default" in described
    if may_be_empty:
        minimum = max(minimum, lowest + step) - step
        box.setSpecialValueText(_NOT_SET)
    box.setMinimum(minimum)
    box.setMaximum(maximum)
    box.setValue((minimum if may_be_empty else 0) if shown is None else shown)
    return lambda kind: None if may_be_empty and box.value <= minimum else kind(box.value)


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any], Any], _Built]] = {
    "enum": _enum,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "string": _string,
}
