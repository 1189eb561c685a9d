"""`RayEngine`: orders on a Ray cluster, of one machine or many; the only place that knows Ray.

Ray restarts a worker that died with its machine, elsewhere if need be, and gives it again what it was doing.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from threadpoolctl import threadpool_limits

from mammosynth.errors import DataError
from mammosynth.parallel.engine import THREAD_COUNTS
from mammosynth.parallel.ray_address import check_answers, not_there

_Job = TypeVar("_Job")
_Value = TypeVar("_Value")
RETRIES = 3
"""How often an order is given to another worker after its worker died."""
_STORE_BYTES = 100 << 20
"""Of shared memory, where Ray is started for one command: models and results pass through it, no images do."""
_PATIENCE_S = 120.0
"""How long no worker may start; importing torch takes seconds, a busy cluster longer."""
_LOOK_S = 5.0


@dataclass(frozen=True)
class RayEngine:
    """In actors, each of which keeps one CPU.

    Attributes:
        address: Of a cluster that runs, as `ray start` tells it; None: one is started on this machine and ended.
        workers: How many; None: one per CPU of the cluster.
        gpus: That each worker keeps.
    """

    address: str | None = None
    workers: int | None = None
    gpus: int = 0

    def run(
        self, function: Callable[[_Job], _Value], jobs: Sequence[_Job]
    ) -> Generator[tuple[_Job, _Value], None, None]:
        """See `engine.Engine`; a cluster that is not there is an `InvalidParameterError`."""
        if not jobs:
            return
        with self._connected(len(jobs)):
            kind = ray.remote(num_cpus=1, num_gpus=self.gpus, max_restarts=-1, max_task_retries=RETRIES)(_Worker)
            shared = [ray.put(ray.cloudpickle.dumps(function))]  # in a list it stays a reference
            actors = [kind.remote() for _ in range(min(self._places(), len(jobs)))]
            try:
                yield from _carry_out(actors, shared, jobs)
            finally:
                for actor in actors:
                    ray.kill(actor)

    @contextmanager
    def _connected(self, most: int) -> Iterator[None]:
        """To the cluster that was named, or to one for this command; one that the process is connected to stays."""
        if ray.is_initialized():
            yield
            return
        if self.address is None:
            count = min(self.workers or os.cpu_count() or 1, most)
            own = {"num_cpus": count, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
            options: dict[str, Any] = {"address": "local", **own}
        else:
            options = {"address": self.address}
            check_answers(self.address)
        connect(**options)
        try:
            yield
        finally:
            ray.shutdown()

    def _places(self) -> int:
        most = room(self.gpus)
        return min(most, self.workers or most)


def connect(address: str, **options: Any) -> None:
    """Reach a cluster, or begin one of this process: "local".

    Args:
        address: Of the cluster.
        **options: Of `ray.init`.

    Raises:
        InvalidParameterError: If it is not there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to Ray's makers
    try:
        ray.init(address=address, **options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise not_there(address, error) from error


def room(gpus: int) -> int:
    """Workers of one CPU and so many GPUs that the cluster holds when it is idle; at least one: machines may come."""
    resources = ray.cluster_resources()
    return max(1, int(min([resources.get("CPU", 0), *([resources.get("GPU", 0) / gpus] if gpus else [])])))


class _Worker:
    """An actor: holds what the orders have in common, which it fetches once, and once more if it was restarted."""

    def __init__(self) -> None:
        os.environ.update({name: "1" for name in THREAD_COUNTS})
        self._function: Callable[[Any], Any] | None = None

    def begin(self, shared: Sequence[Any]) -> None:
        """Be ready."""
        if self._function is None:
            self._function = ray.cloudpickle.loads(ray.get(shared[0]))
            threadpool_limits(1)  # Ray has loaded numpy before it was told so

    def call(self, shared: Sequence[Any], job: Any) -> Any:
        """Carry out one order."""
        self.begin(shared)
        return self._function(job)  # type: ignore[misc]  # which it has now


def _carry_out(
    actors: Sequence[Any], shared: Sequence[Any], jobs: Sequence[_Job]
) -> Generator[tuple[_Job, Any], None, None]:
    """One order for each worker that is there; the next when it is done."""
    rest = iter(enumerate(jobs))
    beginning = {actor.begin.remote(shared): actor for actor in actors}
    running: dict[Any, tuple[Any, int]] = {}
    left = len(jobs)
    while left:
        done = _next_done(beginning, running)
        value = _value_of(done)
        actor, number = running.pop(done) if done in running else (beginning.pop(done), None)
        following = next(rest, None)
        if following is None:
            ray.kill(actor)  # its place is free for one that died and starts again
        else:
            running[actor.call.remote(shared, following[1])] = actor, following[0]
        if number is not None:
            left -= 1
            yield jobs[number], value


def _next_done(beginning: dict[Any, Any], running: dict[Any, Any]) -> Any:
    since = time.monotonic()
    while True:
        done, _ = ray.wait([*running, *beginning], timeout=_LOOK_S)
        if done:
            return done[0]
        if not ray.cluster_resources().get("CPU"):
            raise DataError("no machine of the Ray cluster is left; start one and give the same command again to go on")
        if not running and time.monotonic() - since > _PATIENCE_S:
            raise DataError(
                f"no worker started on the Ray cluster within {_PATIENCE_S:g} s, of {ray.cluster_resources()} "
                f"{ray.available_resources()} is free; wait for others, or add machines"
            )


def _value_of(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:  # what the function raised; its own message is the traceback
        raise error.cause from error
    except RayActorError as error:
        raise DataError(
            f"workers died {RETRIES + 1} times at the same order, which may need more memory than they have: give "
            f"the same command again with fewer at once to go on ({str(error).splitlines()[0]})"
        ) from error
    except RayError as error:
        raise DataError(f"the Ray cluster failed: {error}; give the same command again to go on") from error
