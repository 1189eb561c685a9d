"""Small requests over one kept-alive connection, and /infer beyond its network: as ratios, since machines differ."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks.server import timed
from benchmarks.storm.setting import CONTROL, Table, control_series, make_place, percentile, progress, serving
from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.dicom.read import read_mammogram

HEALTH_LIMIT_MS = 20
INFER_LIMIT_S = 0.15
START_LIMIT_S = 5.0


def latency(*, count: int, pixel_mm: float) -> bool:
    """Time small requests over one connection, and new connections beside; whether every goal is met."""
    with tempfile.TemporaryDirectory() as name, serving(make_place(Path(name), pixel_mm=pixel_mm)) as server:
        study, series = control_series(server)["L CC low energy"]
        wado = f"/proxy/dicom/wado/studies/{study}/series/{series}"
        instance = server.get(f"{wado}/metadata").json()[0]["00080018"]["Value"][0]
        paths = {
            "/health": "/health",
            "study list": "/proxy/dicom/qido/studies",
            "one patient": f"/proxy/dicom/qido/studies?PatientID={CONTROL}",
            "one frame": f"{wado}/instances/{instance}/frames/1",
        }
        with httpx.Client(base_url=server.address, timeout=30) as client:
            kept = {what: [_get(client, path) for _ in range(count)] for what, path in paths.items()}
        new = [_over_new_connection(server.address) for _ in range(count)]
    table = Table(f"{count} requests of each kind over one kept-alive connection")
    health = statistics.median(kept["/health"])
    table.below("/health, median", health * 1000, HEALTH_LIMIT_MS, "ms", 2)
    for what, seconds in kept.items():
        half, most = statistics.median(seconds) * 1000, percentile(seconds, 0.95) * 1000
        table.tell(f"{what}: median, p95", f"{half:.1f}, {most:.1f} ms")
    table.tell("/health over a new connection, median", f"{statistics.median(new) * 1000:.1f} ms")
    table.tell("kept-alive over new, ratio", f"{health / statistics.median(new):.2f}")
    total = sum(sum(seconds) for seconds in kept.values())
    table.tell("requests a second of one client", f"{count * len(kept) / total:.0f}")
    return table.print()


def _get(client: httpx.Client, path: str) -> float:
    return timed(lambda: client.get(path).raise_for_status())


def _over_new_connection(address: str) -> float:
    # Without TLS there is nothing to verify, and loading certificates takes longer than a request.
    with httpx.Client(base_url=address, timeout=30, verify=False) as client:
        return _get(client, "/health")


def infer(*, repeats: int, pixel_mm: float) -> bool:
    """Time /infer, the synthesis and the network alone, and a cold start; whether every goal is met."""
    with tempfile.TemporaryDirectory() as name:
        place = make_place(Path(name), pixel_mm=pixel_mm)
        source = read_mammogram(next(file for file in place.studies.iterdir() if "L-CC" in file.name))
        bundle = load_bundle(default_bundle("contrast"))
        network = _Stopwatch(bundle.synthesizer.network)
        progress("server")
        started = time.monotonic()
        with serving(place) as server:
            cold_start = time.monotonic() - started
            series = control_series(server)["L CC low energy"][1]

            def ask() -> None:
                server.post(f"/infer/contrast?image={series}&output=image").raise_for_status()

            def measure() -> tuple[float, float, float]:
                network.seconds = 0.0
                return timed(lambda: bundle.synthesize({"source": source})), network.seconds, timed(ask)

            first = timed(ask)
            bundle.synthesize({"source": source})
            progress("by turns, so that what else the machine does falls on all")
            rounds = [measure() for _ in range(repeats)]
    synthesis, alone, whole = (statistics.median(each) for each in zip(*rounds, strict=True))
    table = Table(f"/infer over {source.pixels.shape[0]} x {source.pixels.shape[1]} pixels, medians of {repeats}")
    table.tell("network alone", f"{alone:.3f} s")
    table.tell("synthesis alone", f"{synthesis:.3f} s")
    table.tell("synthesis beyond the network", f"{synthesis - alone:.3f} s")
    table.tell("/infer, first", f"{first:.3f} s")
    table.tell("/infer", f"{whole:.3f} s")
    table.tell("/infer beyond the synthesis", f"{whole - synthesis:.3f} s")
    table.none_of("/infer faster than the synthesis in it: too much else went on", int(whole < synthesis))
    table.below("/infer beyond the network", whole - alone, INFER_LIMIT_S, "s", 3)
    table.tell("/infer over synthesis, ratio", f"{whole / synthesis:.2f}")
    table.tell("/infer over network, ratio", f"{whole / alone:.2f}")
    table.below("cold start until ready", cold_start, START_LIMIT_S, "s")
    table.tell("cold start over network, ratio", f"{cold_start / alone:.1f}")
    return table.print()


class _Stopwatch:
    """Seconds that are spent in the forward calls of a network."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.seconds = 0.0
        self._forward: Callable[..., Any] = network.forward
        network.forward = self._timed

    def _timed(self, *args: Any, **kwargs: Any) -> Any:
        started = time.monotonic()
        try:
            return self._forward(*args, **kwargs)
        finally:
            self.seconds += time.monotonic() - started
