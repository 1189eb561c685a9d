"""A report of `evaluate_contrast` as tables that a person reads: as Markdown here, as a page in `page`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammosynth.counts import count_of
from mammosynth.evaluation.evaluation import format_models, format_table
from mammosynth.tasks.contrast.evaluation.coverage import CALIBRATED, SPREAD
from mammosynth.tasks.contrast.evaluation.metrics import BEST_AT_ONE

COLUMNS = {
    "psnr": ("PSNR dB", 2),
    "ssim": ("SSIM", 3),
    "mae": ("MAE", 4),
    "ncc_interior": ("NCC interior", 3),
    "dice_hot": ("hot-spot Dice", 3),
    "auroc_hot": ("hot-spot AUROC", 3),
    "ncc_hp": ("NCC high-pass", 3),
    "psnr_affine": ("PSNR affine", 2),
    "ms_ssim": ("MS-SSIM", 3),
    "psnr_frame": ("PSNR full frame", 2),
    "ssim_frame": ("SSIM full frame", 3),
    "mae_frame": ("MAE full frame", 4),
    "psnr_tight": ("PSNR tight frame", 2),
    "ssim_tight": ("SSIM tight frame", 3),
    "d_r": ("D r", 2),
    "d_ratio": ("D ratio", 2),
    "auroc_enhances": ("enhances AUROC", 3),
    "auroc_ring_enhancing": ("ring AUROC, enhancing", 3),
    "auroc_lesion": ("lesion AUROC", 3),
    "change_mae_r": ("change-MAE r", 2),
    "change_ssim_r": ("change-SSIM r", 2),
    "cnr": ("CNR, signed", 2),
    "cnr_abs": ("CNR", 2),
    "cnr_r": ("CNR r", 2),
    "halo": ("halo", 2),
    "halo_r": ("halo r", 2),
}
"""Heading and decimals of every metric, in reading order."""
MEANING = {
    "psnr": "agreement of grey values inside both breasts (mean squared error, in decibels); higher is better",
    "ssim": "agreement of local structure inside both breasts; 1 is perfect; grain cannot be predicted",
    "mae": "mean difference of grey values inside both breasts, range 0 to 1; lower is better",
    "ncc_interior": "correlation of grey values in the breast without skin and nipple",
    "dice_hot": "overlap of the brightest 5 % of the real and of the generated image; 0.05 is chance",
    "auroc_hot": "how well the generated image tells the real one's brightest 5 %; 0.5 is chance",
    "ncc_hp": "correlation after what varies slowly is taken away: spots and strands, not shading",
    "psnr_affine": "PSNR after the best brightness and contrast: free of the unknown window",
    "ms_ssim": "SSIM over five scales inside both breasts: coarse structure counts most",
    "psnr_frame": "PSNR of the padded square with its black margin",
    "ssim_frame": "SSIM of the padded square with its black margin",
    "mae_frame": "mean difference of grey values over the padded square with its black margin",
    "psnr_tight": "PSNR of the breast's box resized to 512 x 256, as published work frames it",
    "ssim_tight": "SSIM of the breast's box resized to 512 x 256, as published work frames it",
    "d_r": "D is how much brighter a lesion is than the tissue around it; correlation with the real D over images",
    "d_ratio": "mean generated D over mean real D; 1 is best, below 1 lesions are too faint",
    "auroc_enhances": "how well the generated contrast tells lesions that enhance in the real image; 0.5 is chance",
    "auroc_ring_enhancing": "lesion against the tissue around it, where the real lesion enhances",
    "auroc_lesion": "lesion against tissue far from it; no test of enhancement: the low-energy image scores high",
    "change_mae_r": "how much is changed from the low-energy image (MAE), generated against real, correlation",
    "change_ssim_r": "how much is changed from the low-energy image (SSIM), generated against real, correlation",
    "cnr": "fat minus fibroglandular tissue over the sum of their standard deviations; the real image's is the goal",
    "cnr_abs": "the same without its sign",
    "cnr_r": "CNR of generated against real images, correlation",
    "halo": "height of a bright band along the skin, in standard deviations; F0 shows what is tissue; 0 is no band",
    "halo_r": "halo of generated against real images, correlation",
}
"""What every metric says, for a reader who does not know it."""
PER_TABLE = 6
KINDS = ("model", "floor", "control", "ceiling", "real")


@dataclass(frozen=True)
class Table:
    """A table to print.

    Attributes:
        title: What it shows.
        rows: Cells; the first row is the heading.
        note: How to read it.
    """

    title: str
    rows: list[list[str]]
    note: str = ""


def format_report(report: dict[str, Any]) -> str:
    """Markdown: goals, every method with 95 % intervals, the model against the best floor, and what else was asked."""
    parts = [summary(report)]
    for table in report_tables(report):
        parts += [part for part in (f"{table.title}.", format_table(table.rows), table.note) if part]
    return "\n\n".join(parts) + "\n"


def summary(report: dict[str, Any]) -> str:
    """What was scored, in two sentences."""
    models = format_models(report["models"])
    drawn = report["n_drawn_regions"]
    tissue = f"drawn for {count_of(drawn, 'image')}, by rule for the others" if drawn else "by rule"
    return (
        f"{models}. Task {report['task']}, split '{report['split']}': {count_of(report['n_images'], 'image')} of "
        f"{count_of(report['n_patients'], 'patient')}, {report['n_enhancing']} enhancing.\n"
        f"Protocol {report['protocol']}. 95 % intervals: {report['bootstrap']} resamples of patients. "
        f"Floors fitted on {report['floors_fitted_on']}. Tissue regions {tissue}."
    )


def report_tables(report: dict[str, Any]) -> list[Table]:
    """All tables of a report, in reading order."""
    tables = [_goals_table(report, model) for model in report["goals"]]
    tables += [_anchors_table(report, model) for model in report["anchors"]]
    metrics = list(COLUMNS)
    tables += [_methods_table(report, metrics[i : i + PER_TABLE]) for i in range(0, len(metrics), PER_TABLE)]
    tables += [_paired_table(report), _false_enhancement_table(report)]
    tables += [_coverage_table(report)] if report["uncertainty"] else []
    for model in report.get("sampled", {}):
        tables += _sampled_tables(report, model)
    return tables + [_versus_table(report, other) for other in report["versus"]]


def method_title(report: Mapping[str, Any], name: str) -> str:
    """How tables name a method."""
    kind = report["methods"][name]["kind"]
    if kind == "model" and len(report["models"]) > 1:
        return f"model {report['models'][name]['name']}"
    return name if name in (kind, "") else f"{kind} {name}"


def cell(entry: Mapping[str, Any], digits: int, *, signed: bool = False) -> str:
    """A value with its interval; a dash if there is none."""

    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:{'+' if signed else ''}.{digits}f}"

    if entry["value"] is None:
        return "-"
    deviation = f" sd {entry['sd']:.{digits}f}" if entry.get("sd") is not None else ""
    return f"{number(entry['value'])} [{number(entry['low'])}, {number(entry['high'])}]{deviation}"


def _goals_table(report: dict[str, Any], model: str) -> Table:
    name = report["models"][model]["name"]
    rows = [["metric", name, "goal", "reached", "minus best floor", "floor", "ceiling"]]
    goals = report["goals"][model]
    for goal in goals:
        title, digits = COLUMNS[goal["metric"]]
        paired = goal["minus_best_floor"]
        rows.append(
            [
                title,
                cell(goal, digits),
                goal["goal"],
                _yes_no(goal["reached"]),
                cell(paired, digits, signed=True),
                paired["best_floor"],
                "-" if goal["ceiling"] is None else f"{goal['ceiling']:.{digits}f}",
            ]
        )
    reached = sum(goal["reached"] is True for goal in goals)
    return Table(
        f"Goals of {name}: {reached} of {len(goals)} reached",
        rows,
        "The goals were set for split 'test' of CDD-CESM. Ceiling: the real image shifted by 2 px. For MAE less is "
        "better; the D ratio is compared with the floor's by its distance from 1.",
    )


def _anchors_table(report: dict[str, Any], model: str) -> Table:
    name = report["models"][model]["name"]
    rows = [["metric", name, "published", "above", "flat image", "flat image there", "our framing"]]
    for anchor in report["anchors"][model]:
        title, digits = COLUMNS[anchor["metric"]]
        flat = anchor["flat"]
        rows.append(
            [
                title,
                cell(anchor, digits),
                f"{anchor['anchor']:g}",
                _yes_no(anchor["above"]) if anchor["same_framing"] else f"({_yes_no(anchor['above'])})",
                "-" if flat is None else f"{flat:.{digits}f}",
                f"{anchor['anchor_flat']:g}",
                anchor["framing"],
            ]
        )
    return Table(
        f"Published values (RISS, 8 outputs scored in float) and {name}",
        rows,
        "In brackets: the framing differs, and what counts is the gain over a flat image (F1) in the same frame.",
    )


def _methods_table(report: dict[str, Any], metrics: list[str]) -> Table:
    rows = [["method", *(COLUMNS[metric][0] for metric in metrics)]]
    methods = report["methods"]
    for name in sorted(methods, key=lambda name: KINDS.index(methods[name]["kind"])):
        values = methods[name]["metrics"]
        rows.append([method_title(report, name), *(cell(values[metric], COLUMNS[metric][1]) for metric in metrics)])
    return Table("Methods: " + ", ".join(COLUMNS[metric][0] for metric in metrics), rows)


def _paired_table(report: dict[str, Any]) -> Table:
    rows = [["model minus best floor", "floor", "difference"]]
    for metric, (title, digits) in COLUMNS.items():
        if metric in report["paired"]:
            paired = report["paired"][metric]
            rows.append([_paired_title(title, metric, paired), paired["best_floor"], cell(paired, digits, signed=True)])
    return Table("The model against the best floor of each metric, on the same images", rows)


def _false_enhancement_table(report: dict[str, Any]) -> Table:
    found = report["false_enhancement"]
    rows = [["method", "hot in %", "minus real images elsewhere", "no more"]]
    methods = report["methods"]
    for name in sorted(found["methods"], key=lambda name: KINDS.index(methods[name]["kind"])):
        entry = found["methods"][name]
        difference = cell(_percent(entry["minus_real_elsewhere"]), 1, signed=True)
        value = entry["minus_real_elsewhere"]["value"]
        answer = _yes_no(None if value is None else value <= 0)
        rows.append([method_title(report, name), cell(_percent(entry["rate"]), 1), difference, answer])
    return Table(
        f"False enhancement: hot pixels where the real image has none, {count_of(found['n_images'], 'image')} of "
        f"{count_of(found['n_patients'], 'patient')}",
        rows,
        "Real images of the same patients' other view or breast, far from lesions: "
        f"{cell(_percent(found['real_elsewhere']), 1)} %. A flat image has none, which is no merit.",
    )


def _coverage_table(report: dict[str, Any]) -> Table:
    rows = [["what real values lie in", "pixels in %", "reached", "lesion contrasts in %", "reached", "width, pixels",
             "width, contrasts"]]  # fmt: skip
    for model, found in report["uncertainty"].items():
        name = report["models"][model]["name"]
        reached = [_yes_no(goal["reached"]) for goal in found["goals"]]
        for kind, title, answers in (
            (CALIBRATED, f"90 % interval of {name}", reached),
            (SPREAD, "floor: 1.645 of its members' bare spread", ["-", "-"]),
        ):
            shares = [cell(_percent(found[kind][key]), 0) for key in ("pixels", "contrasts")]
            widths = [cell(found[kind][key], 3) for key in ("pixel_width", "contrast_width")]
            rows.append([title, shares[0], answers[0], shares[1], answers[1], *widths])
    return Table(
        "Uncertainty: how much of the real image its 90 % intervals hold",
        rows,
        "Goal: 85 to 95 % of both, means over images. Widths in grey values, range 1: of two intervals that hold as "
        "much the narrower is better.",
    )


SAMPLED_COLUMNS = {
    "frechet": ("Fréchet distance", 1),
    "auc": ("AUC real v. generated", 3),
    "beta": ("β", 2),
    "beta_shift": ("distance of β from the real one", 2),
    "psnr_drop": ("PSNR below expected, dB", 2),
    "mean_psnr_drop": ("that of the mean of samples, dB", 2),
    "spread_r": ("r of samples' spread with uncertainty", 2),
    "lesion_ratio": ("lesion contrast, generated / real", 2),
}
"""Heading and decimals of every measure of the sampled rendering, in reading order."""


def _sampled_tables(report: dict[str, Any], model: str) -> list[Table]:
    found, name = report["sampled"][model], report["models"][model]["name"]
    rows = [["measure", f"{name}, sampled", "goal", "reached"]]
    for goal in found["goals"]:
        title, digits = SAMPLED_COLUMNS[goal["measure"]]
        bounds = [
            f"{sign} {goal[key]:g}" for key, sign in (("at_least", "≥"), ("at_most", "≤")) if goal[key] is not None
        ]
        rows.append([title, _plain(goal, digits), ", ".join(bounds), _yes_no(goal["reached"])])
    reached = sum(goal["reached"] is True for goal in found["goals"])
    goals = Table(
        f"Goals of the sampled rendering of {name}: {reached} of {len(found['goals'])} reached",
        rows,
        f"{count_of(found['samples'], 'sample')} of every image for mean and spread, the first one for all else.",
    )
    looks = [["images", *(title for title, _ in SAMPLED_COLUMNS.values())]]
    for method, measures in found["methods"].items():
        cells = [_plain(measures.get(key), digits) for key, (_, digits) in SAMPLED_COLUMNS.items()]
        looks.append([method, *cells])
    real = found["real"]
    known = [_plain({"value": real[key]}, digits) for key, digits in (("frechet_median", 1), ("beta", 2))]
    looks.append(["real halves", known[0], "0.5", known[1], *["-"] * (len(SAMPLED_COLUMNS) - 3)])
    return [goals, Table(f"Looks of {name} beside real images", looks, "Fréchet distance of real halves: the median.")]


def _plain(entry: Mapping[str, Any] | None, digits: int) -> str:
    """A value, with its interval if there is one."""
    if entry is None or entry["value"] is None:
        return "-"
    return cell(entry, digits) if "low" in entry else f"{entry['value']:.{digits}f}"


def _versus_table(report: dict[str, Any], other: str) -> Table:
    first = next(iter(report["models"].values()))["name"]
    rows = [["metric", f"{first} minus {other}"]]
    for metric, (title, digits) in COLUMNS.items():
        if metric in report["versus"][other]:
            paired = report["paired"][metric]
            rows.append(
                [_paired_title(title, metric, paired), cell(report["versus"][other][metric], digits, signed=True)]
            )
    return Table(f"{first} against {other}, on the same images", rows)


def _paired_title(title: str, metric: str, paired: Mapping[str, Any]) -> str:
    title = f"{title}, distance from 1" if metric in BEST_AT_ONE else title
    return title + (" (lower is better)" if paired["lower_is_better"] else "")


def _percent(entry: Mapping[str, float | None]) -> dict[str, float | None]:
    return {key: None if value is None else 100 * value for key, value in entry.items()}


def _yes_no(answer: bool | None) -> str:
    return "-" if answer is None else "yes" if answer else "no"
