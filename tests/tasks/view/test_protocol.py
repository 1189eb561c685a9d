"""The protocol of the published floors, to rounding, and what it says of an image that is its own target."""

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.evaluation.texture import SLOPE
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.evaluation.protocol import Shown, concordance, pair_scores, rank


def painted(seed: int) -> np.ndarray:
    """(512, 512): a breast with tissue, another one for every seed."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:512, :512]
    inside = ((y - 250 - 10 * seed) / 220) ** 2 + (x / (230 + 20 * seed)) ** 2 < 1
    tissue = 0.4 + 1.2 * ndimage.gaussian_filter(random.normal(size=(512, 512)), 4)
    return (np.clip(tissue, 0.05, 1) * inside).astype(np.float32)


def test_scores_are_those_of_the_published_protocol():
    """Expected numbers: the function `one` of the protocol's own code on the same two images."""
    found = pair_scores(Shown(painted(0)), Shown(painted(1)))
    expected = {
        "padded_ssim": 0.691022,
        "padded_psnr": 20.078158,
        "padded_mae": 0.042403,
        "tight_ssim": 0.468539,
        "tight_psnr": 19.737985,
        "tight_mae": 0.072327,
        "breast_mae": 0.12211,
        "iou": 0.897742,
        "emd": 0.002701,
    }
    assert found == pytest.approx(expected, abs=1e-5)


def test_texture_is_that_of_the_published_protocol():
    assert Shown(painted(0)).texture(Look.DIGITAL, generated=False)[SLOPE] == pytest.approx(13.234217, abs=1e-4)


def test_an_image_is_its_own_target():
    shown = Shown(painted(2))
    scores = pair_scores(shown, shown)
    assert (scores["padded_ssim"], scores["iou"], scores["emd"]) == pytest.approx((1, 1, 0))
    pool = np.stack([Shown(painted(seed)).thumbnail for seed in range(3)])
    assert rank(shown, 2, pool) == 0
    assert rank(shown, 0, pool) > 0


def test_concordance_falls_with_noise_and_with_bias():
    values = np.arange(8.0)
    assert concordance(values, values) == pytest.approx(1)
    assert concordance(values, values + 2) == pytest.approx(2 * 5.25 / (10.5 + 4))
    assert concordance(values, -values + 7) == pytest.approx(-1)
