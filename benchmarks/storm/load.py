"""Fifty clients at once, while a synthesis runs; then fifty /infer at once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.storm.setting import (
    CONTROL,
    Memory,
    Table,
    control_series,
    make_place,
    percentile,
    progress,
    serving,
)
from tests.support.server import Server, order

P95_LIMIT_MS = 100
HEALTH_LIMIT_MS = 200
MEMORY_LIMIT_MIB = 1536
_HEALTH_EVERY_S = 0.02


def storm(*, clients: int, seconds: float, pause_s: float, burst: int, pixel_mm: float) -> bool:
    """Load the server, print two tables; whether every goal is met."""
    with tempfile.TemporaryDirectory() as name:
        place = make_place(Path(name), pixel_mm=pixel_mm)
        with serving(place) as server:
            tables = [_mixed(server, clients, seconds, pause_s), _infer_burst(server, burst)]
        tables[-1].none_of("files left in TMPDIR", place.left_in_uploads())
    return all([table.print() for table in tables])


@dataclass
class Answers:
    """Seconds by what was asked, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def all_seconds(self) -> list[float]:
        """Of all requests."""
        return [second for seconds in self.seconds.values() for second in seconds]


def _mixed(server: Server, clients: int, seconds: float, pause_s: float) -> Table:
    answers = Answers()
    synthesizing = _Synthesizing(server)
    with Memory(server.process.pid) as memory, synthesizing:
        progress(f"{clients} clients for {seconds:g} s")
        asyncio.run(_ask_all(server, answers, clients, seconds, pause_s))
    table = Table(f"{clients} clients for {seconds:g} s, each pausing {pause_s:g} s on average between requests")
    table.tell("requests", f"{len(answers.all_seconds)}")
    table.tell("syntheses done meanwhile", f"{synthesizing.done}")
    table.none_of("errors", answers.errors + synthesizing.errors)
    table.below("p95 of all", percentile(answers.all_seconds, 0.95) * 1000, P95_LIMIT_MS, "ms")
    for what, each in sorted(answers.seconds.items()):
        half, most = (percentile(each, share) * 1000 for share in (0.5, 0.95))
        table.tell(f"    {what}: median, p95", f"{half:.1f}, {most:.1f} ms")
    table.below("memory, peak", memory.peak_mib, MEMORY_LIMIT_MIB, "MiB", 0)
    return table


async def _ask_all(server: Server, answers: Answers, clients: int, seconds: float, pause_s: float) -> None:
    study, series = control_series(server)["L CC low energy"]
    requests = _small_requests(study, series)
    # Without TLS there is nothing to verify, and loading certificates takes longer than a request.
    people = [httpx.AsyncClient(base_url=server.address, timeout=30, verify=False) for _ in range(clients)]
    until = time.monotonic() + seconds

    async def one(client: httpx.AsyncClient, draw: random.Random) -> None:
        async with client:
            while time.monotonic() < until:
                await asyncio.sleep(draw.expovariate(1 / pause_s) if pause_s else 0)
                what, path = draw.choice(requests)
                await _ask(client, answers, what, path)

    await asyncio.gather(*(one(client, random.Random(number)) for number, client in enumerate(people)))


def _small_requests(study: str, series: str) -> Sequence[tuple[str, str]]:
    return (
        ("health", "/health"),
        ("study list", "/proxy/dicom/qido/studies?limit=25&includefield=00081030"),
        ("one patient", f"/proxy/dicom/qido/studies?PatientID={CONTROL}"),
        ("series of a study", f"/proxy/dicom/qido/studies/{study}/series"),
        ("metadata of a series", f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata"),
        ("segmentations", f"/studies/{study}/segmentations"),
        ("info", "/info/"),
        ("viewer's settings", "/ohif/app-config.js"),
    )


async def _ask(client: httpx.AsyncClient, answers: Answers, what: str, path: str) -> None:
    started = time.monotonic()
    try:
        answer = await client.get(path)
    except httpx.HTTPError as error:
        answers.errors.append(f"{what}: {type(error).__name__}")
        return
    answers.seconds.setdefault(what, []).append(time.monotonic() - started)
    if not answer.is_success:
        answers.errors.append(f"{what}: {answer.status_code} {answer.text[:60]}")


class _Synthesizing:
    """A synthesis always runs while the block does: one job after the other, each a result of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self.done = 0
        self.errors: list[str] = []

    def __enter__(self) -> _Synthesizing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        study, series = control_series(self._server)["R CC low energy"]
        while not self._stop.is_set():
            body = {**order(study, series), "parameters": {"seed": self.done}}
            try:
                answer = self._server.post("/synthesis", json=body).raise_for_status()
                self._server.wait(answer.json()["job_id"], "done")
                self.done += 1
            except (httpx.HTTPError, AssertionError) as error:
                self.errors.append(f"synthesis: {str(error)[:80]}")
                self._stop.wait(1)


# ---- /infer at once ----


def _infer_burst(server: Server, count: int) -> Table:
    series = control_series(server)["L CC low energy"][1]
    server.post(f"/infer/contrast?image={series}&output=image").raise_for_status()
    with Memory(server.process.pid) as memory:
        progress(f"{count} x /infer at once")
        started = time.monotonic()
        answers, health, health_errors = asyncio.run(_burst(server, series, count))
        seconds = time.monotonic() - started
    statuses = [answer if isinstance(answer, str) else str(answer.status_code) for answer in answers]
    refused = [a for a in answers if isinstance(a, httpx.Response) and a.status_code == 429]
    table = Table(f"{count} x /infer at once")
    for status in sorted(set(statuses)):
        table.tell(f"answers {status}", str(statuses.count(status)))
    table.none_of("answers that are neither 200 nor 429", [s for s in statuses if s not in ("200", "429")])
    table.none_of("429 without Retry-After", sum("retry-after" not in answer.headers for answer in refused))
    table.tell("time until all are answered", f"{seconds:.1f} s")
    table.none_of("/health without answer", health_errors)
    table.below("/health meanwhile, slowest", max(health, default=float("nan")) * 1000, HEALTH_LIMIT_MS, "ms")
    table.below("memory, peak", memory.peak_mib, MEMORY_LIMIT_MIB, "MiB", 0)
    return table


async def _burst(server: Server, series: str, count: int) -> tuple[list[httpx.Response | str], list[float], list[str]]:
    """Answers (or the names of exceptions), seconds of /health meanwhile, and its failures."""
    health, errors = [], []
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.address, timeout=600, limits=limits) as client:

        async def infer() -> httpx.Response | str:
            try:
                return await client.post(f"/infer/contrast?image={series}&output=image")
            except httpx.HTTPError as error:
                return type(error).__name__

        async def watch() -> None:
            while True:
                started = time.monotonic()
                try:
                    (await client.get("/health", timeout=30)).raise_for_status()
                    health.append(time.monotonic() - started)
                except httpx.HTTPError as error:
                    errors.append(type(error).__name__)
                await asyncio.sleep(_HEALTH_EVERY_S)

        watching = asyncio.create_task(watch())
        answers = await asyncio.gather(*(infer() for _ in range(count)))
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    return list(answers), health, errors
