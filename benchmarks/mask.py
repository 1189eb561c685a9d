"""What a mammogram from a label map costs: ours against the published ways, at 512 rows and at a detector's matrix.

Run from the root: `PYTHONPATH=.:lib .venv/bin/python benchmarks/mask.py [--repeat N]`. Every bundle is measured in a
process of its own, on two threads. Time does not depend on weights, so bundles without weights are timed as they are
built. Absolute times depend on the machine and on what else it does; ratios are of one run.
"""

from __future__ import annotations

import statistics
import time

from benchmarks.own_process import measured_apart

OURS = "breast_mg_mask"
PUBLISHED = {"breast_mg_mask_pix2pix": "S1, pix2pix and super-resolution", "breast_mg_mask_dcgan": "S4, DCGAN of 64 px"}
SHAPES = {"512 rows": (512, 400), "native": (2850, 2394)}
LIMIT_S, LIMIT_MIB = {"512 rows": 1.0, "native": 15.0}, 4096
SEED = 3


def main() -> None:
    """Measure and print."""
    found = measured_apart(__doc__, (OURS, *PUBLISHED), _measured, repeat=5)
    print("sampled rendering, two threads, median after the first; in brackets how many times as long ours takes")
    for size, (height, width) in SHAPES.items():
        own = found[OURS][size]
        print(f"\n{size}, {height} x {width}")
        print(f"  {OURS:24} {own:7.2f} s, {own / LIMIT_S[size]:.2f} of the limit of {LIMIT_S[size]:g} s")
        for name, title in PUBLISHED.items():
            print(f"  {name:24} {found[name][size]:7.2f} s [{own / found[name][size]:.2f}]  {title}")
    print("\npeak memory of the process")
    for name in found:
        peak = found[name]["peak_mib"]
        print(f"  {name:24} {peak:6.0f} MiB, {peak / LIMIT_MIB:.2f} of the limit of {LIMIT_MIB} MiB")


def _measured(name: str, repeat: int) -> dict[str, float]:
    """Seconds by size of matrix."""
    from mammosynth.bundle import build_synthesizer, default_model_zoo
    from mammosynth.task import Rendering
    from mammosynth.tasks.mask.labels.draw import draw_label_map
    from mammosynth.terms import ImageLaterality, ViewPosition

    synthesizer = build_synthesizer(default_model_zoo() / name)
    found = {}
    for size, shape in SHAPES.items():
        labels = draw_label_map(
            SEED,
            lesions=1,
            view_position=ViewPosition.CC,
            image_laterality=ImageLaterality.LEFT,
            shape=shape,
        )
        seconds = []
        for seed in range(repeat + 1):
            started = time.monotonic()
            synthesizer({"label_map": labels}, synthesizer.parameters(), rendering=Rendering.SAMPLED, seed=seed)
            seconds.append(time.monotonic() - started)
        found[size] = statistics.median(seconds[1:])
    return found


if __name__ == "__main__":
    main()
