"""What contrast costs and how sharp it is: reference against fast mode, all members, /infer, power of detail.

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/contrast.py [--full-resolution DIR] [--pairs DIR]`. The
first DIR holds pairs `<name>_DM_<view>.jpg` and `<name>_CM_<view>.jpg`, the second is a folder as `evaluate contrast`
reads it. Time does not depend on weights, so bundles without weights are timed as they are built. Absolute times depend
on the machine and on what else it does; ratios are of one run.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.server import peak_rss_mib
from mammosynth.bundle import build_synthesizer, default_model_zoo, load_bundle
from mammosynth.dicom.read import read_mammogram
from mammosynth.files import read_image
from mammosynth.mammogram import Mammogram
from mammosynth.networks.ensemble import Ensemble
from mammosynth.networks.residual_unet import ResidualUNet
from mammosynth.networks.resnet_generator import MULTIPLE
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.synthesis.engine import run_whole, run_windows
from mammosynth.tasks.contrast.data import ContrastDataset
from mammosynth.tasks.contrast.evaluation.metrics import psnr
from mammosynth.tasks.contrast.evaluation.protocol import Case, into_frame
from mammosynth.tasks.contrast.evaluation.sharpness import BAND_EDGES, band_powers
from mammosynth.tasks.contrast.specification import SOURCE
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from mammosynth.tasks.contrast.windowed import FAST, OVERLAP, REFERENCE, STRIDE, TILE, WINDOW, tile_side
from mammosynth.terms import ViewPosition
from tests.support.phantom_views import left_cc
from tests.support.server import find_series, running

THREADS = "2"
LIMIT_S, LIMIT_MIB, LEAST_RATIO = 10, 4096, 50
NATIVE = (2296, 1916)
"""Matrix of a full-field detector with 0.1 mm pixels, padded to multiples of 4."""
REPEATS, MOST_RATIO = 5, 2.0
RIM = 100
"""Pixels of the rim that are left out of the spectra: skin."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windowed", default="breast_cem_cyclegan", help="bundle with a reference mode")
    parser.add_argument("--bundle", default="breast_cem_residual", help="bundle to serve and to measure sharpness of")
    parser.add_argument("--full-resolution", type=Path, metavar="DIR")
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="to score both modes on its split 'val'")
    parser.add_argument("--only", choices=["modes", "scores", "members", "infer", "sharpness"])
    args = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "modes": lambda: _print_modes(args.windowed),
        "scores": lambda: _print_scores(args.windowed, args.pairs),
        "members": lambda: _print_members(args.bundle),
        "infer": lambda: _print_infer(args.bundle),
        "sharpness": lambda: _print_sharpness(args.bundle, args.full_resolution),
    }
    for name, part in parts.items():
        if args.only in (None, name):
            part()


