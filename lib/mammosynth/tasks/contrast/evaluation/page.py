"""A report of `evaluate_contrast` as one self-contained HTML page, for a radiologist and a statistician."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from mammosynth.evaluation.evaluation import MODEL
from mammosynth.evaluation.page import page_environment, png_bytes_url, png_url
from mammosynth.tasks.contrast.evaluation import figures
from mammosynth.tasks.contrast.evaluation.evaluate import REAL, SOURCE
from mammosynth.tasks.contrast.evaluation.gallery import (
    DIFFERENCE,
    Picture,
    Pictures,
    difference,
    outline,
    worst_cases,
)
from mammosynth.tasks.contrast.evaluation.report import COLUMNS, MEANING, Table, report_tables, summary

PER_CASE = ("psnr", "ssim", "ncc_interior", "dice_hot", "auroc_hot", "auroc_lesion", "contrast_d", "halo", "cnr")
SMALL = 2
"""Pixels of the source per pixel of the contact sheet; chosen to keep the page small."""
DISPLAY = (
    "Orientation as stored, grey 0 to 1 from black to white in all images alike, nothing clipped. The real image is "
    "registered onto the low-energy one. Difference: generated minus real; red is too bright, blue too dark, black is "
    f"equal, full colour at {DIFFERENCE:g} or more; grey is not scored. Lesions as drawn on the real recombined image."
)


def format_page(report: Mapping[str, Any], pictures: Pictures) -> str:
    """The page.

    Args:
        report: Of `evaluate_contrast`.
        pictures: Collected by the same call, of all its models.
    """
    titles = {key: model["name"] for key, model in report["models"].items()}
    tables = report_tables(dict(report))
    n_goals = len(report["goals"]) + len(report["anchors"])
    template = page_environment().from_string(
        files("mammosynth.tasks.contrast.evaluation").joinpath("page.html").read_text("utf-8")
    )
    return template.render(
        title=f"{', '.join(titles.values())}: {report['task']}, split {report['split']}",
        summary=summary(dict(report)),
        findings=[_finding(report, model, name) for model, name in titles.items()],
        goals=tables[:n_goals],
        tables=tables[n_goals:],
        plots=_plots(report, pictures, titles),
        first=titles[MODEL],
        display=DISPLAY,
        failures=[_drawn_case(report, pictures, index, titles) for index in worst_cases(report)],
        cases=[_drawn_case(report, pictures, index, titles, SMALL) for index in range(len(pictures.cases))],
        per_case=_per_case_table(report),
        words=[(COLUMNS[metric][0], meaning) for metric, meaning in MEANING.items()],
    )


def _finding(report: Mapping[str, Any], model: str, name: str) -> str:
    goals = report["goals"][model]
    reached = sum(goal["reached"] is True for goal in goals)
    beaten = sum(_beats_floor(goal["minus_best_floor"]) for goal in goals)
    found = report["false_enhancement"]
    rate, real = found["methods"][model]["rate"]["value"], found["real_elsewhere"]["value"]
    text = (
        f"{name} reaches {reached} of {len(goals)} goals; in {beaten} of these metrics it is better than the best "
        "trivial predictor beyond chance (the 95 % interval of the paired difference excludes 0)."
    )
    if rate is None or real is None:
        return text
    return (
        f"{text} Where the real image shows no enhancement, {100 * rate:.1f} % of pixels are hot; in real images of "
        f"the same patients' other view or breast, {100 * real:.1f} % are."
    )


def _beats_floor(paired: Mapping[str, Any]) -> bool:
    if paired["low"] is None or paired["high"] is None:
        return False
    return paired["high"] < 0 if paired["lower_is_better"] else paired["low"] > 0


def _plots(report: Mapping[str, Any], pictures: Pictures, titles: Mapping[str, str]) -> list[dict[str, str]]:
    plots = (
        (
            "Lesion contrast and change, generated against real",
            "One point per image; on the grey line generated and real agree.",
            figures.agreement_plot(report, titles),
        ),
        (
            "Lesion contrast D, Bland-Altman",
            "Line: mean difference. Dashed: 95 % limits of agreement (1.96 standard deviations over images).",
            figures.bland_altman_plot(report, titles),
        ),
        (
            "Every image's value",
            "Box: quartiles. Low energy is the source itself, scored as if it were the generated image.",
            figures.spread_plot(report, titles),
        ),
        (
            "Skin distance and halo",
            "The halo of real recombined images is a bright band along the skin. A pixel is about 0.5 mm on CDD-CESM.",
            figures.halo_plot(report, pictures, titles),
        ),
        (
            "Calibration of grey",
            "Of all scored pixels: which real grey lies where a grey was generated. On the grey line both agree.",
            figures.calibration_plot(pictures, titles),
        ),
    )
    return [{"title": title, "note": note, "image": png_bytes_url(image)} for title, note, image in plots]


def _drawn_case(
    report: Mapping[str, Any], pictures: Pictures, index: int, titles: Mapping[str, str], reduction: int = 1
) -> dict[str, Any]:
    picture, case = pictures.cases[index], report["cases"][index]
    panels = [("low energy", picture.low_energy)]
    panels += [("generated" if len(titles) == 1 else name, picture.generated[model]) for model, name in titles.items()]
    panels += [("real", picture.real), ("difference", difference(picture, MODEL))]
    return {
        "caption": _caption(picture, case["scores"]),
        "outline": png_url(outline(picture.lesion)),
        "panels": [{"title": title, "image": png_url(image, reduction=reduction)} for title, image in panels],
    }


def _caption(picture: Picture, scores: Mapping[str, Mapping[str, float | None]]) -> str:
    model = scores[MODEL]
    return (
        f"{picture.name}: lesion AUROC {_number(model['auroc_lesion'], 2)}, D {_number(model['contrast_d'], 2)} "
        f"(real {_number(scores[REAL]['contrast_d'], 2)}), PSNR {_number(model['psnr'], 1)}"
    )


def _per_case_table(report: Mapping[str, Any]) -> Table:
    heads = [COLUMNS[metric][0] if metric in COLUMNS else "D" for metric in PER_CASE]
    rows = [["image", "patient", "view", *heads, "real D", "real halo", "low-energy PSNR"]]
    for case in report["cases"]:
        model, real, source = (case["scores"][name] for name in (MODEL, REAL, SOURCE))
        values = [model[metric] for metric in PER_CASE] + [real["contrast_d"], real["halo"], source["psnr"]]
        rows.append([case["name"], case["patient_id"], case["view_position"], *(_number(value, 3) for value in values)])
    return Table("", rows)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
