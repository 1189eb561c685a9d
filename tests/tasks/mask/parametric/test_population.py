import numpy as np
import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.parametric.fit import fit
from mammosynth.tasks.mask.parametric.population import breast_of, median_breast, random_breast, values_of
from mammosynth.tasks.mask.parametric.slot import PARAMETRIC_SLOT
from mammosynth.terms import ImageLaterality, ViewPosition


@pytest.mark.parametrize("view", list(ViewPosition))
def test_random_breasts_differ_by_seed_alone_and_lie_about_the_median(view):
    breasts = [random_breast(seed, view) for seed in range(40)]
    assert random_breast(3, view) == breasts[3]
    assert len({breast.a for breast in breasts}) == 40
    for name in ("a", "b", "y0"):
        values = [getattr(breast, name) for breast in breasts]
        low, high = np.quantile(values, [0.25, 0.75])
        assert low - 0.05 < getattr(median_breast(view), name) < high + 0.05
        assert np.std(values) > 0.01


def test_lesions_that_are_asked_for_are_drawn_within_the_breast():
    for seed in range(10):
        breast = random_breast(seed, lesions=("benign", "malignant"), image_laterality=ImageLaterality.RIGHT)
        labels = label_map(breast).labels
        assert {BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION} <= set(labels.ravel().tolist())
        assert [lesion.pathology for lesion in breast.lesions] == ["benign", "malignant"]


def test_oblique_views_show_a_muscle():
    assert (label_map(median_breast(ViewPosition.MLO)).labels == BreastClass.PECTORAL_MUSCLE).any()


def test_values_and_breast_are_each_others_inverse():
    values = values_of(median_breast())
    assert values_of(breast_of(values, ViewPosition.CC, ImageLaterality.LEFT)) == pytest.approx(values)


@pytest.mark.slow
def test_a_random_breast_is_found_again_by_the_fit():
    assert np.median([fit(label_map(random_breast(seed))).iou for seed in range(5)]) > 0.99


@pytest.mark.slow
def test_a_random_breast_is_always_one_that_can_be_drawn_as_it_is_served():
    for seed in range(300):
        values = PARAMETRIC_SLOT.preview.suggestions["random"]({"view_position": "MLO"}, seed)
        PARAMETRIC_SLOT.accept(values)
        PARAMETRIC_SLOT.preview.draw(values)


def test_a_breast_that_is_wider_than_the_image_is_refused_before_it_is_sent():
    wide = median_breast(ViewPosition.CC)
    wide = wide.changed(a=0.9)
    with pytest.raises(InvalidParameterError, match="image heights from the chest wall"):
        PARAMETRIC_SLOT.accept(wide.as_json())
