"""The classifier against its published weights: the architecture is right if it knows what is in a photograph."""

from __future__ import annotations

import pytest
import torch
from skimage import data
from torch.nn import functional as F

from mammosynth.networks.efficientnet_lite import EfficientNetLite0, are_weights_installed, load_pretrained

CATS, ESPRESSO = {281, 282, 285}, 967
"""Classes of ImageNet: tabby, tiger and Egyptian cat."""


@pytest.mark.skipif(not are_weights_installed(), reason="needs the extra 'features'")
def test_the_published_weights_know_a_cat_and_a_coffee() -> None:
    cat, coffee = (int(load_pretrained()(photograph(pixels())).argmax()) for pixels in (data.cat, data.coffee))
    assert cat in CATS
    assert coffee == ESPRESSO


def test_sides_that_are_no_multiple_of_16_are_rounded_up() -> None:
    with torch.inference_mode():
        assert EfficientNetLite0().eval().features(torch.rand(2, 3, 65, 40)).shape == (2, 112, 5, 3)


def photograph(pixels: object) -> torch.Tensor:
    """(1, 3, 224, 224): the middle square."""
    image = torch.as_tensor(pixels).permute(2, 0, 1)[None] / 255
    side = min(image.shape[2:])
    top, left = ((length - side) // 2 for length in image.shape[2:])
    return F.interpolate(image[..., top : top + side, left : left + side], (224, 224), mode="area")
