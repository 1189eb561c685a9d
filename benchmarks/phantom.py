"""What a phantom costs: CPU seconds, memory, how it scales over processes and, if there is one, over a GPU.

Run: `.venv/bin/python benchmarks/phantom.py [--cases 4]`. A case here is one breast in both views, as in the table of
docs/concepts/phantom.md. CPU seconds are of one thread; they depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import DETECTOR_MM, CaseParameters
from mammosynth.terms import ImageLaterality, ViewPosition


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--only-scaling", action="store_true")
    args = parser.parse_args()
    if not args.only_scaling:
        _print_costs(args.cases)
    _print_scaling(args.cases)


def _print_costs(cases: int) -> None:
    torch.set_num_threads(1)
    tiny = DETECTOR_MM[0] / 64
    _cpu_s(tiny, range(2), views=1)
    print(f"one view of 64 x 53 pixels      {1000 * _cpu_s(tiny, range(20), views=1):8.0f} ms (median of 20, warm)")
    for pixel_mm in (1.0, 0.4, 0.1):
        seconds = _cpu_s(pixel_mm, range(cases))
        print(f"one breast, two views, {pixel_mm:.1f} mm  {seconds:8.1f} CPU-s (median of {cases})")
    print(f"peak memory so far              {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MiB")


def _print_scaling(cases: int) -> None:
    one, two = (_cohort_s(workers, 2 * cases) for workers in (1, 2))
    print(f"{2 * cases} patients at 1.0 mm, on disk   {one:8.1f} s; with 2 processes {two:.1f} s: {one / two:.2f} x")
    if torch.cuda.is_available():
        list(generate_case(CaseParameters(0), device="cuda"))
        cpu, cuda = (_wall_s(device, cases) for device in ("cpu", "cuda"))
        print(f"0.4 mm on {torch.cuda.get_device_name()}: {cuda:.2f} s a case, {cpu / cuda:.1f} x one CPU thread")


def _cpu_s(pixel_mm: float, seeds: range, *, views: int = 2) -> float:
    """Median over cases of the CPU seconds of one breast."""
    spent = []
    for seed in seeds:
        case = CaseParameters(seed, views=tuple(ViewPosition)[:views], sides=(ImageLaterality.LEFT,), pixel_mm=pixel_mm)
        start = time.process_time()
        list(generate_case(case))
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def _cohort_s(workers: int, cases: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        settings = CohortSettings(CaseParameters(0, pixel_mm=1.0))
        write_cohort(Path(folder) / "cohort", settings, range(cases), engine=LocalEngine(workers))
        return time.monotonic() - start


def _wall_s(device: str, cases: int) -> float:
    start = time.monotonic()
    for seed in range(cases):
        list(generate_case(CaseParameters(seed, sides=(ImageLaterality.LEFT,)), device=device))
    return (time.monotonic() - start) / cases


if __name__ == "__main__":
    main()
