"""`RayPool`: workers on a Ray cluster that a server keeps, for orders that come one by one; it outlives the cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from multiprocessing.managers import BaseManager
from typing import Any

from mammosynth.parallel.pool_errors import PoolAwayError, WorkerDiedError
from mammosynth.parallel.ray_actors import Actors, News, PoolState, Stage, pack, unpack
from mammosynth.parallel.ray_address import check_answers

logger = logging.getLogger(__name__)
_LOOK_S = 0.2  # how often an order is asked after
_WATCH_S = 1.0
_PATIENCE_S = 60.0  # how long no worker may be ready before orders are refused; importing torch takes seconds
_CLOSE_S = 10.0


class RayPool:
    """Workers with one CPU each that are given once what orders need, and replaced when they die.

    Safe to use from several threads. What talks to Ray is a process of its own; when the cluster is gone it is
    ended, and begun again as soon as the cluster answers.

    Args:
        address: Of a cluster that runs, HOST:PORT, or "auto".
        workers: How many; None: as the cluster has room for when this connects.
        gpus: That each worker keeps.
    """

    def __init__(self, address: str, *, workers: int | None = None, gpus: int = 0) -> None:
        self._address = address
        self._workers = workers
        self._gpus = gpus
        self._parts: Callable[[], Mapping[str, Callable[[], Any]]] | None = None
        self._bridge: _Bridge | None = None
        self._actors: Any = None
        self._state = PoolState()
        self._deaths_before = 0  # of workers that an earlier process started
        self._away = ""
        self._last_ready = time.monotonic()
        self._when_back: Callable[[], None] = lambda: None
        self._closing = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="ray-pool", daemon=True)

    @property
    def workers(self) -> int:
        """How many there are to be; known once it is connected."""
        return self._workers or 1

    def connect(self) -> None:
        """Reach the cluster.

        Raises:
            InvalidParameterError: If it is not there, with what to do.
        """
        check_answers(self._address)
        self._bridge = _Bridge(("127.0.0.1", 0))
        try:
            self._bridge.start(_end_with_parent)
            self._actors = self._bridge.actors()  # type: ignore[attr-defined]
            room = self._actors.connect(self._address, self._gpus)
        except BaseException:
            self._drop()
            raise
        self._workers = self._workers or room

    def begin(
        self, parts: Callable[[], Mapping[str, Callable[[], Any]]], *, when_back: Callable[[], None] = lambda: None
    ) -> None:
        """Start the workers; they get ready meanwhile.

        Args:
            parts: Gives, by name, what makes in a worker the function for orders of that name; it takes a job and
                what is told its progress.
            when_back: Called when workers are ready that were not.
        """
        self._parts, self._when_back = parts, when_back
        self._last_ready = time.monotonic()
        self._start_workers()
        self._watching.start()

    def call(
        self,
        name: str,
        job: Any,
        *,
        progress: Callable[[float, str], None],
        is_unwanted: Callable[[], bool] = lambda: False,
    ) -> Any:
        """What a worker makes of a job.

        Args:
            name: Of the part.
            job: Can be pickled.
            progress: Told a fraction in [0, 1] and what happens, when it changes; what it raises gives the order up.
            is_unwanted: Asked often; the order is given up once it says so.

        Raises:
            CancelledError: If it was given up.
            PoolAwayError: If the cluster is gone.
            WorkerDiedError: If the worker died.
            Exception: What the function raised.
        """
        try:
            news = self._follow(name, pack(job), progress, is_unwanted)
        except (EOFError, ConnectionError) as error:
            raise PoolAwayError(self._away or "the Ray cluster does not answer any more") from error
        if news.stage is Stage.DIED:
            raise WorkerDiedError(f"the process that ran this died ({news.message})")
        if news.stage is Stage.AWAY:
            raise PoolAwayError(news.message)
        return unpack(news.packed)

    def _follow(
        self, name: str, packed: bytes, progress: Callable[[float, str], None], is_unwanted: Callable[[], bool]
    ) -> News:
        actors = self._actors
        if actors is None:
            raise PoolAwayError(self._away or "the Ray cluster does not answer any more")
        number = actors.submit(name, packed)
        told: object = None
        try:
            while (news := actors.look(number, _LOOK_S)).stage in (Stage.WAITING, Stage.RUNNING):
                if is_unwanted():
                    raise CancelledError
                now = (news.fraction, news.message or "waiting for a worker of the Ray cluster")
                if now != told:
                    progress(*now)
                    told = now
        except (EOFError, ConnectionError):
            raise
        except BaseException:
            actors.give_up(number)
            raise
        return news

    def check(self) -> None:
        """Whether orders may be handed in.

        Raises:
            PoolAwayError: If the cluster is gone, or no worker has been ready for long.
        """
        if away := self._away:
            raise PoolAwayError(away)
        if time.monotonic() - self._last_ready > _PATIENCE_S:
            self.check_ready()

    def check_ready(self) -> None:
        """Whether a worker is ready now.

        Raises:
            PoolAwayError: If none is.
        """
        if away := self._away:
            raise PoolAwayError(away)
        state = self._state
        if not state.idle + state.busy:
            why = state.trouble or "wait, or add machines that have room for it"
            raise PoolAwayError(f"no worker of the Ray cluster at {self._address} is ready: {why}")

    def state(self) -> PoolState | None:
        """Of the workers, at most a second old; None while the cluster is gone."""
        return None if self._away else self._state

    def close(self) -> None:
        """End the workers and all processes."""
        self._closing.set()
        if self._watching.is_alive():
            self._watching.join(_CLOSE_S)
        actors = self._actors
        if actors is not None and not self._away:
            closing = threading.Thread(target=_close, args=(actors,), daemon=True)
            closing.start()
            closing.join(_CLOSE_S)
        self._drop()

    def _start_workers(self) -> None:
        assert self._parts is not None  # noqa: S101 - they are given before
        packed = {name: pack(part) for name, part in self._parts().items()}
        self._actors.begin(packed, self.workers, self._gpus)

    def _watch(self) -> None:
        while not self._closing.wait(_WATCH_S):
            try:
                if self._actors is None:
                    self.connect()
                    self._start_workers()
                    logger.warning("the Ray cluster at %s answers again", self._address)
                check_answers(self._address)
                self._note(self._actors.state())
            except Exception as error:  # whatever it is: without this thread nobody would know what there is
                if not self._away:
                    logger.error("the Ray cluster at %s is gone", self._address, exc_info=error)
                self._away = f"the Ray cluster at {self._address} does not answer; start it again, jobs wait for it"
                self._drop()

    def _note(self, state: PoolState) -> None:
        was_ready = not self._away and self._state.idle + self._state.busy > 0
        self._state = PoolState(
            state.idle, state.busy, state.starting, state.deaths + self._deaths_before, state.trouble
        )
        self._away = ""
        if state.idle + state.busy:
            self._last_ready = time.monotonic()
            if not was_ready:
                self._when_back()

    def _drop(self) -> None:
        """End the process that talks to Ray, and whoever waits for its answers."""
        bridge, self._bridge, self._actors = self._bridge, None, None
        self._deaths_before, self._state = self._state.deaths, PoolState(deaths=self._state.deaths)
        if bridge is not None:
            bridge.end()


class _Bridge(BaseManager):
    """A process with `Actors`."""

    def end(self) -> None:
        """Now, whatever it is doing."""
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            process.join()
        with suppress(Exception):
            self.shutdown()


_Bridge.register("actors", Actors)


def _end_with_parent() -> None:
    """A server that is killed leaves nothing; Ray ends the workers of whoever is gone."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(0)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _close(actors: Any) -> None:
    with suppress(EOFError, ConnectionError):
        actors.close()
