"""One Qt control per parameter of the server's list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

import qt

_DECIMALS = 4


class Control:
    """A control, its label and how to read it.

    Attributes:
        name: Of the parameter.
        label: Name and unit.
        widget: The Qt widget; its tool tip is the parameter's description.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        kind = "options" if described.get("options") else described["type"]
        self.name = described["name"]
        unit = described.get("unit")
        self.label = self.name.replace("_", " ") + (f" ({unit})" if unit else "")
        self.widget, self._read = _BUILDERS[kind](described)
        self.widget.setToolTip(described.get("description") or "")

    def value(self) -> Any:
        """What is chosen; None for the server's default."""
        return self._read()


def _options(described: Mapping[str, Any]) -> tuple[Any, Callable[[], Any]]:
    box = qt.QComboBox()
    choices = list(described["options"])
    if described["default"] is None:
        choices = [None, *choices]
    for choice in choices:
        box.addItem("as in the image" if choice is None else str(choice))
    if described["default"] in choices:
        box.setCurrentIndex(choices.index(described["default"]))
    return box, lambda: choices[box.currentIndex]


def _boolean(described: Mapping[str, Any]) -> tuple[Any, Callable[[], Any]]:
    box = qt.QCheckBox()
    box.setChecked(bool(described["default"]))
    return box, lambda: bool(box.checked)


def _integer(described: Mapping[str, Any]) -> tuple[Any, Callable[[], Any]]:
    box = qt.QSpinBox()
    _set_range(box, described, -(2**31), 2**31 - 1)
    return box, lambda: int(box.value)


def _number(described: Mapping[str, Any]) -> tuple[Any, Callable[[], Any]]:
    box = qt.QDoubleSpinBox()
    box.setDecimals(_DECIMALS)
    _set_range(box, described, -1e9, 1e9)
    return box, lambda: float(box.value)


def _string(described: Mapping[str, Any]) -> tuple[Any, Callable[[], Any]]:
    line = qt.QLineEdit()
    line.setText(described["default"] or "")
    return line, lambda: line.text.strip() or None


def _set_range(box: Any, described: Mapping[str, Any], lowest: float, highest: float) -> None:
    minimum, maximum = described.get("minimum"), described.get("maximum")
    box.setMinimum(lowest if minimum is None else minimum)
    box.setMaximum(highest if maximum is None else maximum)
    box.setValue(described["default"] or 0)


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Any, Callable[[], Any]]]] = {
    "options": _options,
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "string": _string,
}
