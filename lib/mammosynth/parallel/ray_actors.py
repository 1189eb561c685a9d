"""`Actors`: workers on a Ray cluster that stay, for orders that come one by one; and the process that talks to them.

Ray ends the process that talks to it, a minute after its cluster is gone. A server must not end, so that `Actors` lives
in a process of its own, see `pool.RayPool`, and never looks into what it hands on.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from threadpoolctl import threadpool_limits

from mammosynth import __version__
from mammosynth.errors import DataError, InvalidParameterError
from mammosynth.parallel.engine import THREAD_COUNTS
from mammosynth.parallel.on_ray import connect, room
from mammosynth.parallel.ray_address import check_answers

_GIVE_UP_S = 5.0
"""For how long a worker may go on with what nobody wants any more; then it is ended, and starts again."""
_ANSWER_S = 1.0
_BEGIN_AGAIN_S = 5.0


class Stage(StrEnum):
    """How far an order is."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    DIED = "died"
    AWAY = "away"


@dataclass(frozen=True)
class News:
    """Of an order.

    Attributes:
        stage: How far it is; one that is not waiting or running is known no more.
        fraction: In [0, 1], while it runs.
        message: What happens, or why it died.
        packed: See `unpack`, once it has ended.
    """

    stage: Stage
    fraction: float = 0.0
    message: str = ""
    packed: bytes = b""


@dataclass(frozen=True)
class PoolState:
    """Of all workers.

    Attributes:
        idle: Ready, without an order.
        busy: With one.
        starting: Not ready, or not yet again.
        deaths: Workers that died so far, those that were ended not counted.
        trouble: Why the workers that start cannot; empty if nothing is known.
    """

    idle: int = 0
    busy: int = 0
    starting: int = 0
    deaths: int = 0
    trouble: str = ""


def pack(value: Any) -> bytes:
    """A value on its way to a worker; functions are taken along."""
    return ray.cloudpickle.dumps(value)


def unpack(packed: bytes) -> Any:
    """What a worker gave.

    Raises:
        Exception: What the function raised.
    """
    value, error = ray.cloudpickle.loads(packed)
    if error is not None:
        raise error
    return value


