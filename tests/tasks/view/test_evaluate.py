"""The evaluation on painted breasts: reality is perfect, floors are not, another source makes the scores fall."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import DataError
from mammosynth.tasks.view.evaluation import EVALUATION
from mammosynth.tasks.view.evaluation.evaluate import REAL, SAME_DEPTH, SHUFFLED
from mammosynth.tasks.view.evaluation.floors import ITSELF, MEDIAN, RANDOM, RIDGE
from tests.support.tables import write_table
from tests.support.view_pairs import view_case

pytestmark = pytest.mark.slow
EXPECTED = "model, expected"


def write_set(place: Path, **splits: range) -> Path:
    """Painted breasts as prepared from CBIS-DDSM."""
    rows = []
    for split, numbers in splits.items():
        for number in numbers:
            views = view_case(number).views
            row = {
                "split": split,
                "patient": f"P_{number}",
                "side": "L",
                "density": "2",
                "aspects": "measured+measured",
            }
            for key, image, mask in (("cc", views.cc, views.cc_lesion), ("mlo", views.mlo, views.mlo_lesion)):
                name = f"{number}_L_{key.upper()}.png"
                for folder, pixels in (("images", image.pixels), ("masks", mask)):
                    (place / folder).mkdir(parents=True, exist_ok=True)
                    Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(place / folder / name)
                row[key] = name
            rows.append(row)
    (place / "index.csv").write_text("file\n")
    write_table(place / "breasts_cc_mlo.csv", rows)
    return place


@pytest.fixture(scope="module")
def report(bundle, tmp_path_factory):
    place = write_set(tmp_path_factory.mktemp("set"), train=range(12), val=range(20, 24))
    return EVALUATION(place, "val", [bundle], options=EVALUATION.options(bootstrap=20), with_page=True)


def value(report, method, measure):
    return report.values["methods"][method]["measures"][measure]["value"]


def test_the_real_view_is_perfect_and_floors_are_not(report):
    assert (report.images, report.patients, report.values["n_pool"]) == (4, 4, 16)
    assert value(report, REAL, "padded_ssim") == pytest.approx(1)
    assert value(report, REAL, "rank") == 0
    assert value(report, REAL, "depth_error") == 0
    assert value(report, REAL, "radiomics") == pytest.approx(1)
    for floor in (MEDIAN, RIDGE, RANDOM):
        assert value(report, floor, "padded_psnr") < 40
        assert value(report, floor, "breast_mae") > 0.005


def test_the_model_is_nearer_than_another_woman_and_falls_with_another_source(report):
    assert value(report, EXPECTED, "padded_psnr") > value(report, RANDOM, "padded_psnr")
    assert value(report, f"{SHUFFLED}, model", "padded_psnr") < value(report, EXPECTED, "padded_psnr")
    assert value(report, EXPECTED, "depth_error") < 40
    assert value(report, SAME_DEPTH, "depth_error") is not None


def test_every_goal_has_a_bound_and_scores_are_recorded_with_floor_and_ceiling(report):
    goals = report.values["goals"]
    assert set(goals) == {EXPECTED, "model, sampled"}
    assert all(row["bound"] is not None for row in goals[EXPECTED])
    assert {row["measure"] for row in goals["model, sampled"]} >= {"frechet", "iou", "emd", "rank"}
    ssim = report.measures[0][0]
    assert (ssim.value, ssim.floor, ssim.ceiling) == (
        value(report, EXPECTED, "padded_ssim"),
        value(report, MEDIAN, "padded_ssim"),
        1.0,
    )


def test_text_and_page_show_every_case_and_method(report):
    assert "Goals of model, expected" in report.text
    assert RIDGE in report.text
    assert report.page.count('class="case"') == 4
    assert report.page.count("<img") == 4 * 7  # real, four floors, two renderings


def test_the_craniocaudal_view_is_judged_against_real_ones_of_that_view(bundle, tmp_path):
    place = write_set(tmp_path / "set", train=range(12), val=range(20, 23))
    options = EVALUATION.options(bootstrap=20, to="CC", rendering="expected")
    report = EVALUATION(place, "val", [bundle], options=options)
    assert report.values["to"] == "CC"
    assert value(report, EXPECTED, "padded_psnr") > value(report, RANDOM, "padded_psnr")
    assert value(report, ITSELF, "padded_psnr") < value(report, REAL, "padded_psnr")


def test_too_few_breasts_are_refused(bundle, tmp_path):
    place = write_set(tmp_path / "set", train=range(3), val=range(20, 22))
    with pytest.raises(DataError, match="2 breasts of 1 look, expected 3 and more of one look; add breasts"):
        EVALUATION(place, "val", [bundle])
