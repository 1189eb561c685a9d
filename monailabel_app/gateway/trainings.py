"""`Trainings`: the one that runs in a process of its own, through the platform, which looks first and acts later."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress
from typing import Any

import psutil
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import processes

from monailabel_app.errors import ConflictError, NotFoundError

_METHOD = "train"
_BEGINS_WITHIN_S, _LOOKS_EACH_S = 10.0, 0.01
_STOP_GRACE_S = 10.0


class Trainings:
    """One at a time. Safe to use from several threads."""

    def __init__(self) -> None:
        self._beginning = threading.Lock()

    def start(self, model: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Start the trainer of a model, and return its task once its process is there.

        Until then the platform would take a second one and forget to stop the first.

        Raises:
            ConflictError: If one runs.
        """
        with self._beginning:
            task, problem = AsyncTask.run(_METHOD, request={"model": model}, params=settings)
            if task is None:
                raise ConflictError(f"{problem}; stop it by DELETE /train/ or wait until it ends")
            ends = time.monotonic() + _BEGINS_WITHIN_S
            while task["status"] == "SUBMITTED" and time.monotonic() < ends:
                time.sleep(_LOOKS_EACH_S)
            return dict(task)

    def status(self, *, every: bool = False, running: bool = False) -> Any:
        """The last, all, or the running one.

        Raises:
            NotFoundError: If there is none.
        """
        try:
            found, problem = AsyncTask.status(_METHOD, every, running)
        except StopIteration:  # it ended between the platform's two looks
            found, problem = None, "No Train Tasks are currently Running"
        if found is None:
            raise NotFoundError(problem)
        return found

    def stop(self) -> Any:
        """Ask the process that trains to end, and end it if it does not; None if none runs.

        The platform kills it outright, which would lose what was learned since the last checkpoint.
        """
        running = list(processes(_METHOD).values())
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_GRACE_S
        while any(process.poll() is None for process in running) and time.monotonic() < deadline:
            time.sleep(0.1)
        stopped = None
        with suppress(psutil.NoSuchProcess, StopIteration):  # it ended, and the platform has not noticed, or just now
            stopped = AsyncTask.stop(_METHOD)
        if stopped is None and running:
            stopped, _ = AsyncTask.status(_METHOD)
            if stopped is not None:
                stopped["status"] = "STOPPED"
        return stopped
