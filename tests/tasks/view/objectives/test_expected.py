"""Training the expected view: what is fitted at once knows the breast."""

import numpy as np
import pytest
import torch

from mammosynth.errors import InvalidParameterError
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.expected import BOX_SHARE, expect_view
from mammosynth.tasks.view.frame import ViewFrame
from mammosynth.tasks.view.look import LookModel, measure
from mammosynth.tasks.view.objectives.expected import ExpectedRecipe
from mammosynth.tasks.view.regression import BLOCKS, GAIN, Prediction, ViewRegression, given_of
from tests.support.view_pairs import view_case

GIVEN, MADE_NUMBERS = sum(size for size, _ in BLOCKS.values()), 2 * 128**2 + 64**2


def test_a_regression_recovers_what_is_linear_in_few_components():
    random = np.random.default_rng(0)
    basis, effect = random.normal(size=(3, GIVEN)), random.normal(size=(3, MADE_NUMBERS))
    scores = random.normal(size=(200, 3))
    given, made = (scores @ basis).astype(np.float32), (scores @ effect).astype(np.float32)
    regression = ViewRegression()

    regression.fit(given[:190], made[:190])

    predicted = [regression.predict(each) for each in given[190:]]
    pixels = np.stack([np.concatenate([each.grey.ravel(), each.chance.ravel()]) for each in predicted])
    wanted = made[190:, : pixels.shape[1]]
    assert np.abs(pixels - wanted).mean() < 0.1 * np.abs(wanted).mean()
    boxes, wanted = np.stack([each.box.ravel() for each in predicted]), made[190:, pixels.shape[1] :]
    assert np.abs(boxes - GAIN * wanted).mean() < 0.2 * np.abs(wanted).mean()


def test_a_breast_is_regressed_on_the_same_numbers_however_bright_the_film_beside_it_is():
    case = view_case(3)
    breast = case.views.cc.pixels > 0
    given = given_of(case.views.cc.pixels, breast)
    assert given.shape == (GIVEN,)
    ends = np.cumsum([size for size, _ in BLOCKS.values()])
    with_label = case.views.cc.pixels.copy()
    with_label[:40, -40:] = 1.0
    same = given_of(with_label, breast) == given
    assert not same[: ends[0]].all()
    assert same[ends[0] :].all()


def test_the_box_of_the_breast_is_laid_into_the_outline_and_air_is_black():
    chance = np.zeros((128, 128), np.float32)
    chance[20:100, :60] = 1.0
    ramp = np.tile(np.linspace(0.2, 0.8, 64, dtype=np.float32), (64, 1))
    view, likely = expect_view(Prediction(np.full((128, 128), 0.5, np.float32), chance, ramp), Look.FILM)
    assert view.shape == likely.shape == (512, 512)
    assert not view[:60].any()
    assert not view[:, 300:].any()
    middle = view[240, 20:220]
    assert (np.diff(middle) > 0).all()
    np.testing.assert_allclose(middle.mean(), (1 - BOX_SHARE) * 0.5 + BOX_SHARE * 0.5, atol=0.02)


@pytest.mark.slow
def test_the_expected_view_of_an_unseen_breast_is_nearer_than_the_median(fitted):
    with torch.inference_mode():
        scores = fitted.validate(fitted.networks["generator"].eval())
    assert min(scores["val_film_mlo_psnr"], scores["val_film_cc_psnr"]) > 18
    assert scores["val_score"] > 0


@pytest.mark.slow
def test_all_is_fitted_before_the_only_step(fitted):
    assert not fitted.optimizers()
    assert not list(fitted.losses(fitted.draw(0, 0, 1)))
    with torch.inference_mode():
        assert fitted.sample_grid(fitted.networks["generator"]).shape == (4 * 256, 3 * 256)
    with pytest.raises(InvalidParameterError, match="steps"):
        ExpectedRecipe(steps=2)


@pytest.mark.slow
def test_looks_that_differ_in_grain_are_told_apart():
    cases = [view_case(number, look) for look in Look for number in range(6)]
    random = np.random.default_rng(0)
    frames = []
    for case in cases:
        frame = ViewFrame.of(case.views.cc.pixels, Look.FILM).apply(case.views.cc.pixels)
        grain = 0.06 * random.normal(size=frame.shape) * (frame > 0) * (case.look is Look.FILM)
        frames.append((frame + grain).astype(np.float32))
    model = LookModel()
    model.fit(np.stack([measure(frame) for frame in frames]), np.array([case.look is Look.FILM for case in cases]))

    found = [model.look_of(case.views.cc, frame) for case, frame in zip(cases, frames, strict=True)]

    assert found == [case.look for case in cases]
