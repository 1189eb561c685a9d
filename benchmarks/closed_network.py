"""What N workers do in a second that share an archive: a closed queueing network, by recursion and by simulation.

Every worker carries out one order after the other: what it does on its own, then a visit to each stage, where it waits
for its turn. Source of the terms: Lazowska et al. 1984, Quantitative System Performance, chapters 5 and 6.
"""

from __future__ import annotations

import fcntl
import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Stage:
    """Something that all workers share.

    Attributes:
        name: For people.
        seconds: That an order takes of one server.
        servers: How many orders it takes at once.
    """

    name: str
    seconds: float
    servers: int = 1


def bend(own_s: float, stages: Sequence[Stage]) -> float:
    """Workers beyond which more of them bring little: where the two asymptotes of throughput meet."""
    return (own_s + sum(stage.seconds for stage in stages)) * most(stages)


def most(stages: Sequence[Stage]) -> float:
    """Orders a second that the narrowest stage lets through."""
    return min(stage.servers / stage.seconds for stage in stages)


def law(own_s: float, stages: Sequence[Stage], workers: int) -> list[float]:
    """Orders a second of 1 to N workers: mean value analysis, exact for times that are drawn exponentially.

    A stage of several servers counts as one that is so many times faster and a delay (Seidmann et al. 1987).
    """
    delay = own_s + sum(stage.seconds * (1 - 1 / stage.servers) for stage in stages)
    demands = np.array([stage.seconds / stage.servers for stage in stages])
    waiting, rates = np.zeros(len(stages)), []
    for count in range(1, workers + 1):
        residence = demands * (1 + waiting)
        rates.append(float(count / (delay + residence.sum())))
        waiting = rates[-1] * residence
    return rates


def simulate(
    own_s: float, stages: Sequence[Stage], workers: int, orders: int, random: np.random.Generator | None = None
) -> list[float]:
    """When each order is done, in seconds from the start: first come, first served at every stage.

    Args:
        own_s: Of a worker, for an order.
        stages: In the order of the visits.
        workers: Each begins at once.
        orders: How many there are.
        random: Draws every time exponentially; None: all are alike.
    """

    def drawn(seconds: float) -> float:
        return seconds if random is None else float(random.exponential(seconds))

    free = [[0.0] * stage.servers for stage in stages]
    left, done = orders - min(workers, orders), []
    events = [(drawn(own_s), worker, 0) for worker in range(min(workers, orders))]
    heapq.heapify(events)
    while events:
        now, worker, place = heapq.heappop(events)
        if place < len(stages):
            end = max(now, heapq.heappop(free[place])) + drawn(stages[place].seconds)
            heapq.heappush(free[place], end)
            heapq.heappush(events, (end, worker, place + 1))
            continue
        done.append(now)
        if left:
            left -= 1
            heapq.heappush(events, (now + drawn(own_s), worker, 0))
    return done


def rate(done: Sequence[float], workers: int) -> float:
    """Orders a second, from the time when every worker has done one."""
    return (len(done) - workers) / (done[-1] - done[workers - 1])


@dataclass(frozen=True)
class SleepingOrder:
    """An order that takes no core, so that a busy machine can show what waiting alone does.

    Attributes:
        own_s: Slept alone.
        shared_s: Slept while a lock is held that all workers share.
        lock: Its file.
    """

    own_s: float
    shared_s: float
    lock: Path

    def __call__(self, number: int) -> None:
        """Sleep."""
        time.sleep(self.own_s)
        with self.lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            time.sleep(self.shared_s)
