"""`Guesses`: how many wrong tokens came lately, and who has to wait before another one is looked at.

Tokens are 256 random bits, which nobody guesses; the limit is for plain tokens of earlier versions, and so that a
machine that tries millions does not keep this one busy. Whoever signed in before goes on in any case.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

PER_ADDRESS, OVERALL = 10, 200
"""Different wrong tokens in a window; the same one again, as of a page that was left open, counts once."""
WINDOW_S = 60.0
_KEPT_ADDRESSES, _KEPT_TOKENS = 1000, 1000
_EVERYBODY = ""


class Guesses:
    """Counts of a window of time, in bounded memory; no token is kept, only its hash under a key of this run.

    Args:
        per_address: Wrong tokens of one address in a window.
        overall: Of all addresses together.
        window_s: Its length.
        now: A clock in seconds.
    """

    def __init__(
        self,
        *,
        per_address: int = PER_ADDRESS,
        overall: int = OVERALL,
        window_s: float = WINDOW_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {_EVERYBODY: overall}
        self._per_address = per_address
        self._window_s = window_s
        self._now = now
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[str, _Window] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, address: str, token: str) -> int:
        """Seconds until a token of an address is looked at; 0 now."""
        with self._lock:
            if self._digest(token) in self._right:
                return 0
            return max(self._wait_s(place) for place in (address, _EVERYBODY))

    def note_right(self, token: str) -> None:
        """A token was right: it never has to wait from now on."""
        with self._lock:
            _keep(self._right, self._digest(token), None, _KEPT_TOKENS)

    def note_wrong(self, address: str, token: str) -> None:
        """A token was wrong, perhaps since it was removed."""
        digest = self._digest(token)
        with self._lock:
            self._right.pop(digest, None)
            for place in (address, _EVERYBODY):
                window = self._wrong.get(place)
                if window is None or self._now() >= window.ends:
                    window = _Window(self._now() + self._window_s)
                if len(window.tokens) < self._limit(place):
                    window.tokens.add(digest)
                _keep(self._wrong, place, window, _KEPT_ADDRESSES)

    def _wait_s(self, place: str) -> int:
        window = self._wrong.get(place)
        if window is None or self._now() >= window.ends or len(window.tokens) < self._limit(place):
            return 0
        return math.ceil(window.ends - self._now())

    def _limit(self, place: str) -> int:
        return self._limits.get(place, self._per_address)

    def _digest(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), key=self._key, digest_size=16).digest()


class _Window:
    """Wrong tokens until a time."""

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.tokens: set[bytes] = set()


def _keep(kept: OrderedDict, key: object, value: object, most: int) -> None:
    """Remember a value; the oldest ones are forgotten."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
