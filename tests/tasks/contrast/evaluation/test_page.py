"""The page of a report and its pictures, of two phantom cases and made-up numbers."""

import dataclasses
import re

import numpy as np
import pytest

from mammosynth.tasks.contrast.evaluation.gallery import (
    MARGIN,
    OUTLINE,
    UNSCORED,
    Picture,
    Pictures,
    difference,
    outline,
    worst_cases,
)
from mammosynth.tasks.contrast.evaluation.page import format_page
from mammosynth.tasks.contrast.evaluation.report import format_report
from tests.support.evaluation import EVIL, made_up, phantom_case


def drawn(models: tuple[str, ...] = ("model",), cases: int = 4) -> Pictures:
    pictures = Pictures(models)
    case = phantom_case()
    images = {"real": case.recombined, "F0": case.low_energy, **dict.fromkeys(models, 0.5 * case.recombined)}
    for index in range(cases):
        pictures.add(dataclasses.replace(case, name=EVIL if index == 0 else f"{index}.png"), images)
    return pictures


@pytest.fixture(scope="module")
def page() -> str:
    """Of one model."""
    return format_page(made_up(), drawn())


@pytest.mark.slow
def test_page_holds_every_picture_inline_and_nothing_from_elsewhere(page: str) -> None:
    sources = re.findall(r'src="([^"]{0,30})', page)
    # 5 plots; 4 worst cases and 4 cases with 4 panels and their outlines.
    assert len(sources) == 5 + 8 * 8
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r'(href|src)="(http|//|file)', page)


@pytest.mark.slow
def test_names_from_the_data_are_escaped(page: str) -> None:
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.png" in page


@pytest.mark.slow
def test_page_says_goals_floors_and_false_enhancement_of_every_model() -> None:
    models = ("model", "other")
    page = format_page(made_up(models), drawn(models))
    for expected in ("bundle model reaches", "bundle other reaches", "of 12 goals", "bundle model against other",
                     "are hot; in real images", "Bland-Altman", "Worst cases", "≤ 0.064"):  # fmt: skip
        assert expected in page, expected


def test_text_report_of_two_models_names_both() -> None:
    text = format_report(made_up(("model", "other")))
    for expected in ("model bundle model", "model bundle other", "bundle model minus other", "False enhancement"):
        assert expected in text, expected


def test_worst_cases_come_first_and_cases_without_a_lesion_do_not_come() -> None:
    report = made_up()
    report["cases"][1]["scores"]["model"]["auroc_lesion"] = None
    order = worst_cases(report, count=5)
    assert order[0] == 0
    assert 1 not in order
    assert len(order) == 3


@pytest.mark.slow
def test_pictures_are_shown_as_stored_with_one_grey_scale() -> None:
    case = dataclasses.replace(phantom_case(), mirrored=True)
    pictures = Pictures(["model"])
    pictures.add(case, {"real": case.recombined, "F0": case.low_energy, "model": 0.5 * case.recombined})
    (picture,) = pictures.cases
    rows, columns = np.nonzero(case.breast)
    assert picture.real.shape == (min(rows.max() + 1 + MARGIN, 512) - max(rows.min() - MARGIN, 0),
                                  columns.max() + 1 + MARGIN)  # fmt: skip
    # Chest wall on the right again, as it is stored.
    assert picture.real[:, -1].any()
    assert not picture.real[:, 0].any()
    assert picture.generated["model"].max() == pytest.approx(picture.real.max() / 2, abs=1)


def picture(real: int, generated: int) -> Picture:
    flat = np.ones((16, 16), np.uint8)
    lesion, scored = np.zeros((2, 16, 16), bool)
    lesion[4:8, 4:8] = scored[:, :8] = True
    return Picture("a", flat, flat * np.uint8(real), {"model": flat * np.uint8(generated)}, lesion, scored)


def test_difference_is_red_where_too_bright_blue_where_too_dark_and_grey_where_not_scored() -> None:
    red, _, blue = difference(picture(50, 150), "model")[0, 0].astype(int)
    assert red > blue + 50
    red, _, blue = difference(picture(150, 50), "model")[0, 0].astype(int)
    assert blue > red + 50
    equal = difference(picture(90, 90), "model")
    assert equal[0, 0].max() < 40
    assert (equal[0, 12] == UNSCORED).all()


def test_outline_lies_around_the_lesion_and_is_clear_elsewhere() -> None:
    line = outline(picture(1, 1).lesion)
    assert line.shape == (32, 32, 4)
    assert not line[8:16, 8:16, 3].any()
    assert tuple(line[7, 10]) == (*OUTLINE, 255)
    assert not line[0, 0].any()
