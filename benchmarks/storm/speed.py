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

from benchmarks.storm.setting import CONTROL, Table, control_series, make_place, percentile, progress, serving, timed
from mammosynth.bundle import Bundle, default_bundle, load_bundle
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
        progress("synthesis in process")
        bundle = load_bundle(default_bundle("contrast"))
        synthesis, network = _synthesis_and_network(bundle, source, repeats)
        del bundle
        progress("server")
        started = time.monotonic()
        with serving(place) as server:
            cold_start = time.monotonic() - started
            series = control_series(server)["L CC low energy"][1]
            path = f"/infer/contrast?image={series}&output=image"
            seconds = [timed(lambda: server.post(path).raise_for_status()) for _ in range(repeats + 1)]
    first, whole = seconds[0], statistics.median(seconds[1:])
    table = Table(f"/infer over {source.pixels.shape[0]} x {source.pixels.shape[1]} pixels, medians of {repeats}")
    table.tell("network alone", f"{network:.3f} s")
    table.tell("synthesis alone", f"{synthesis:.3f} s")
    table.tell("/infer, first", f"{first:.3f} s")
    table.tell("/infer", f"{whole:.3f} s")
    table.below("/infer beyond the synthesis", whole - synthesis, INFER_LIMIT_S, "s", 3)
    table.tell("/infer beyond the network", f"{whole - network:.3f} s")
    table.tell("/infer over synthesis, ratio", f"{whole / synthesis:.2f}")
    table.tell("/infer over network, ratio", f"{whole / network:.2f}")
    table.below("cold start until ready", cold_start, START_LIMIT_S, "s")
    table.tell("cold start over network, ratio", f"{cold_start / network:.1f}")
    return table.print()


def _synthesis_and_network(bundle: Bundle, source: Any, repeats: int) -> tuple[float, float]:
    """Medians of a whole synthesis in this process, and of its network's part in the same calls."""
    network = _Stopwatch(bundle.synthesizer.network)
    whole, within = [], []
    bundle.synthesize({"source": source})
    for _ in range(repeats):
        network.seconds = 0.0
        whole.append(timed(lambda: bundle.synthesize({"source": source})))
        within.append(network.seconds)
    return statistics.median(whole), statistics.median(within)


class _Stopwatch:
    """Seconds that are spent in a network's forward calls."""

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
