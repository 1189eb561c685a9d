import csv

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.tasks.mask.classes import CLASSES
from mammosynth.tasks.mask.parametric.breast import Ellipse, Lesion, ParametricBreast, PectoralMuscle
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.parametric.fit import fit
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.real_data import CDD_CESM

BREAST = ParametricBreast(
    chest_wall=0.1,
    a=0.45,
    b=0.35,
    phi=8.0,
    x0=0.02,
    y0=0.52,
    theta=-10.0,
    image_laterality=ImageLaterality.RIGHT,
    fibroglandular=Ellipse(x=0.2, y=0.5, a=0.2, b=0.1, angle=60.0),
    lesions=(Lesion(pathology="malignant", shape=Ellipse(x=0.25, y=0.5, a=0.03, b=0.03)),),
)
NEAR = {"chest_wall": 0.003, "a": 0.02, "b": 0.01, "phi": 2.0, "x0": 0.02, "y0": 0.01, "theta": 3.0}


def assert_found(found, near=NEAR):
    for name, tolerance in near.items():
        assert getattr(found.breast, name) == pytest.approx(getattr(BREAST, name), abs=tolerance), name


def test_parameters_of_a_drawn_breast_are_found():
    found = fit(label_map(BREAST), "ellipse")
    assert_found(found)
    assert found.breast.image_laterality is ImageLaterality.RIGHT
    assert found.breast.skin_thickness_mm == pytest.approx(1.8, abs=0.15)
    assert found.breast.nipple_diameter_mm == pytest.approx(9.0, abs=0.3)
    glands = found.breast.fibroglandular
    assert (glands.x, glands.y, glands.a, glands.b) == pytest.approx((0.2, 0.5, 0.2, 0.1), abs=0.005)
    assert glands.angle % 180 == pytest.approx(60, abs=2)
    assert found.iou > 0.99
    assert found.residual_px < 0.5
    assert found.residual_mm == pytest.approx(found.residual_px * 240 / 512)


def test_what_is_fitted_with_outlines_draws_the_same_map():
    labels = label_map(BREAST)
    again = label_map(fit(labels).breast)
    for number in (2, 7):
        a, b = labels.labels == number, again.labels == number
        assert (a & b).sum() / (a | b).sum() > 0.95, CLASSES[number]


@pytest.mark.slow
def test_noise_folds_and_notches_of_the_outline_do_not_bend_the_profile():
    labels = label_map(BREAST.changed(image_laterality=ImageLaterality.LEFT)).labels
    random = np.random.default_rng(0)
    rough = labels.copy()
    for row in range(512):
        front = np.flatnonzero(labels[row])
        if front.size:
            rough[row, front[-1] + 1 : front[-1] + 1 + random.integers(0, 4)] = 3
    rough[380:400, :330] = np.maximum(rough[380:400, :330], 1)  # a fold that sticks out
    rough[200:215, 230:] = 0  # a notch
    found = fit(LabelMap(rough, "rough"))
    assert_found(found, {"a": 0.03, "b": 0.02, "x0": 0.03, "y0": 0.015})


def test_muscle_of_an_oblique_view_is_found():
    muscle = PectoralMuscle(width=0.2, foot=0.55, bulge=0.05)
    drawn = ParametricBreast(
        view_position=ViewPosition.MLO, a=0.45, b=0.4, phi=15.0, start_angle=70.0, pectoral_muscle=muscle
    )
    found = fit(label_map(drawn)).breast.pectoral_muscle
    assert (found.width, found.foot, found.bulge) == pytest.approx((0.2, 0.55, 0.05), abs=0.01)


def test_label_maps_without_a_skin_line_are_refused():
    with pytest.raises(UnsupportedImageError, match="every pixel is background"):
        fit(LabelMap(np.zeros((64, 64), np.uint8), "empty"))
    with pytest.raises(UnsupportedImageError, match="0 pixels of a skin line"):
        fit(LabelMap(np.ones((64, 64), np.uint8), "full"))


@pytest.mark.slow
@pytest.mark.skipif(not CDD_CESM.is_dir(), reason=f"no real data in {CDD_CESM.name}; set MAMMOSYNTH_CDD_CESM")
@pytest.mark.parametrize(("view", "least"), [("CC", 0.975), ("MLO", 0.95)])
def test_real_outlines_are_fitted(view, least):
    with (CDD_CESM / "pairs.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "val" and row["view"] == view]
    found = []
    for row in rows:
        pixels = np.asarray(Image.open(CDD_CESM / "512" / "images" / row["low_energy"]).convert("L"), np.float32) / 255
        breast = segment_breast(pixels).astype(np.uint8)
        found.append(fit(LabelMap(breast, row["low_energy"], view_position=ViewPosition(view))).iou)
    assert np.median(found) > least
