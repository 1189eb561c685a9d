"""What the other view of a mammogram costs: both renderings, at 512 rows and at a detector's matrix, against the goals.

Run from the root: `PYTHONPATH=.:lib .venv/bin/python benchmarks/view.py [--repeat N]`. Every matrix is measured in a
process of its own, on two threads, from a painted breast with a lesion drawn on it. Absolute times depend on the
machine and on what else it does: processor time is told beside them.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
from scipy import ndimage

from benchmarks.own_process import measured_apart

BUNDLE = "breast_mg_view"
SHAPES = {"512 rows": (512, 400), "native": (3518, 2800)}
LIMIT_S = {"512 rows": 3.0, "native": 10.0}


def main() -> None:
    """Measure and print."""
    every = measured_apart(__doc__, tuple(SHAPES), _measured, repeat=3)
    print("two threads, median after the first")
    for size, found in every.items():
        height, width = SHAPES[size]
        print(f"\n{size}, {height} x {width}; peak memory of the process {found.pop('peak_mib'):.0f} MiB")
        for rendering, (seconds, processor) in found.items():
            share = seconds / LIMIT_S[size]
            print(
                f"  {rendering:9} {seconds:6.2f} s, {share:.2f} of the goal of {LIMIT_S[size]:g} s; "
                f"processor {processor:.2f} s"
            )


def _measured(size: str, repeat: int) -> dict:
    """Seconds by the clock and of the processor by rendering."""
    from mammosynth.bundle import default_model_zoo, load_bundle
    from mammosynth.preprocessing.look import Look
    from mammosynth.task import Rendering

    bundle = load_bundle(default_model_zoo() / BUNDLE)
    inputs = painted(SHAPES[size])
    found = {}
    for rendering in Rendering:
        times = []
        for seed in range(repeat + 1):
            started = time.monotonic(), time.process_time()
            bundle.synthesize(inputs, parameters={"look": Look.DIGITAL}, rendering=rendering, seed=seed)
            times.append((time.monotonic() - started[0], time.process_time() - started[1]))
        found[str(rendering)] = [statistics.median(each) for each in zip(*times[1:], strict=True)]
    return found


def painted(shape: tuple[int, int]) -> dict:
    """A breast of even grey with noise, and a lesion in it."""
    from mammosynth.label_map import LabelMap
    from mammosynth.mammogram import Mammogram
    from mammosynth.tasks.view.roles import LESIONS, SOURCE
    from mammosynth.tasks.view.specification import CLASSES
    from mammosynth.terms import ImageLaterality, ViewPosition

    height, width = shape
    y, x = np.ogrid[:height, :width]
    breast = ((y / height - 0.5) / 0.46) ** 2 + (x / width / 0.75) ** 2 < 1
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape).astype(np.float32), 2)
    lesion = np.hypot(y / height - 0.5, (x - 0.4 * width) / height) < 0.02
    pixels = np.clip((0.4 + 0.3 * noise + 0.2 * lesion) * breast, 0, 1).astype(np.float32)
    return {
        SOURCE: Mammogram(pixels, "painted", ViewPosition.CC, ImageLaterality.LEFT),
        LESIONS: LabelMap(lesion.astype(np.uint8), "painted", CLASSES),
    }


if __name__ == "__main__":
    main()
