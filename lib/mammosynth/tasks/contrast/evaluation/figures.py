"""Plots of an evaluation as PNG files in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mammosynth.tasks.contrast.evaluation.evaluate import REAL, SOURCE
from mammosynth.tasks.contrast.evaluation.gallery import GREY_BINS, Pictures
from mammosynth.tasks.contrast.evaluation.report import COLUMNS

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
"""Okabe and Ito's colours, told apart by colour-blind readers."""
REAL_COLOUR = "#333333"
SPREAD = ("psnr", "ssim", "mae", "ncc_interior", "ncc_hp", "dice_hot", "auroc_hot", "auroc_lesion")
"""Metrics whose values per image are plotted."""
PIXELS_KNOWN = 200
"""Pixels without which a grey's mean is not plotted."""


def agreement_plot(report: Mapping[str, Any], titles: Mapping[str, str]) -> bytes:
    """Generated against real: lesion contrast D, and change from the source in MAE and SSIM, with identity lines."""
    figure, axes = _figure(1, 3, 12, 4)
    for row, (metric, real_of, title, unit) in enumerate(
        (
            ("contrast_d", (REAL, "contrast_d"), "Lesion brighter than its surroundings (D)", "grey"),
            ("change_mae", (SOURCE, "mae"), "Change from low energy, MAE", "grey"),
            ("change_ssim", (SOURCE, "ssim"), "Likeness to low energy, SSIM", ""),
        )
    ):
        one = axes[row]
        real = _column(report, *real_of)
        for colour, (model, name) in zip(COLOURS, titles.items(), strict=False):
            one.plot(real, _column(report, model, metric), "o", color=colour, ms=4, alpha=0.7, label=name)
        _identity(one)
        one.set(title=title, xlabel=f"real {unit}", ylabel=f"generated {unit}")
    axes[0].legend(fontsize=8)
    return _png(figure)


def bland_altman_plot(report: Mapping[str, Any], titles: Mapping[str, str]) -> bytes:
    """Difference of lesion contrast D against its mean, with the mean difference and 95 % limits of agreement."""
    figure, axes = _figure(1, max(len(titles), 1), 6 * max(len(titles), 1), 4)
    real = _column(report, REAL, "contrast_d")
    for one, colour, (model, name) in zip(axes, COLOURS, titles.items(), strict=False):
        generated = _column(report, model, "contrast_d")
        difference = (generated - real)[~np.isnan(generated - real)]
        one.plot((generated + real) / 2, generated - real, "o", color=colour, ms=4, alpha=0.7)
        if difference.size > 1:
            mean, spread = difference.mean(), 1.96 * difference.std(ddof=1)
            for level, style in ((mean, "-"), (mean - spread, "--"), (mean + spread, "--")):
                one.axhline(level, color=REAL_COLOUR, ls=style, lw=1)
                one.annotate(f"{level:+.2f}", (1, level), xycoords=("axes fraction", "data"), fontsize=8, va="bottom")
        one.set(title=f"D, {name}: Bland-Altman", xlabel="mean of generated and real D", ylabel="generated - real D")
    return _png(figure)


