"""`Attention`: how long somebody looked at a reading, as their viewer measured it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from mammosynth.errors import InvalidParameterError

_MOST_LOSSES = 100_000


@dataclass(frozen=True)
class Attention:
    """What a viewer tells of a reading that is left.

    Attributes:
        seconds: From its images on the screen until it is left, without pauses.
        hidden_s: Of these, without the window in front.
        focus_losses: How often the window lost the focus.
        position: Of the reading in its session; None: of the one that was shown last.

    Raises:
        InvalidParameterError: If a value is negative, no number, or too large.
    """

    seconds: float
    hidden_s: float = 0.0
    focus_losses: int = 0
    position: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("seconds", "hidden_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InvalidParameterError(f"{name} is {value}, expected seconds from 0")
        if not 0 <= self.focus_losses <= _MOST_LOSSES:
            raise InvalidParameterError(f"focus_losses is {self.focus_losses}, expected 0 to {_MOST_LOSSES}")

    def within(self, most_s: float) -> Attention:
        """The same, no longer than there was time by the server's clock."""
        seconds = min(self.seconds, most_s)
        return replace(self, seconds=round(seconds, 3), hidden_s=round(min(self.hidden_s, seconds), 3))

    def as_json(self) -> dict[str, Any]:
        """By name."""
        return asdict(self)
