"""`Engine`: the one way to have many orders carried out, wherever that happens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Protocol, TypeVar

_Job = TypeVar("_Job")
_Value = TypeVar("_Value")
THREAD_COUNTS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Read when numpy and torch load. Workers have one thread each: they share the cores already."""


class Engine(Protocol):
    """Carries out orders; see `local.LocalEngine` and `on_ray.RayEngine`."""

    def run(
        self, function: Callable[[_Job], _Value], jobs: Sequence[_Job]
    ) -> Generator[tuple[_Job, _Value], None, None]:
        """Call a function for every job, in any order.

        Few jobs are under way at a time, whatever their number. Whoever stops before the end closes the generator
        (`contextlib.closing`), which ends all workers.

        Args:
            function: Holds what all jobs have in common, such as a model; every worker is given it once.
            jobs: One argument for each call. A job may be carried out again, if its worker died with it.

        Yields:
            Each job when it is done, and what the function gave.

        Raises:
            DataError: If workers died, which mostly means that memory ran out.
            Exception: The first that the function raises.
        """


def in_order(engine: Engine, function: Callable[[_Job], _Value], jobs: Sequence[_Job]) -> Generator[_Value, None, None]:
    """What a function gives for every job, in the order of the jobs; see `Engine.run`."""
    early: dict[int, _Value] = {}
    wanted = 0
    with closing(engine.run(partial(_of_numbered, function), list(enumerate(jobs)))) as finished:
        for (number, _), value in finished:
            early[number] = value
            while wanted in early:
                yield early.pop(wanted)
                wanted += 1


def _of_numbered(function: Callable[[_Job], _Value], numbered: tuple[int, _Job]) -> _Value:
    return function(numbered[1])