def spread_plot(report: Mapping[str, Any], titles: Mapping[str, str]) -> bytes:
    """Every image's value of several metrics, of the models and of the low-energy image."""
    columns = 4
    rows = -(-len(SPREAD) // columns)
    figure, axes = _figure(rows, columns, 12, 2.9 * rows)
    names = {**titles, SOURCE: "low energy"}
    random = np.random.default_rng(0)
    for one, metric in zip(axes, SPREAD, strict=True):
        for place, (model, colour) in enumerate(zip(names, (*COLOURS[: len(titles)], REAL_COLOUR), strict=False)):
            values = _column(report, model, metric)
            values = values[~np.isnan(values)]
            if values.size == 0:
                continue
            one.plot(place + random.uniform(-0.18, 0.18, values.size), values, "o", color=colour, ms=3, alpha=0.6)
            one.boxplot(values, positions=[place], widths=0.6, showfliers=False, medianprops={"color": REAL_COLOUR})
        one.set_xticks(range(len(names)), [_short(name) for name in names.values()], fontsize=7)
        one.set_title(COLUMNS[metric][0], fontsize=9)
        one.set_xlim(-0.6, len(names) - 0.4)
    return _png(figure)


def halo_plot(report: Mapping[str, Any], pictures: Pictures, titles: Mapping[str, str]) -> bytes:
    """Mean profile over skin distance, real and generated, and the halo's height of each image."""
    figure, (profile, height) = _figure(1, 2, 12, 4)
    shown = {**titles, REAL: "real", SOURCE: "low energy"}
    colours = (*COLOURS[: len(titles)], REAL_COLOUR, "#bbbbbb")
    for (name, title), colour in zip(shown.items(), colours, strict=False):
        depths, mean, deviation = _mean_profile(pictures.profiles.get(name, []))
        profile.plot(depths, mean, color=colour, label=title)
        profile.fill_between(depths, mean - deviation, mean + deviation, color=colour, alpha=0.12, lw=0)
    profile.set(
        title="Grey over skin distance (mean and sd over images)", xlabel="skin distance, pixels", ylabel="grey"
    )
    profile.legend(fontsize=8)
    real = _column(report, REAL, "halo")
    for colour, (model, title) in zip(COLOURS, titles.items(), strict=False):
        height.plot(real, _column(report, model, "halo"), "o", color=colour, ms=4, alpha=0.7, label=title)
    _identity(height)
    height.set(title="Halo of each image", xlabel="real, standard deviations", ylabel="generated")
    return _png(figure)


def calibration_plot(pictures: Pictures, titles: Mapping[str, str]) -> bytes:
    """What a generated grey means: mean real grey with its 10 to 90 % range, over all scored pixels."""
    figure, axes = _figure(1, max(len(titles), 1), 6 * max(len(titles), 1), 4)
    centres = (np.arange(GREY_BINS) + 0.5) / GREY_BINS
    for one, colour, (model, name) in zip(axes, COLOURS, titles.items(), strict=False):
        counts = pictures.greys.get(model, np.zeros((GREY_BINS, GREY_BINS)))
        counts = counts[known := counts.sum(axis=1) >= PIXELS_KNOWN]
        share = np.cumsum(counts, axis=1) / counts.sum(axis=1, keepdims=True)
        low, high = (centres[np.argmax(share >= level, axis=1)] for level in (0.1, 0.9))
        one.fill_between(centres[known], low, high, color=colour, alpha=0.2, lw=0, label="10 to 90 %")
        one.plot(centres[known], (counts @ centres) / counts.sum(axis=1), color=colour, label="mean")
        _identity(one)
        one.set(title=f"Grey, {name}: calibration", xlabel="generated grey", ylabel="real grey there")
        one.legend(fontsize=8)
    return _png(figure)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(np.ravel(figure.subplots(rows, columns)))
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _column(report: Mapping[str, Any], method: str, metric: str) -> np.ndarray:
    return np.array([case["scores"][method][metric] for case in report["cases"]], float)


def _identity(axes: Axes) -> None:
    low, high = (function(function(axes.get_xlim()), function(axes.get_ylim())) for function in (min, max))
    axes.plot((low, high), (low, high), color="#999999", lw=1, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")


def _mean_profile(profiles: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depths, mean and standard deviation over the cases that reach each depth, while at least half of them do."""
    longest = max(profiles, key=lambda profile: profile[0].size, default=(np.empty(0), np.empty(0)))[0]
    table = np.full((len(profiles), longest.size), np.nan)
    for row, (_, grey) in zip(table, profiles, strict=True):
        row[: grey.size] = grey
    kept = (~np.isnan(table)).sum(axis=0) * 2 >= max(len(profiles), 1)
    return longest[kept], np.nanmean(table[:, kept], axis=0), np.nanstd(table[:, kept], axis=0)


def _short(name: str) -> str:
    return name.replace("breast_cem_", "")
