"""`BusyError`: not now; with the time after which it may be tried again."""

from __future__ import annotations

from mammosynth.errors import MammoSynthError

TOO_MANY, NOT_NOW = 429, 503


class BusyError(MammoSynthError):
    """The server cannot take a request now.

    Attributes:
        status: HTTP status: TOO_MANY of one person's requests, or NOT_NOW whoever asks.
        retry_after_s: When it may be tried again.
    """

    def __init__(self, message: str, *, status: int = NOT_NOW, retry_after_s: int = 10) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
