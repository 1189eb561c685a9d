"""What one press of Generate sends, beside what it starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_ADDRESS = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Parameters:
    """The choices of the panel.

    Attributes:
        address: Of the server, as `http://host:port`.
        token: What the server asks for, if it was started with one.
        values: Parameters of the model by name; what is left out has its default.
        store_in_study: Whether the result becomes a series in the server's archive.
    """

    address: str = DEFAULT_ADDRESS
    token: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    store_in_study: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"https?://[^/\s]+/?", self.address):
            raise ValueError(f"the server's address is {self.address!r}, expected one such as {DEFAULT_ADDRESS}")
