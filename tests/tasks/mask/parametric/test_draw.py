import math
import time

import numpy as np
import pytest
from scipy.ndimage import center_of_mass

from mammosynth.errors import InvalidParameterError
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.parametric.breast import Ellipse, Lesion, Outline, ParametricBreast, PectoralMuscle
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.terms import ImageLaterality, ViewPosition

PLAIN = ParametricBreast(a=0.4, b=0.3, nipple_diameter_mm=0.0, skin=False)


def area(labels, *classes):
    """In square image heights."""
    return np.isin(labels, classes).sum() / labels.shape[0] ** 2


@pytest.mark.parametrize("x0", [0.0, 0.1])
def test_half_ellipse_has_the_area_of_the_formula(x0):
    labels = label_map(PLAIN.changed(x0=x0)).labels
    assert area(labels, BreastClass.ADIPOSE) == pytest.approx(math.pi / 2 * 0.4 * 0.3 + 2 * 0.3 * x0, rel=1e-3)


def test_profile_goes_on_along_its_tangents_beyond_the_start_angle():
    # x0 + a cos 60 = .2 = depth of the arc's ends; up to there the tangents widen the breast as they run to the wall.
    labels = label_map(PLAIN.changed(start_angle=60.0)).labels
    ends, slope = 0.3 * math.sin(math.pi / 3), 0.3 * 0.5 / (0.4 * math.sin(math.pi / 3))
    trapezoid = 0.2 * (2 * ends + slope * 0.2)
    segment = 0.4 * 0.3 * (math.pi / 3 - math.sin(2 * math.pi / 3) / 2)
    assert area(labels, BreastClass.ADIPOSE) == pytest.approx(trapezoid + segment, rel=1e-3)


def test_everything_is_drawn_where_its_parameters_say():
    breast = ParametricBreast(
        theta=20.0,
        fibroglandular=Ellipse(x=0.2, y=0.5, a=0.1, b=0.2),
        lesions=(
            Lesion(pathology="benign", shape=Ellipse(x=0.1, y=0.3, a=0.02, b=0.03, angle=30.0)),
            Lesion(pathology="malignant", shape=Outline(points=((0.2, 0.5), (0.25, 0.5), (0.25, 0.6), (0.2, 0.6)))),
        ),
    )
    labels = label_map(breast, (1024, 1024)).labels
    assert area(labels, BreastClass.BENIGN_LESION) == pytest.approx(math.pi * 0.02 * 0.03, rel=0.01)
    assert area(labels, BreastClass.MALIGNANT_LESION) == pytest.approx(0.05 * 0.1, rel=0.01)
    assert area(labels, BreastClass.NIPPLE) == pytest.approx(math.pi * (4.5 / 240) ** 2, rel=0.01)
    skin = 1.8 / 240 * (math.pi * (0.4 - 0.9 / 240) - 9 / 240)
    assert area(labels, BreastClass.SKIN) == pytest.approx(skin, rel=0.02)
    rows, columns = center_of_mass(labels == BreastClass.BENIGN_LESION)
    assert ((columns + 0.5) / 1024, (rows + 0.5) / 1024) == pytest.approx((0.1, 0.3), abs=5e-4)
    rows, columns = center_of_mass(labels == BreastClass.NIPPLE)
    nipple = (0.4 * math.cos(math.radians(20)), 0.5 + 0.4 * math.sin(math.radians(20)))
    assert ((columns + 0.5) / 1024, (rows + 0.5) / 1024) == pytest.approx(nipple, abs=5e-4)


def test_muscle_is_a_triangle_whose_bulge_adds_two_thirds_of_its_rectangle():
    breast = ParametricBreast(
        view_position=ViewPosition.MLO, y0=0.3, b=0.6, nipple_diameter_mm=0.0, skin=False, pectoral_muscle=None
    )
    for bulge in (0.0, 0.1):
        drawn = breast.changed(pectoral_muscle=PectoralMuscle(width=0.2, foot=0.5, bulge=bulge))
        expected = 0.2 * 0.5 / 2 + 2 / 3 * bulge * (0.2**2 + 0.5**2)
        assert area(label_map(drawn).labels, BreastClass.PECTORAL_MUSCLE) == pytest.approx(expected, rel=0.01)


def test_resolution_does_not_matter():
    breast = ParametricBreast(fibroglandular=Ellipse(x=0.2, y=0.5, a=0.1, b=0.2))
    small, large = label_map(breast, (256, 192)), label_map(breast, (2048, 1536))
    assert (large.labels[4::8, 4::8] == small.labels).mean() > 0.995
    assert large.pixel_spacing_mm == pytest.approx((240 / 2048, 240 / 2048))


def test_right_breast_is_the_mirror_image_and_padding_moves_it_from_the_edge():
    left = label_map(PLAIN).labels
    right = label_map(PLAIN.changed(image_laterality=ImageLaterality.RIGHT)).labels
    padded = label_map(PLAIN.changed(chest_wall=0.125)).labels
    assert np.array_equal(left, right[:, ::-1])
    assert np.array_equal(left[:, :-64], padded[:, 64:])
    assert not padded[:, :64].any()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"start_angle": 150.0, "x0": 0.5}, "closes .* before the chest wall"),
        ({"a": 1.4, "x0": -0.1}, "but the image goes on for 1.00 only"),
        ({"a": 1.0, "b": 0.05, "x0": -0.8, "skin": True, "skin_thickness_mm": 10.0}, "the skin is 0.042 image heights"),
        ({"fibroglandular": Ellipse(x=0.8, y=0.1, a=0.05, b=0.05)}, "'fibroglandular' lies outside"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(changes, sentence):
    with pytest.raises(InvalidParameterError, match=sentence):
        label_map(PLAIN.changed(**changes))


def test_preview_is_fast_enough_to_follow_a_slider():
    breast = ParametricBreast(fibroglandular=Ellipse(x=0.2, y=0.5, a=0.1, b=0.2))
    label_map(breast)
    start = time.process_time()
    label_map(breast)
    assert time.process_time() - start < 0.1
