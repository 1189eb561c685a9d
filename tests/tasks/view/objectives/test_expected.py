"""Training the expected view: what is fitted at once knows the breast, and the network learns from there."""

import numpy as np
import pytest
import torch

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.frame import ViewFrame
from mammosynth.tasks.view.look import LookModel, measure
from mammosynth.tasks.view.regression import ViewRegression, given_of, predict_left_out
from tests.support.view_pairs import view_case


def test_a_regression_recovers_what_is_linear_in_few_components():
    random = np.random.default_rng(0)
    basis, effect = random.normal(size=(3, 4096)), random.normal(size=(3, 2 * 128 * 128))
    scores = random.normal(size=(40, 3)) * 10
    given, made = scores @ basis, (scores @ effect).reshape(-1, 2, 128, 128)
    regression = ViewRegression()

    regression.fit(given[:30].astype(np.float32), made[:30].astype(np.float32))

    error = np.abs(regression.predict(given[30:].astype(np.float32)) - made[30:]).mean()
    assert error < 0.25 * np.abs(made[30:]).mean()


def test_left_out_predictions_have_not_seen_the_patient():
    random = np.random.default_rng(0)
    given, made = random.normal(size=(10, 4096)).astype(np.float32), np.zeros((10, 2, 128, 128), np.float32)
    made[3] = 1.0  # one odd breast, whose patient has another one
    patients = ["a", "b", "c", "d", "d", "e", "f", "g", "h", "i"]

    found = predict_left_out(given, made, patients)

    assert np.abs(found[3]).max() < 0.5
    assert np.abs(found[0]).max() > 0


@pytest.mark.slow
def test_the_expected_view_of_an_unseen_breast_is_nearer_than_the_median(fitted):
    with torch.inference_mode():
        scores = fitted.validate(fitted.networks["generator"].eval())
    assert scores["val_film_psnr"] > 18
    assert scores["val_score"] > 0


@pytest.mark.slow
def test_a_step_is_a_function_of_its_number_and_gives_a_gradient(fitted):
    first, again, other = fitted.draw(3, 0, 1), fitted.draw(3, 0, 1), fitted.draw(4, 0, 1)
    torch.testing.assert_close(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    ((name, loss, parts),) = fitted.losses(first)
    loss.backward()
    network = fitted.networks[name]
    assert float(network.refinement.changes.weight.grad.abs().sum()) > 0
    assert set(parts) == {"error", "unlike"}
    with torch.inference_mode():
        assert fitted.sample_grid(network).shape[1] == 3 * 256


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
    assert given_of(frames[0]).shape == (4096,)
