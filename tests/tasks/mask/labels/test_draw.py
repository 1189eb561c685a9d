"""Label maps of breasts that nobody has: drawable, as asked for, reproducible, fitted without a copy."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.errors import InvalidParameterError
from mammosynth.label_map import LabelMap
from mammosynth.tasks.mask.classes import LESIONS, BreastClass, is_lesion
from mammosynth.tasks.mask.labels.draw import SHAPE, NoRoomError, WantedLesion, draw_label_map
from mammosynth.tasks.mask.labels.drawable import drawable, is_drawable, pixel_mm_of
from mammosynth.tasks.mask.labels.model import BreastModel, fit_model, released_model
from mammosynth.tasks.mask.labels.outline import ANGLES, Outline, fill_outline, outline_of
from mammosynth.terms import ImageLaterality, ViewPosition

SMALL = (256, 200)


def share(label_map: LabelMap, kind: BreastClass) -> float:
    return float((label_map.labels == kind).sum() / (label_map.labels > 0).sum())


@pytest.mark.parametrize("view", ViewPosition)
@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_map_is_drawable_by_the_same_check(view: ViewPosition, seed: int) -> None:
    drawn = draw_label_map(seed, lesions=2, view_position=view, shape=SMALL)
    assert (drawable(drawn.labels, pixel_mm_of(SMALL, None)) == drawn.labels).all()
    assert drawn.labels.shape == SMALL
    for kind in (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR, BreastClass.SKIN, BreastClass.NIPPLE):
        assert (drawn.labels == kind).any()
    assert ndimage.label(drawn.labels > 0)[1] == 1


def test_the_same_seed_is_the_same_breast_and_another_is_another() -> None:
    first, again, other = (draw_label_map(seed, shape=SMALL).labels for seed in (7, 7, 8))
    assert (first == again).all()
    assert (first != other).mean() > 0.01


@pytest.mark.slow
def test_denser_breasts_have_more_gland() -> None:
    shares = [
        np.mean([share(draw_label_map(seed, density=d, shape=SMALL), BreastClass.FIBROGLANDULAR) for seed in range(8)])
        for d in ("a", "c", "d")
    ]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.slow
def test_muscle_is_in_mlo_only_and_at_the_upper_corner() -> None:
    oblique = [draw_label_map(s, view_position=ViewPosition.MLO, shape=SMALL).labels for s in range(8)]
    muscle = np.array([labels == BreastClass.PECTORAL_MUSCLE for labels in oblique])
    assert muscle.any(axis=(1, 2)).mean() > 0.6
    assert muscle[:, :128, :100].sum() > 0.7 * muscle.sum()
    assert not (draw_label_map(1, view_position=ViewPosition.CC, shape=SMALL).labels == 4).any()


def test_a_right_breast_has_its_chest_wall_on_the_right() -> None:
    left, right = (draw_label_map(3, image_laterality=side, shape=SMALL) for side in ImageLaterality)
    assert (left.labels[:, ::-1] == right.labels).all()
    assert (left.labels > 0)[:, 0].any()


@pytest.mark.slow
def test_lesions_lie_in_the_tissue_apart_from_each_other() -> None:
    pieces = []
    for seed in range(6):
        drawn, plain = (draw_label_map(seed, lesions=k, density="b").labels for k in (3, 0))
        lesions = is_lesion(drawn)
        assert np.isin(plain[lesions], (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR)).mean() > 0.95
        masses = np.isin(drawn, LESIONS[:2])
        pieces.append(ndimage.label(masses)[1])
    assert 1.5 < np.mean(pieces) <= 3
    assert not is_lesion(plain).any()


@pytest.mark.slow
def test_a_map_at_full_size_is_the_small_one_with_smooth_outlines() -> None:
    large = draw_label_map(5, shape=(2048, 1600))
    small = draw_label_map(5, shape=SHAPE).labels
    assert (large.labels[2::4, 2::4] == small).mean() > 0.985
    assert is_drawable(large)


@pytest.mark.parametrize(
    "wrong", [{"lesions": 9}, {"lesions": -1}, {"density": "e"}, {"shape": (32, 100)}, {"seed": -1}]
)
def test_what_cannot_be_drawn_is_refused(wrong: dict) -> None:
    with pytest.raises(InvalidParameterError, match="expected a seed of 0 or more"):
        draw_label_map(**{"seed": 0, **wrong})


def test_an_outline_comes_back_from_its_numbers() -> None:
    radii = 60 + 20 * np.cos(ANGLES) + 5 * np.sin(3 * ANGLES)
    breast = fill_outline(Outline(radii, 70.0, 150.0), 0.5, (300, 200))
    found = outline_of(breast, 0.5)
    assert abs(found.row - 150) < 16
    assert np.abs(found.radii_mm - radii)[12:-12].max() < 3.0
    again = fill_outline(found, 0.5, (300, 200))
    assert (again & breast).sum() / (again | breast).sum() > 0.98


@pytest.mark.slow
def test_a_model_is_fitted_to_what_it_has_drawn_and_survives_its_file() -> None:
    drawn = [
        (draw_label_map(s, density="b", lesions=1, view_position=view, shape=SMALL), "b")
        for s in range(14)
        for view in ViewPosition
    ]
    model = fit_model(drawn, "drawn ones")
    assert BreastModel.from_json(model.to_json()).to_json() == model.to_json()
    assert model.density == {"a": 0, "b": 1, "c": 0, "d": 0}
    for view, fitted in model.views.items():
        released = released_model().views[view]
        assert np.abs(np.subtract(fitted.outline_mean, released.outline_mean)).mean() < 0.15
        assert abs(fitted.gland_share["b"][0] - released.gland_share["b"][0]) < 1.0


def test_the_released_model_holds_no_breast() -> None:
    model = released_model()
    assert "train" in model.fitted_on
    for view in model.views.values():
        assert len(view.outline_components) <= 14
        assert np.asarray(view.gland_mean["b"]).shape == (16, 12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LESIONS)
@pytest.mark.parametrize("diameter", [(5.0, 6.0), (14.0, 15.0)])
def test_a_wanted_lesion_is_there_in_its_size(kind: BreastClass, diameter: tuple[float, float]) -> None:
    for seed in range(3):
        labels = draw_label_map(seed, lesions=[WantedLesion(kind, diameter)], density="c").labels
        mask = labels == kind
        assert set(np.unique(labels[is_lesion(labels)]).tolist()) == {int(kind)}
        if kind is BreastClass.CALCIFICATION:
            places = np.argwhere(mask) * 0.5
            size = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)).max()
        else:
            size = 2 * np.sqrt(mask.sum() / np.pi) * 0.5
        assert diameter[0] - 1.2 <= size <= diameter[1] + 1.2  # about a pixel of half a millimetre on each side


def test_wanted_lesions_are_all_there_or_the_breast_is_refused() -> None:
    wanted = [WantedLesion(BreastClass.BENIGN_LESION, (6, 8))] * 3
    labels = draw_label_map(2, lesions=wanted, density="c").labels
    assert ndimage.label(labels == BreastClass.BENIGN_LESION)[1] == 3
    with pytest.raises(NoRoomError, match="no room for a lesion \\(malignant lesion\\)"):
        draw_label_map(2, lesions=[WantedLesion(BreastClass.MALIGNANT_LESION, (60, 60))] * 8, shape=SMALL)
