"""What one press of Generate sends, and how a model's own parameters are offered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
_FILLED_IN = ("sop_instance_uid",)  # known from the chosen image
_ADVANCED = ("view_position", "image_laterality")  # needed only where a header is silent


@dataclass(frozen=True)
class Parameters:
    """The choices of the panel.

    Attributes:
        address: Of the server, as `http://host:port`.
        token: What the server asks for, if it was started with one.
        model: Name of the model as the server lists it.
        values: Parameters of that model by name; what is left out has its default.
        store_in_study: Whether the result becomes a series of the study in the server's archive.
    """

    address: str = DEFAULT_ADDRESS
    token: str = ""
    model: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    store_in_study: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/\s]+/?", self.address):
            raise ValueError(f"the server's address is {self.address!r}, expected one such as {DEFAULT_ADDRESS}")


def offered(described: Sequence[Mapping[str, Any]], *, advanced: bool) -> list[Mapping[str, Any]]:
    """The parameters to show, in the server's order.

    Args:
        described: A model's `parameters` in the server's /info.
        advanced: Those that are folded away instead.
    """
    shown = [one for one in described if one["name"] not in _FILLED_IN]
    return [one for one in shown if (one["name"] in _ADVANCED) == advanced]


def mask_parameter(described: Sequence[Mapping[str, Any]]) -> str | None:
    """Name of the parameter that takes a label map drawn on the source; None if the model has none."""
    return next((one["name"] for one in described if one["type"] == "segmentation"), None)


def card(model: Mapping[str, Any]) -> str:
    """A model in one or two lines: what it does, and how well that was measured."""
    lines = [str(model.get("description", ""))]
    scores = model.get("scores") or {}
    measured = [_measure(measure) for measure in scores.get("measures", ())]
    if measured:
        whose = f"{scores['images']} images of {scores['patients']} patients ({scores['split']})"
        lines.append(f"On {whose}: {'; '.join(measured)}")
    return "\n".join(line for line in lines if line)


def _measure(measure: Mapping[str, Any]) -> str:
    unit = f" {measure['unit']}" if measure.get("unit") else ""
    text = f"{measure['name']} {measure['value']:.3g}{unit}"
    interval = measure.get("interval")
    return f"{text} [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else text
