"""Running a long call beside Slicer's window, which must never wait."""

from __future__ import annotations

import queue
import threading
from typing import Any, Callable

Progress = Callable[[float, str], None]
"""Takes how far a call is, from 0 to 1 (below 0: not known), and what it does now."""


class Stopped(Exception):  # noqa: N818 - not an error
    """Raised where work ends because somebody pressed Cancel."""


class Background:
    """A function in a thread of its own.

    Slicer's event loop holds Python's lock while it runs, so that other threads stand still; `poll` lets go of it for a
    moment. Call it from a timer, some twenty times a second.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Start at once.

        Args:
            function: Called with `progress` and `should_stop`; must not touch the MRML scene, which is of one thread.
        """
        self.last_progress = (-1.0, "")
        self._messages: queue.Queue[tuple[float, str]] = queue.Queue()
        self._stop = threading.Event()
        self._result: Any = None
        self._error: Exception | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, name="mammosynth", daemon=True)
        self._thread.start()

    def poll(self, wait_s: float = 0.01) -> bool:
        """Let the work go on; True once it has ended. `last_progress` is new afterwards."""
        self._thread.join(wait_s)
        while not self._messages.empty():
            self.last_progress = self._messages.get_nowait()
        return not self._thread.is_alive()

    def cancel(self) -> None:
        """Ask the work to end; `result` then raises `Stopped`."""
        self._stop.set()

    def result(self) -> Any:
        """What the function returned, after `poll` said True.

        Raises:
            Exception: What the function raised.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._function(
                progress=lambda fraction, message: self._messages.put((fraction, message)),
                should_stop=self._stop.is_set,
            )
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it again
            self._error = error


def until_stopped(call: Callable[[], Any], should_stop: Callable[[], bool]) -> Any:
    """What a call returns, or `Stopped` soon after somebody asked for it; the call itself then ends unheard.

    Raises:
        Stopped: If it was asked to stop first.
    """
    work = Background(lambda progress, should_stop: call())
    while not work.poll(0.1):
        if should_stop():
            raise Stopped
    return work.result()
