"""What the server counts of itself, in the text format of Prometheus: jobs, their seconds, queue, requests, refusals.

No label holds what a client chose: a model is one that is served, a method one of HTTP's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monailabel_app.gateway.busy import BusyError

if TYPE_CHECKING:
    from mammosynth.parallel.ray_actors import PoolState

logger = logging.getLogger(__name__)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
_JOB_SECONDS = (0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The counters of one server. Safe to use from several threads.

    Args:
        queue: Gives the number of jobs by state, for those that have not ended; asked at every scrape. Raises BusyError
            while their database is away.
        pool: Gives the state of the workers that run networks, None while there are none; None: this process runs them.
    """

    def __init__(
        self, queue: Callable[[], Mapping[str, int]], pool: Callable[[], PoolState | None] | None = None
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Queue(queue))
        if pool:
            self._registry.register(_Pool(pool))
        ProcessCollector(registry=self._registry)
        self._jobs = Counter("mammosynth_jobs", "Jobs that ended", ["model", "state"], registry=self._registry)
        self._job_seconds = Histogram(
            "mammosynth_job_seconds", "How long jobs ran", ["model"], registry=self._registry, buckets=_JOB_SECONDS
        )
        self._requests = Counter(
            "mammosynth_requests", "Requests answered; 4xx are refusals", ["method", "status"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "mammosynth_request_seconds",
            "Until an answer began",
            ["method"],
            registry=self._registry,
            buckets=_REQUEST_SECONDS,
        )

    def note_job(self, model: str, state: str, seconds: float) -> None:
        """Count a job that ended: done, failed or cancelled."""
        self._jobs.labels(model, state).inc()
        self._job_seconds.labels(model).observe(seconds)

    def note_request(self, method: str, status: int, seconds: float) -> None:
        """Count an answer."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, str(status)).inc()
        self._request_seconds.labels(method).observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Queue(Collector):
    """Jobs that wait or run, as the database has them."""

    def __init__(self, queue: Callable[[], Mapping[str, int]]) -> None:
        self._queue = queue

    def describe(self) -> list[Metric]:
        return []  # or it would be collected when it is registered, before there is a queue

    def collect(self) -> Iterator[Metric]:
        try:
            counts = self._queue()
        except BusyError as error:
            logger.warning("jobs that have not ended are not counted: %s", error)
            counts = None
        yield _flag("mammosynth_jobs_database_up", "Whether the database of jobs answers: 1, or 0", counts is not None)
        if counts is not None:
            yield _by_state("mammosynth_jobs_present", "Jobs that have not ended", counts)


class _Pool(Collector):
    """Workers of a Ray cluster, as they were last seen."""

    def __init__(self, pool: Callable[[], PoolState | None]) -> None:
        self._pool = pool

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        state = self._pool()
        yield _flag("mammosynth_pool_up", "Whether the Ray cluster answers: 1, or 0", state is not None)
        if state is None:
            return
        counts = {"idle": state.idle, "busy": state.busy, "starting": state.starting}
        yield _by_state("mammosynth_pool_workers", "Workers that run networks", counts)
        deaths = CounterMetricFamily("mammosynth_pool_deaths", "Workers that died; others take their place")
        deaths.add_metric([], state.deaths)
        yield deaths


def _flag(name: str, words: str, is_so: bool) -> Metric:
    family = GaugeMetricFamily(name, words)
    family.add_metric([], is_so)
    return family


def _by_state(name: str, words: str, counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=["state"])
    for state, count in counts.items():
        family.add_metric([state], count)
    return family


class Counted:
    """ASGI middleware around everything that counts answers, refusals of the guard among them.

    Args:
        app: What is behind it.
        metrics: Where it counts.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count when the answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.note_request(scope["method"], message["status"], time.monotonic() - begun)
            await send(message)

        await self._app(scope, receive, counted)
