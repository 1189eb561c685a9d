"""The report's figures, the same for HTML and PDF."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mammosynth.reading.protocol import Protocol
from mammosynth.reading.report.words import Line
from mammosynth.reading.statistics.roc import roc_curve

COLOURS = ("#1b4965", "#c8553d", "#588b8b", "#8f5e99", "#b08900", "#444444", "#6a994e", "#bc4b51")
_MOST_MATRICES = 8  # a row of more cannot be read
_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Drawn:
    """A figure with its words."""

    title: str
    note: str
    figure: Figure


def figures(protocol: Protocol, table: pd.DataFrame, results: Mapping[str, Any], lines: Sequence[Line]) -> list[Drawn]:
    """Every figure that the endpoints have data for."""
    return [
        *_forests(lines),
        *_curves(protocol, table),
        *_confusions(protocol, results),
        *_cross_tables(protocol, results),
        *_times(protocol, table),
    ]


def _forests(lines: Sequence[Line]) -> Iterator[Drawn]:
    """Differences by what they are compared with, and agreement."""
    kinds = (
        ("Differences between arms", "Right of the line, the arm is higher than the reference arm.", 0.0),
        ("Areas against chance", "On the line: no better than chance.", 0.5),
    )
    for title, note, null in kinds:
        rows = [line for line in lines if line.null == null and line.low is not None]
        if rows:
            yield Drawn(title, f"{note} Bars: 95 % intervals.", _forest(rows, null))
    rows = [
        line
        for line in lines
        if line.null is None and line.low is not None and ("κ" in line.what or "AC2" in line.what or "α" in line.what)
    ]
    if rows:
        yield Drawn(
            "Agreement", "1: always the same answer; 0: as chance has it. Bars: 95 % intervals.", _forest(rows, 0.0)
        )


def _forest(rows: Sequence[Line], null: float) -> Figure:
    figure = Figure(figsize=(9, 0.8 + 0.34 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, line in enumerate(rows):
        axes.plot(np.array([line.low, line.high], float), [place, place], color=COLOURS[0], lw=1.6)
        axes.plot(np.array([line.value], float), [place], "s", color=COLOURS[0], ms=5)
    axes.axvline(null, color="#888888", lw=1)
    axes.set_yticks(
        range(len(rows)), [f"{line.endpoint.replace(' (primary)', '')}\n{line.what}" for line in rows], fontsize=6.5
    )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _plain(axes)
    return figure


def _curves(protocol: Protocol, table: pd.DataFrame) -> Iterator[Drawn]:
    drawn: set[tuple[str, str]] = set()
    for endpoint in protocol.endpoints.values():
        kind = {"auc": "roc", "realism": "realism", "visual_grading": "vgc"}.get(endpoint.statistic)
        rows = table[(table["question"] == endpoint.question) & (table["occasion"] == 1)]
        if kind is None or (kind, endpoint.question) in drawn or rows.empty:
            continue
        drawn.add((kind, endpoint.question))
        title = protocol.questions[endpoint.question].title
        if kind == "roc":
            note = "One line a reader, one panel an arm."
            yield Drawn(f"ROC curves: {title}", note, _roc(protocol, rows[rows["is_positive"].notna()]))
        elif kind == "realism":
            figure = Figure(figsize=(4.4, 4), layout="constrained")
            _panel(
                figure.subplots(), rows, "is_positive", "share of real taken for generated", "share of generated found"
            )
            yield Drawn(f"ROC curves of generated against real: {title}", "On the diagonal: chance.", figure)
        else:
            yield Drawn(
                f"Visual grading characteristic: {title}",
                "Above the diagonal: the arm is rated higher.",
                _vgc(protocol, rows),
            )


def _roc(protocol: Protocol, rows: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(4.2 * len(protocol.arms), 4), layout="constrained")
    for axes, arm in zip(np.atleast_1d(figure.subplots(1, len(protocol.arms))), protocol.arms, strict=True):
        _panel(axes, rows[rows["arm"] == arm], "is_positive", "1 – specificity", "sensitivity")
        axes.set_title(protocol.arms[arm].title, fontsize=9)
    return figure


def _vgc(protocol: Protocol, rows: pd.DataFrame) -> Figure:
    others = [arm for arm in protocol.arms if arm != protocol.reference_arm]
    figure = Figure(figsize=(4.2 * len(others), 4), layout="constrained")
    reference = protocol.arms[protocol.reference_arm].title
    for axes, arm in zip(np.atleast_1d(figure.subplots(1, len(others))), others, strict=True):
        own = rows[rows["arm"].isin([arm, protocol.reference_arm])]
        own = own.assign(is_arm=own["arm"] == arm)
        _panel(
            axes,
            own,
            "is_arm",
            f"share at least so high: {reference}",
            f"share at least so high: {protocol.arms[arm].title}",
        )
    return figure


def _panel(axes: Any, rows: pd.DataFrame, truth: str, x: str, y: str) -> None:
    axes.plot([0, 1], [0, 1], color="#bbbbbb", lw=1)
    for number, (reader, own) in enumerate(rows.groupby("reader", sort=False)):
        positive = own[truth].to_numpy(bool)
        if positive.any() and not positive.all():
            horizontal, vertical = roc_curve(own["rating"].to_numpy(float), positive)
            style = _STYLES[number // len(COLOURS) % len(_STYLES)]
            axes.plot(horizontal, vertical, style, color=COLOURS[number % len(COLOURS)], lw=1.3, label=str(reader))
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, loc="lower right", frameon=False)
    _plain(axes)


def _confusions(protocol: Protocol, results: Mapping[str, Any]) -> Iterator[Drawn]:
    seen: set[str] = set()
    for name, result in results["endpoints"].items():
        question = protocol.endpoints[name].question
        if result.get("decisions") and question not in seen:
            seen.add(question)
            yield Drawn(
                f"Confusion: {protocol.questions[question].title}",
                "Rows: truth; columns: answer. One matrix for each reader (across) and arm (down).",
                _confusion(protocol, result["decisions"]),
            )


def _confusion(protocol: Protocol, decisions: Sequence[Mapping[str, Any]]) -> Figure:
    if len({each["reader"] for each in decisions}) > _MOST_MATRICES:
        decisions = _together(decisions)
    readers = list(dict.fromkeys(each["reader"] for each in decisions))
    arms = list(dict.fromkeys(each["arm"] for each in decisions))
    figure = Figure(figsize=(max(1.9 * len(readers), 5), 1.9 * len(arms)), layout="constrained")
    grid = figure.subplots(len(arms), len(readers), squeeze=False)
    for each in decisions:
        axes = grid[arms.index(each["arm"])][readers.index(each["reader"])]
        found = each["confusion"]
        counts = [
            [found["true_positive"], found["false_negative"]],
            [found["false_positive"], found["true_negative"]],
        ]
        _matrix(axes, np.array(counts), ("yes", "no"))
        arm = textwrap.shorten(protocol.arms[each["arm"]].title, 34, placeholder=" …")
        axes.set_title(f"{each['reader']}\n{arm}", fontsize=6)
    return figure


def _together(decisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The counts of all readers, by arm."""
    found: dict[str, Counter[str]] = {}
    for each in decisions:
        found.setdefault(each["arm"], Counter()).update(each["confusion"])
    return [{"reader": "all readers", "arm": arm, "confusion": counts} for arm, counts in found.items()]


