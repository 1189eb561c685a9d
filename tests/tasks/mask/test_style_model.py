"""Style models: what is drawn has the distribution of what was measured, of each look apart."""

from __future__ import annotations

import numpy as np
import pytest

from mammosynth.tasks.mask.style import KNOWN, LENGTH
from mammosynth.tasks.mask.style_model import BANDS_ASKED, StyleModel, StyleModels

_DENSE = 1 + len(next(iter(BANDS_ASKED.values())))


def _measured(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Levels follow the share of dense tissue, contrast is skewed, the second number follows the contrast."""
    rng = np.random.default_rng(0)
    known = np.zeros((count, len(KNOWN)), np.float32)
    known[:, 0], known[:, 1] = 1.0, rng.uniform(0, 1, count)
    styles = rng.normal(size=(count, LENGTH)).astype(np.float32)
    contrast = 0.1 + 0.1 * rng.exponential(size=count)
    styles[:, 0] = 0.3 + 0.02 * rng.normal(size=count) - contrast * known[:, 1]
    styles[:, _DENSE] = styles[:, 0] + contrast
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
    contrasts = [numbers[:, _DENSE] - numbers[:, 0] for numbers in (drawn, styles)]
    quantiles = [0.1, 0.5, 0.9]
    assert np.quantile(contrasts[0], quantiles) == pytest.approx(np.quantile(contrasts[1], quantiles), rel=0.15)
    assert np.corrcoef(np.log(contrasts[0]), drawn[:, 1])[0, 1] > 0.8
    level = drawn[:, 0] * (1 - known[:, 1]) + drawn[:, _DENSE] * known[:, 1]
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


def test_lesions_differ_less_than_real_ones_about_the_same_mean() -> None:
    styles, known = _measured()
    styles[:, -1] = np.random.default_rng(2).exponential(0.1, len(styles))
    model = StyleModel()
    model.fit(styles, known)
    drawn = np.array([model.draw(each, np.random.default_rng(index)).lesion for index, each in enumerate(known)])
    assert drawn.mean() == pytest.approx(styles[:, -1].mean(), rel=0.1)
    assert drawn.std() == pytest.approx(0.6 * styles[:, -1].std(), rel=0.2)


def test_each_look_has_its_own_images_and_keeps_them() -> None:
    styles, known = _measured()
    film = known.copy()
    film[:, KNOWN.index("is_film")] = 1
    bright = styles + np.where(np.isin(np.arange(LENGTH), [0, _DENSE]), 0.3, 0).astype(np.float32)
    models = StyleModels()
    models.fit(np.concatenate([styles, bright]), np.concatenate([known, film]))
    models.fit(styles, known)  # without any film
    digital, on_film = (
        np.mean([models.draw(each, np.random.default_rng(index)).adipose for index, each in enumerate(rows[:60])])
        for rows in (known, film)
    )
    assert on_film - digital == pytest.approx(0.3, abs=0.05)
