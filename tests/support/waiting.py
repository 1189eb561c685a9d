"""`until`: waiting for what another thread, process or server does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(is_so: Callable[[], T], within_s: float = 10.0) -> T:
    """What the question is answered with once that is true; fails if it is not within the time."""
    deadline = time.monotonic() + within_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {found!r}"
        time.sleep(0.02)
    return found
