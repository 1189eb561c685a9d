"""Style: what is measured is what was painted, and what is drawn has the distribution of what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from mammosynth.preprocessing.look import Look
from mammosynth.tasks.mask.drawing import Drawing
from mammosynth.tasks.mask.style import KNOWN, LENGTH, Style, StyleModel, about, measure_style
from mammosynth.terms import ViewPosition
from tests.support.drawn_breasts import drawn_breast, painted


def test_the_measured_style_is_what_was_painted() -> None:
    labels = drawn_breast(512)
    drawing = Drawing.of(labels)
    fine, coarse = (measure_style(drawing.take(painted(labels, grain=grain)), drawing) for grain in (0.02, 0.08))
    assert fine.adipose == pytest.approx(0.2, abs=0.02)
    assert fine.dense == pytest.approx(0.5, abs=0.05)  # with the lesion in it
    assert coarse.adipose_bands[0] - fine.adipose_bands[0] == pytest.approx(np.log(4), abs=0.35)
    assert fine.lesion == pytest.approx(0.7 - 0.5, abs=0.05)
    assert Style.of(fine.numbers()).numbers() == pytest.approx(fine.numbers())


def test_without_a_lesion_its_contrast_is_unknown() -> None:
    labels = drawn_breast(512, lesion=False)
    drawing = Drawing.of(labels)
    assert np.isnan(measure_style(drawing.take(painted(labels)), drawing).lesion)


def test_what_is_known_of_a_label_map() -> None:
    known = about(Drawing.of(drawn_breast(512)), ViewPosition.MLO, Look.FILM, "c")
    assert known.shape == (len(KNOWN),)
    assert known[4:].tolist() == [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    unknown = about(Drawing.of(drawn_breast(512)), None, Look.DIGITAL, None)
    assert unknown[4:].tolist() == [0.0] * 6


def _measured(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Levels follow the share of dense tissue, contrast is skewed, the second number follows the contrast."""
    rng = np.random.default_rng(0)
    known = np.zeros((count, len(KNOWN)), np.float32)
    known[:, 0], known[:, 1] = 1.0, rng.uniform(0, 1, count)
    styles = rng.normal(size=(count, LENGTH)).astype(np.float32)
    contrast = 0.1 + 0.1 * rng.exponential(size=count)
    styles[:, 0] = 0.3 + 0.02 * rng.normal(size=count) - contrast * known[:, 1]
    styles[:, 6] = styles[:, 0] + contrast
    styles[:, 1] = np.log(contrast) + 0.1 * rng.normal(size=count)
    styles[::3, -1] = np.nan
    return styles, known


def _fitted() -> tuple[StyleModel, np.ndarray, np.ndarray]:
    styles, known = _measured()
    model = StyleModel()
    model.fit(styles, known)
    return model, styles, known


def test_drawn_styles_have_the_distribution_of_the_measured_ones() -> None:
    model, styles, known = _fitted()
    rng = np.random.default_rng(1)
    drawn = np.stack([model.draw(each, rng).numbers() for each in known])
    contrasts = [numbers[:, 6] - numbers[:, 0] for numbers in (drawn, styles)]
    quantiles = [0.1, 0.5, 0.9]
    assert np.quantile(contrasts[0], quantiles) == pytest.approx(np.quantile(contrasts[1], quantiles), rel=0.15)
    assert np.corrcoef(np.log(contrasts[0]), drawn[:, 1])[0, 1] > 0.8
    level = drawn[:, 0] * (1 - known[:, 1]) + drawn[:, 6] * known[:, 1]
    assert level.std() == pytest.approx(0.02, rel=0.3)  # far less than the tissues' own
    assert drawn[:, 0].min() >= styles[:, 0].min() - 1e-6


def test_the_expected_style_is_the_trend_and_needs_no_seed() -> None:
    model, _, known = _fitted()
    low, high = (model.draw(np.array([1.0, share, *[0.0] * 8], np.float32), None) for share in (0.1, 0.9))
    assert low == model.draw(np.array([1.0, 0.1, *[0.0] * 8], np.float32), None)
    assert low.adipose > high.adipose + 0.08


def test_the_distribution_is_kept_with_the_weights() -> None:
    model, _, known = _fitted()
    other = StyleModel()
    other.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    first, second = (each.draw(known[0], np.random.default_rng(3)).numbers() for each in (model, other))
    assert second == pytest.approx(first, abs=0.02)