def _print_modes(name: str) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    synthesizer = build_synthesizer(default_model_zoo() / name)
    network = synthesizer.network.to(device).eval()
    print(f"\nstride {STRIDE} against fast mode, {name}, on {_device_name(device)}")
    frame = synthesizer.preprocessing.frame_shape
    pixels = _noise(frame)
    reference = _seconds(lambda: run_windows(network, pixels, (WINDOW, WINDOW), (STRIDE, STRIDE)))
    fast = _seconds(lambda: run_whole(network, pixels))
    _print_ratio(f"{frame[0]} x {frame[1]}, the frame", reference, fast)
    # At a detector's own matrix one waits for hours on a CPU, so a few windows and one tile stand for all of them.
    few = _noise((WINDOW, WINDOW + 7 * STRIDE))
    one_window = _seconds(lambda: run_windows(network, few, (WINDOW, WINDOW), (STRIDE, STRIDE))) / 8
    tile = [tile_side(side, TILE, OVERLAP) for side in NATIVE]
    tiles = math.prod(
        math.ceil((side - OVERLAP) / (of_tile - OVERLAP)) for side, of_tile in zip(NATIVE, tile, strict=True)
    )
    part = _noise((tile[0] // 2 // MULTIPLE * MULTIPLE, tile[1] // 2 // MULTIPLE * MULTIPLE))
    one_tile = 4 * _seconds(lambda: run_whole(network, part))
    windows = math.prod(math.ceil((side - WINDOW) / STRIDE) + 1 for side in NATIVE)
    label = f"{NATIVE[0]} x {NATIVE[1]}, {windows} windows or {tiles} tiles, scaled up from 8 and a quarter"
    _print_ratio(label, windows * one_window, tiles * one_tile)


def _print_scores(name: str, place: Path | None) -> None:
    if place is None:
        print("\nno --pairs: the modes are not scored")
        return
    bundle, found = load_bundle(default_model_zoo() / name), {mode: [] for mode in (FAST, REFERENCE)}
    for pair in ContrastDataset().read(place, "val"):
        framed = into_frame(pair)
        case = Case.from_pair(framed)
        for mode, values in found.items():
            made = bundle.synthesize({SOURCE: framed.low_energy}, parameters={"mode": mode}).image.pixels
            values.append(psnr(case.turn(made)[case.scored], case.recombined[case.scored]))
    print(f"\n{name}, mean PSNR inside both breasts, val")
    for mode, values in found.items():
        print(f"{mode:<12}{statistics.mean(values):6.2f} dB of {len(values)} images")


def _print_infer(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        studies = Path(folder) / "studies"
        files = write_exam(studies, seed=1, workers=None, patient_id="BENCH")
        rows, columns = read_mammogram(files[0]).pixels.shape
        environment = {"OMP_NUM_THREADS": THREADS, "MKL_NUM_THREADS": THREADS}
        with running(Path(folder) / "data", "--studies", str(studies), environment=environment) as server:
            model = _served_name(server.get("/info/").json(), name)
            seconds = []
            for series in find_series(server, "BENCH").values():
                started = time.monotonic()
                server.post(f"/infer/{model}?image={series[1]}&output=image").raise_for_status()
                seconds.append(time.monotonic() - started)
            peak = peak_rss_mib(server.process.pid)
    print(f"\n/infer of {rows} x {columns} pixels with {name}, {THREADS} CPU threads")
    print(f"first, then median of {len(seconds) - 1}   {seconds[0]:.2f} s, {statistics.median(seconds[1:]):.2f} s")
    print(f"slowest, limit {LIMIT_S} s        {max(seconds) / LIMIT_S:.2f} of the limit")
    print(f"memory, peak of the server   {peak:.0f} MiB, {peak / LIMIT_MIB:.2f} of the limit of {LIMIT_MIB} MiB")


def _print_members(name: str) -> None:
    """Median times of a synthesis at a detector's own matrix, by all members and by the U-Nets alone, turn by turn."""
    torch.set_num_threads(1)
    synthesizer = load_bundle(default_model_zoo() / name).synthesizer
    members = synthesizer.network.members
    unets = Ensemble([member for member in members if isinstance(member, ResidualUNet)]).eval()
    fewer = ContrastSynthesizer(synthesizer.preprocessing, unets, synthesizer.average_flips)
    phantom = left_cc(25, pixel_mm=0.1).low_energy
    source = Mammogram(phantom, "phantom", view_position=ViewPosition.CC)
    print(f"\n{name}: {len(members)} members against its {len(unets.members)} U-Nets, {phantom.shape}, one CPU thread")
    for title, asked in (("image", False), ("with uncertainty", True)):
        seconds: dict[int, list[float]] = {0: [], 1: []}
        for _ in range(REPEATS):
            for number, made in enumerate((fewer, synthesizer)):
                parameters = made.parameters(uncertainty=asked)
                seconds[number].append(_seconds(lambda: made({SOURCE: source}, parameters)))  # noqa: B023
        before, now = (statistics.median(each) for each in seconds.values())
        print(f"{title}: {before:.2f} s, {now:.2f} s, ratio {now / before:.2f} (at most {MOST_RATIO:g})")


def _served_name(info: dict[str, Any], bundle: str) -> str:
    """Under which name the server offers a bundle: the default one goes by its task."""
    return next(model for model, about in info["models"].items() if about["bundle"] == bundle)


def _print_sharpness(name: str, folder: Path | None) -> None:
    if folder is None:
        print("\nno --full-resolution: sharpness is not measured")
        return
    synthesizer = load_bundle(default_model_zoo() / name).synthesizer
    print(f"\npower of detail against the real recombined image, {name}, by period in pixels")
    periods = [f"{1 / high:.0f}-{1 / low:.0f}" for low, high in pairwise(BAND_EDGES)]
    print(f"{'':34}" + "".join(f"{period:>9}" for period in periods))
    for path in sorted(folder.glob("*_DM_*.jpg")):
        source = read_image(path)
        real = read_image(path.with_name(path.name.replace("_DM_", "_CM_")))
        ours = synthesizer(source, synthesizer.parameters()).image
        enlarged = _enlarged_only(synthesizer, source)
        of_real = band_powers(real.pixels, _interior(real))
        for label, pixels in (("low energy", source.pixels), ("ours", ours.pixels), ("enlarged only", enlarged)):
            ratios = band_powers(pixels, _interior(source)) / of_real
            print(f"{path.stem + ', ' + label:34}" + "".join(f"{ratio:9.4f}" for ratio in ratios))


def _enlarged_only(synthesizer: Any, source: Mammogram) -> np.ndarray:
    """What an image of the frame's resolution looks like in the source's matrix."""
    prepared = synthesizer.preprocessing.prepare(source)
    generated = synthesizer.generate(prepared)
    if isinstance(synthesizer, ContrastSynthesizer):
        offset, gain = generated.mean(axis=0)
        generated = np.clip(offset + gain * prepared.low_energy, 0, 1)
    return synthesizer.preprocessing.restore(prepared, generated)


def _interior(image: Mammogram) -> np.ndarray:
    return erode(segment_breast(image.pixels), RIM)


def _noise(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, 1, *shape)).astype(np.float32)


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _print_ratio(label: str, reference_s: float, fast_s: float) -> None:
    ratio = reference_s / fast_s
    verdict = "reached" if ratio >= LEAST_RATIO else "not reached"
    print(f"{label}: {reference_s:.1f} s, {fast_s:.2f} s, ratio {ratio:.1f} ({LEAST_RATIO} {verdict})")


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "one CPU thread"


if __name__ == "__main__":
    main()
