"""`Readiness`: whether this server can do its work now, part by part, for who sends it requests and who restarts it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)
OK = "ok"
_KEPT_S = 1.0  # a load balancer and its twin ask every second; the archive is asked once


class Readiness:
    """Asks each part whether it works, and remembers for a second what it said. Safe to use from several threads.

    Args:
        parts: By name, what raises while a part does not work. What it says stays in the log: an answer names the
            kind of the trouble only, since anybody may ask.
        now: A clock in seconds.
    """

    def __init__(self, parts: Mapping[str, Callable[[], object]], now: Callable[[], float] = time.monotonic) -> None:
        self._parts = dict(parts)
        self._now = now
        self._asking = threading.Lock()
        self._found: dict[str, str] = {}
        self._until = -float("inf")
        self._is_leaving = False

    def leave(self) -> None:
        """From now on it is not ready, because it stops; requests are still answered."""
        self._is_leaving = True

    def state(self) -> dict[str, str]:
        """Every part: `ok`, or what kind of trouble it has; `server` is `stopping` once it leaves."""
        with self._asking:
            if self._now() >= self._until:
                self._found = {name: _outcome(name, check) for name, check in self._parts.items()}
                self._until = self._now() + _KEPT_S
            return {"server": "stopping" if self._is_leaving else OK, **self._found}


def _outcome(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # whatever it is, the part does not work
        logger.warning("not ready: %s", name, exc_info=error)
        return type(error).__name__
    return OK
