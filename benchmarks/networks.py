"""What networks cost at a detector's matrix: time within the layers of every bundle in one synthesis.

Run from the root: `PYTHONPATH=.:lib .venv/bin/python benchmarks/networks.py [--repeat N] [--only NAME ...]`. On a GPU,
if there is one, against the goal of 50 ms; on one CPU thread beside it. Time does not depend on weights, so bundles
without weights are timed as they are built. What is not layers (reading, framing, drawing, fine detail) is not in it:
the benchmarks of the tasks time whole syntheses.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from benchmarks.view import painted
from mammosynth.bundle import METADATA, WEIGHTS, build_synthesizer, find_bundles, load_bundle, read_config
from mammosynth.synthesis.synthesizer import Synthesizer
from mammosynth.task import Rendering
from mammosynth.tasks.mask.labels.draw import draw_label_map
from mammosynth.terms import ImageLaterality, ViewPosition

NATIVE = (2850, 2394)
GOAL_MS = 50.0
"""On a GPU of the H200's class."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="syntheses after the first (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=[*find_bundles()], metavar="NAME", help="bundles (default: all)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    has_gpu = torch.cuda.is_available()
    gpu = torch.cuda.get_device_name() if has_gpu else "GPU"
    inputs = _inputs()
    print(f"milliseconds within layers, {NATIVE[0]} x {NATIVE[1]} pixels, median of {args.repeat} after the first")
    print(f"{'':28} {'rendering':10} {gpu + f', goal {GOAL_MS:g}':>26} {'one CPU thread':>16}")
    for name in args.only:
        synthesizer, renderings = _built(find_bundles()[name])
        for rendering in renderings:
            given = inputs[synthesizer.task]
            cpu = _median_ms(synthesizer, given, rendering, args.repeat, "cpu")
            told = "not measured: no CUDA"
            if cpu == 0:
                told = "no layers: closed form"
            elif has_gpu:
                found = _median_ms(synthesizer, given, rendering, args.repeat, "cuda")
                told = f"{found:.1f}, {'reached' if found <= GOAL_MS else 'missed'}"
            print(f"{name:28} {rendering:10} {told:>26} {cpu:16.0f}", flush=True)


def _built(folder: Path) -> tuple[Synthesizer, list[Rendering]]:
    ours = read_config(folder, METADATA)["mammosynth"]
    has_weights = (folder / WEIGHTS).is_file()
    synthesizer = load_bundle(folder).synthesizer if has_weights else build_synthesizer(folder)
    return synthesizer, [Rendering(each) for each in ours.get("renderings", [Rendering.EXPECTED])]


def _median_ms(
    synthesizer: Synthesizer, inputs: Mapping[str, Any], rendering: Rendering, repeat: int, device: str
) -> float:
    synthesizer.network.to(device).eval()
    times = []
    for seed in range(repeat + 1):
        with LayerClock(torch.cuda.synchronize if device == "cuda" else lambda: None) as clock:
            synthesizer(inputs, synthesizer.parameters(), rendering=rendering, seed=seed)
        times.append(1000 * clock.seconds)
    return statistics.median(times[1:])


class LayerClock:
    """Adds up the time within the outermost calls of modules, of all networks there are.

    Args:
        wait: Until the device has done what it was given.
    """

    def __init__(self, wait: Callable[[], None]) -> None:
        self.seconds = 0.0
        self._wait, self._depth, self._started = wait, 0, 0.0

    def __enter__(self) -> LayerClock:
        self._hooks = [register_module_forward_pre_hook(self._begin), register_module_forward_hook(self._end)]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _begin(self, *_: object) -> None:
        if self._depth == 0:
            self._wait()
            self._started = time.perf_counter()
        self._depth += 1

    def _end(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._wait()
            self.seconds += time.perf_counter() - self._started


def _inputs() -> dict[str, dict[str, Any]]:
    """By task: a breast of even grey with noise, a lesion in it, and a drawn breast."""
    view = painted(NATIVE)
    whole = draw_label_map(
        3, lesions=1, view_position=ViewPosition.CC, image_laterality=ImageLaterality.LEFT, shape=NATIVE
    )
    return {"contrast": {"source": view["source"]}, "view": view, "mask": {"label_map": whole}}


if __name__ == "__main__":
    main()
