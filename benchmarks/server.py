"""Cold start, latency of /infer beyond the network, and memory of the server, over the demo exam.

Run: `.venv/bin/python benchmarks/server.py [--pixel-mm 0.1] [--repeats 5]`. Prints one table; absolute times depend on
the machine, so the network's own time is measured in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.dicom.read import read_mammogram
from mammosynth.phantom.clinic.exam import write_exam
from tests.support.server import find_series, running


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixel-mm", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studies = Path(folder) / "studies"
        files = write_exam(studies, seed=1, pixel_mm=args.pixel_mm, workers=None, patient_id="BENCH")
        source = read_mammogram(next(file for file in files if "L-CC" in file.name))
        bundle = load_bundle(default_bundle("contrast"))
        bundle.synthesize({"source": source})
        synthesis = [timed(lambda: bundle.synthesize({"source": source})) for _ in range(args.repeats)]
        started = time.monotonic()
        with running(Path(folder) / "data", "--studies", str(studies)) as server:
            cold_start = time.monotonic() - started
            process = psutil.Process(server.process.pid)
            at_rest = process.memory_info().rss
            series = find_series(server, "BENCH")["L CC low energy"][1]
            first = timed(lambda: server.post(f"/infer/contrast?image={series}&output=image").raise_for_status())
            infer = [
                timed(lambda: server.post(f"/infer/contrast?image={series}&output=image").raise_for_status())
                for _ in range(args.repeats)
            ]
            peak = peak_rss_mib(server.process.pid)
    print(f"image                              {source.pixels.shape[0]} x {source.pixels.shape[1]}")
    print(f"cold start to ready                {cold_start:.1f} s")
    print(f"synthesis alone, median            {statistics.median(synthesis):.2f} s")
    print(f"/infer, first                      {first:.2f} s")
    print(f"/infer, median of {args.repeats}                {statistics.median(infer):.2f} s")
    print(f"/infer beyond the synthesis        {statistics.median(infer) - statistics.median(synthesis):.2f} s")
    print(f"/infer over synthesis, ratio       {statistics.median(infer) / statistics.median(synthesis):.2f}")
    print(f"memory at rest                     {at_rest / 2**20:.0f} MiB")
    print(f"memory, peak                       {peak:.0f} MiB")


def timed(action: Callable[[], Any]) -> float:
    """Seconds that a call takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def peak_rss_mib(pid: int) -> float:
    """MiB that a process has ever used, from Linux's own accounting: what lies between two looks counts, too."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main()