def _cross_tables(protocol: Protocol, results: Mapping[str, Any]) -> Iterator[Drawn]:
    for name, result in results["endpoints"].items():
        if result["statistic"] != "arm_agreement" or "arms" not in result:
            continue
        question = protocol.questions[protocol.endpoints[name].question]
        words = question.choices() if len(question.choices()) > 2 else ("no", "yes")
        for arm, found in result["arms"].items():
            tables = dict(list(found["tables"].items())[:_MOST_MATRICES])
            figure = Figure(figsize=(max(2.3 * len(tables), 5), 2.5), layout="constrained")
            for axes, (reader, counts) in zip(
                figure.subplots(1, len(tables), squeeze=False)[0], tables.items(), strict=True
            ):
                _matrix(axes, np.array(counts), words)
                axes.set_title(reader, fontsize=7)
            reference = protocol.arms[protocol.reference_arm].title
            yield Drawn(
                f"The same reader in both arms: {question.title}",
                f"Rows: {reference}; columns: {protocol.arms[arm].title}.",
                figure,
            )


def _matrix(axes: Any, counts: np.ndarray, words: Sequence[str]) -> None:
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=max(counts.max(), 1) * 1.4)
    for row, column in np.ndindex(counts.shape):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(words)), words, fontsize=7)
    axes.set_yticks(range(len(words)), words, fontsize=7)


def _times(protocol: Protocol, table: pd.DataFrame) -> Iterator[Drawn]:
    known = table.dropna(subset=["duration_s"])
    if known.empty:
        return
    sums = known.groupby(["reader", "session", "position", "arm"], sort=False)["duration_s"].sum().astype(float)
    arms = [arm for arm in protocol.arms if arm in sums.index.get_level_values("arm")]
    figure = Figure(figsize=(9, 0.9 + 0.5 * len(arms)), layout="constrained")
    axes = figure.subplots()
    axes.boxplot(
        [sums.xs(arm, level="arm").to_numpy() for arm in arms],
        orientation="horizontal",
        tick_labels=[protocol.arms[arm].title for arm in arms],
        widths=0.5,
        flierprops={"markersize": 3},
        medianprops={"color": COLOURS[1]},
    )
    axes.set_xlabel("seconds", fontsize=8)
    _plain(axes)
    yield Drawn("Time per case", "All answers to a case together. Box: quartiles; line: median.", figure)


def _plain(axes: Any) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
