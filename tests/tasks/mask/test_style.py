"""Style: what is measured is what was painted, and what is drawn has the distribution of what was measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mammosynth.tasks.mask.cases import Look
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.style import ABOUT, LENGTH, StyleModel, about, measure_style
from mammosynth.terms import ViewPosition
from tests.support.drawn_breasts import drawn_breast, painted


def test_the_measured_style_is_what_was_painted() -> None:
    labels = drawn_breast(512)
    drawing = Drawing.of(labels)
    fine, coarse = (measure_style(drawing.take(painted(labels, grain=grain)), drawing) for grain in (0.02, 0.08))
    assert fine.shape == (LENGTH,)
    assert fine[0] == pytest.approx(0.2, abs=0.02)  # adipose
    assert fine[7] == pytest.approx(0.5, abs=0.05)  # dense, with the lesion in it
    assert coarse[1] - fine[1] == pytest.approx(np.log(4), abs=0.35)  # the finest band of adipose tissue
    assert fine[-1] == pytest.approx(0.7 - 0.5, abs=0.05)  # the lesion against its ring


def test_without_a_lesion_its_contrast_is_unknown() -> None:
    labels = drawn_breast(512, lesion=False)
    drawing = Drawing.of(labels)
    assert np.isnan(measure_style(drawing.take(painted(labels)), drawing)[-1])


def test_what_is_known_of_a_label_map() -> None:
    known = about(Drawing.of(drawn_breast(512)), ViewPosition.MLO, Look.FILM, "c")
    assert known.shape == (ABOUT,)
    assert known[4:].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    unknown = about(Drawing.of(drawn_breast(512)), None, Look.DIGITAL, None)
    assert unknown[4:].tolist() == [0.0] * 6


def _fitted(seed: int = 0, count: int = 600) -> tuple[StyleModel, np.ndarray, np.ndarray]:
    """The first number is skewed and follows what is known; the second one follows the first."""
    rng = np.random.default_rng(seed)
    known = np.zeros((count, ABOUT), np.float32)
    known[:, 0], known[:, 1] = 1.0, rng.uniform(0, 1, count)
    styles = rng.normal(size=(count, LENGTH)).astype(np.float32)
    styles[:, 0] = np.exp(2 * known[:, 1] + 0.3 * rng.normal(size=count))
    styles[:, 1] = np.log(styles[:, 0]) + 0.1 * rng.normal(size=count)
    styles[::3, -1] = np.nan
    model = StyleModel()
    model.fit(styles, known)
    return model, styles, known


def test_drawn_styles_have_the_distribution_of_the_measured_ones() -> None:
    model, styles, known = _fitted()
    rng = np.random.default_rng(1)
    drawn = np.stack([model.draw(each, rng) for each in known])
    quantiles = [0.1, 0.5, 0.9]
    assert np.quantile(drawn[:, 0], quantiles) == pytest.approx(np.quantile(styles[:, 0], quantiles), rel=0.25)
    assert np.corrcoef(np.log(drawn[:, 0]), drawn[:, 1])[0, 1] > 0.9
    assert np.corrcoef(drawn[:, 0], known[:, 1])[0, 1] > 0.6
    assert drawn[:, 0].max() <= styles[:, 0].max()


def test_the_expected_style_is_the_trend_and_needs_no_seed() -> None:
    model, _, known = _fitted()
    low, high = (model.draw(np.array([1.0, share, *[0.0] * 8], np.float32), None) for share in (0.1, 0.9))
    assert low[0] == pytest.approx(np.exp(0.2), rel=0.35)
    assert high[0] > 2 * low[0]


def test_the_distribution_is_kept_with_the_weights() -> None:
    model, _, known = _fitted()
    other = StyleModel()
    other.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    first, second = (each.draw(known[0], np.random.default_rng(3)) for each in (model, other))
    assert second == pytest.approx(first, abs=0.02)
    assert torch.isfinite(torch.from_numpy(model.standardised(np.full(LENGTH, np.nan, np.float32)))).all()
