"""The perceptual distance against its published weights: it must see what people see, and not what they do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data

from experiments.shift_tolerant import ShiftTolerantDistance, Trunk, are_weights_installed

pytestmark = pytest.mark.skipif(not are_weights_installed(), reason="needs stlpips-pytorch")
PUBLISHED = {"alex": (0.0320, 0.0482), "vgg": (0.0285, 0.0294)}
"""Of the package's own code, for `noise`."""


def noise() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(2, 1, 128, 96), torch.rand(2, 1, 128, 96)


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_the_distance_is_that_of_the_package(trunk: Trunk) -> None:
    with torch.inference_mode():
        found = ShiftTolerantDistance(trunk)(*noise())
    assert found.tolist() == pytest.approx(PUBLISHED[trunk], abs=1e-4)


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_a_shift_is_hardly_seen_and_blur_is(trunk: Trunk) -> None:
    image = data.camera()[192:320, 192:288] / 255
    others = image, np.roll(image, 2, axis=1), ndimage.gaussian_filter(image, 2)
    one, *many = (torch.from_numpy(each.astype(np.float32))[None, None] for each in (image, *others))
    distance = ShiftTolerantDistance(trunk)
    with torch.inference_mode():
        same, shifted, blurred = (float(distance(one, each)) for each in many)
    assert same == 0
    assert 0 < shifted < 0.2 * blurred


def test_gradients_flow_into_the_first_image_and_are_finite_where_it_is_flat() -> None:
    flat = torch.zeros(1, 1, 64, 64, requires_grad=True)
    ShiftTolerantDistance("alex")(flat, noise()[0][:1, :, :64, :64]).backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
    assert flat.grad.abs().sum() > 0