class Actors:
    """Every method may be called from any thread, and none waits for an order to end."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._slots: list[_Slot] = []
        self._orders: dict[int, _Order] = {}
        self._waiting: deque[int] = deque()
        self._numbers = itertools.count(1)
        self._deaths = 0
        self._trouble = ""

    def connect(self, address: str, gpus: int) -> int:
        """Reach a cluster.

        Returns:
            Workers that it has room for when it is idle; at least one, since machines may come.

        Raises:
            InvalidParameterError: If it is not there.
        """
        connect(address)
        return room(gpus)

    def begin(self, parts: Mapping[str, bytes], count: int, gpus: int) -> None:
        """Start workers; each is given the parts once, and once more if it has died.

        Args:
            parts: By name, packed: each makes, where it is called, a function of a job and of what is told its
                progress.
            count: How many workers.
            gpus: That each keeps.
        """
        kind = ray.remote(
            num_cpus=1, num_gpus=gpus, max_restarts=-1, max_task_retries=0, concurrency_groups={"control": 1}
        )(_Worker)
        shared = {name: [ray.put(part)] for name, part in parts.items()}  # in a list it stays a reference
        with self._lock:
            self._slots = [_Slot(kind.remote(), shared) for _ in range(count)]
            for slot in self._slots:
                slot.begin()

    def submit(self, name: str, job: bytes) -> int:
        """Hand in an order for the part of that name; ask `look` for it, by the number that is returned."""
        with self._lock:
            number = next(self._numbers)
            self._orders[number] = _Order(name, job)
            self._waiting.append(number)
            self._assign()
        return number

    def look(self, number: int, timeout_s: float) -> News:
        """How far an order is; waits for its end, but not long."""
        order = self._orders[number]
        if order.slot is None:
            time.sleep(timeout_s)
            with self._lock:
                self._assign()
            return News(Stage.WAITING)
        if ray.wait([order.reference], timeout=timeout_s)[0]:
            return self._ended(number, order)
        answer = order.slot.actor.look.remote()
        if ray.wait([answer], timeout=_ANSWER_S)[0]:
            with suppress(RayError):  # how it ended is told next time
                order.note(number, *ray.get(answer))
        return News(Stage.RUNNING, *order.progress)

    def give_up(self, number: int) -> None:
        """Nobody wants what an order gives any more.

        Its worker stops at its next step; one that takes too long to come there is ended.
        """
        with self._lock:
            order = self._orders[number]
            if order.slot is None:
                self._waiting.remove(number)
                del self._orders[number]
                return
            order.given_up = time.monotonic()
            order.slot.actor.give_up.remote(number)

    def state(self) -> PoolState:
        """What the workers do.

        Raises:
            DataError: If the cluster is gone.
        """
        self._check_is_there()
        with self._lock:
            for slot in self._slots:
                self._look_after(slot)
            self._assign()
            ready = [slot for slot in self._slots if slot.is_ready]
            busy = sum(slot.number is not None for slot in ready)
            starting = len(self._slots) - len(ready)
            trouble = self._trouble if starting else ""
            return PoolState(len(ready) - busy, busy, starting, self._deaths, trouble)

    def close(self) -> None:
        """End the workers and leave the cluster."""
        with self._lock:
            for slot in self._slots:
                ray.kill(slot.actor)
            self._slots = []
        ray.shutdown()

    def _ended(self, number: int, order: _Order) -> News:
        """Free the worker, or have it begin again."""
        try:
            news = News(Stage.ENDED, packed=ray.get(order.reference))
        except RayError as error:
            news = News(Stage.DIED, message=_first_line(error))
            try:
                self._check_is_there()
            except DataError as gone:
                news = News(Stage.AWAY, message=str(gone))
        with self._lock:
            self._free(number, has_died=news.stage is not Stage.ENDED)
            if news.stage is Stage.DIED and order.may_wait_again():
                self._orders[number] = order
                self._waiting.appendleft(number)
                news = News(Stage.WAITING)
            self._assign()
        return news

    def _free(self, number: int, *, has_died: bool) -> None:
        slot = self._orders.pop(number).slot
        assert slot is not None  # noqa: S101 - who has ended was begun
        slot.number = None
        if has_died:
            self._deaths += 1
            slot.begin()

    def _stop_given_up(self) -> None:
        """See what has become of orders that nobody asks after any more."""
        for number, order in list(self._orders.items()):
            if order.given_up is None or order.slot is None:
                continue
            if ray.wait([order.reference], timeout=0)[0]:
                try:
                    ray.get(order.reference)
                except RayError:
                    self._free(number, has_died=True)
                else:
                    self._free(number, has_died=False)
            elif time.monotonic() - order.given_up > _GIVE_UP_S:
                ray.kill(order.slot.actor, no_restart=False)
                self._free(number, has_died=False)
                order.slot.begin()

    def _assign(self) -> None:
        """Who waits longest gets whoever is free."""
        self._stop_given_up()
        for slot in self._slots:
            if not self._waiting:
                return
            if slot.number is None and self._is_ready(slot):
                number = self._waiting.popleft()
                order = self._orders[number]
                slot.number, slot.asked = number, None
                order.reference = slot.actor.call.remote(number, slot.version_and_parts, order.name, order.job)
                order.slot = slot

    def _is_ready(self, slot: _Slot) -> bool:
        """Whether it is; learns what has become of one that begins."""
        if slot.is_ready or slot.begun is None or not ray.wait([slot.begun], timeout=0)[0]:
            return slot.is_ready
        try:
            trouble = ray.get(slot.begun)
        except RayError as error:
            trouble = _first_line(error)
        slot.begun = None
        if trouble:
            self._trouble, slot.again = trouble, time.monotonic() + _BEGIN_AGAIN_S
        slot.is_ready = not trouble
        return slot.is_ready

    def _look_after(self, slot: _Slot) -> None:
        """Notice that one died while it had nothing to do, and let one begin again that could not."""
        if not self._is_ready(slot):
            if slot.begun is None and time.monotonic() > slot.again:
                slot.begin()
            return
        if slot.number is not None:
            return
        if slot.asked is not None and ray.wait([slot.asked], timeout=0)[0]:
            try:
                ray.get(slot.asked)
            except RayActorError:
                self._deaths += 1
                slot.begin()
                return
            slot.asked = None
        slot.asked = slot.asked or slot.actor.look.remote()

    def _check_is_there(self) -> None:
        try:
            check_answers(ray.get_runtime_context().gcs_address)
        except InvalidParameterError as error:
            raise DataError("the Ray cluster does not answer any more; start it again") from error


class _Slot:
    """A worker, as it is known here."""

    def __init__(self, actor: Any, shared: Mapping[str, Sequence[Any]]) -> None:
        self.actor = actor
        self.version_and_parts = (__version__, shared)
        self.number: int | None = None  # of its order
        self.is_ready = False
        self.begun: Any = None  # answers once it is ready
        self.asked: Any = None  # answers as long as it lives
        self.again = 0.0  # when to try once more to begin

    def begin(self) -> None:
        """Have it get ready, for the first time or after it has died."""
        self.is_ready, self.asked = False, None
        self.begun = self.actor.begin.remote(*self.version_and_parts)


@dataclass
class _Order:
    name: str
    job: bytes
    slot: _Slot | None = None
    reference: Any = None
    has_begun: bool = False
    progress: tuple[float, str] = (0.0, "")
    given_up: float | None = None  # when
    chances: int = 2  # to wait again, if its worker was dead before it came there

    def note(self, number: int, running: int, fraction: float, message: str) -> None:
        """What the worker says; it may not have come to this order yet."""
        if running == number:
            self.has_begun, self.progress, self.job = True, (fraction, message), b""

    def may_wait_again(self) -> bool:
        """Whether the death of its worker is none of its doing: it was not seen to run. Then it is as if new."""
        if self.has_begun or self.given_up is not None or not self.chances:
            return False
        self.slot, self.reference, self.chances = None, None, self.chances - 1
        return True


class _GivenUp(Exception):  # noqa: N818 - not an error
    """Raised inside an order that nobody wants any more."""


class _Worker:
    """An actor."""

    def __init__(self) -> None:
        os.environ.update({name: "1" for name in THREAD_COUNTS})
        self._parts: dict[str, Callable[..., Any]] = {}
        self._now = (0, 0.0, "")  # number of the order, fraction, message: one value, since `look` comes at any moment
        self._given_up = 0

    def begin(self, version: str, shared: Mapping[str, Sequence[Any]]) -> str:
        """Fetch what is shared; says why that cannot be, or nothing."""
        if version != __version__:
            return f"a machine of the cluster has version {__version__}, the server {version}; install the same"
        try:
            for name, (part,) in shared.items():
                if name not in self._parts:
                    self._parts[name] = ray.cloudpickle.loads(ray.get(part))()
        except Exception as error:  # whatever it is: this worker cannot be used, and the server says why
            return f"a worker cannot load {name}: {_first_line(error)}"
        threadpool_limits(1)  # Ray has loaded numpy before it was told so
        return ""

    def call(
        self, number: int, version_and_parts: tuple[str, Mapping[str, Sequence[Any]]], name: str, job: bytes
    ) -> bytes:
        """Carry out one order; see `unpack`."""
        self._now = (number, 0.0, "")
        value, error = None, None
        try:
            if trouble := self.begin(*version_and_parts):  # if it was restarted just before
                raise DataError(trouble)
            value = self._parts[name](ray.cloudpickle.loads(job), self._report)
        except _GivenUp:
            return b""
        except Exception as raised:  # it goes on its way to who asked, whatever it is
            raised.add_note(traceback.format_exc())
            error = raised
        try:
            return pack((value, error))
        except Exception:
            if error is None:
                raise
            return pack((None, RuntimeError("".join(traceback.format_exception(error)))))

    @ray.method(concurrency_group="control")
    def look(self) -> tuple[int, float, str]:
        """The number of the order that runs here, or ran last, and how far it is."""
        return self._now

    @ray.method(concurrency_group="control")
    def give_up(self, number: int) -> None:
        """Stop an order at its next step, if it runs here or is about to."""
        self._given_up = number

    def _report(self, fraction: float, message: str) -> None:
        number, *_ = self._now
        self._now = (number, fraction, message)
        if number == self._given_up:
            raise _GivenUp


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
