"""The published way of applying a network, and the fast one that stands for it."""

import numpy as np
import pytest
import torch
from torch import nn

from mammosynth.bundle import default_model_zoo, load_bundle
from mammosynth.mammogram import Mammogram
from mammosynth.networks.resnet_generator import ResNetGenerator
from mammosynth.tasks.contrast.signed_frame import SignedFramePreprocessing
from mammosynth.tasks.contrast.windowed import FAST, REFERENCE, WindowedContrastParameters, WindowedContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.breasts import breast_image
from tests.support.phantom_views import left_cc

FRAME = (100, 75)
TOLERANCE, LEAST_CORRELATION = 0.08, 0.85
"""Between the modes, inside the breast: grey values, and r. Instance normalisation sees a frame, not a window of it."""


def mammogram(height: int = 240, width: int = 160, *, mirrored: bool = False) -> Mammogram:
    return Mammogram(breast_image(height, width, mirrored=mirrored), "IM1.dcm", view_position=ViewPosition.CC)


def synthesizer(network: nn.Module, **options: int) -> WindowedContrastSynthesizer:
    network = network.eval().requires_grad_(False)
    return WindowedContrastSynthesizer(SignedFramePreprocessing(FRAME), network, (32, 32), 4, **options)


def image_of(made: WindowedContrastSynthesizer, source: Mammogram, mode: str = FAST) -> np.ndarray:
    (output,) = made({"source": source}, WindowedContrastParameters(mode=mode))
    return output.value.pixels


class Pointwise(nn.Module):
    """Reverses grey values, pixel by pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -0.5 * x


def generator() -> ResNetGenerator:
    torch.manual_seed(0)
    return ResNetGenerator(features=4, residual_units=1)


@pytest.mark.parametrize("mode", [FAST, REFERENCE])
def test_the_image_has_the_matrix_and_the_range_of_the_source(mode: str) -> None:
    source = mammogram(mirrored=True)
    made = synthesizer(generator())
    image = image_of(made, source, mode)
    mask = made.preprocessing.prepare(source).source_breast_mask
    assert image.shape == source.pixels.shape
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1
    assert not image[~mask].any()


def test_both_modes_are_equal_where_a_network_sees_single_pixels() -> None:
    made = synthesizer(Pointwise())
    prepared = made.preprocessing.prepare(mammogram())
    fast, reference = (made.generate(prepared, mode) for mode in (FAST, REFERENCE))
    np.testing.assert_allclose(fast, reference, atol=1e-6)
    np.testing.assert_allclose(fast, -(prepared.low_energy - 0.5), atol=1e-6)


def test_both_modes_are_equal_where_one_window_holds_the_frame() -> None:
    frame = SignedFramePreprocessing((32, 32))
    made = WindowedContrastSynthesizer(frame, generator().eval(), (32, 32), 4)
    prepared = frame.prepare(mammogram())
    np.testing.assert_allclose(made.generate(prepared, FAST), made.generate(prepared, REFERENCE), atol=1e-6)


def test_tiles_of_a_large_frame_are_those_of_one_pass_where_a_network_sees_single_pixels() -> None:
    prepared = synthesizer(Pointwise()).preprocessing.prepare(mammogram())
    whole, tiled = (synthesizer(Pointwise(), tile=tile).generate(prepared) for tile in (128, 32))
    np.testing.assert_allclose(whole, tiled, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["breast_cem_cyclegan", "breast_cem_cyclegan_narrow"])
def test_fast_and_reference_mode_of_the_released_weights_agree_as_their_card_says(name: str) -> None:
    bundle = load_bundle(default_model_zoo() / name)
    source = Mammogram(left_cc(3, pixel_mm=1.2).low_energy, "phantom", view_position=ViewPosition.CC)
    fast, reference = (
        bundle.synthesize({"source": source}, parameters={"mode": mode}).image.pixels for mode in (FAST, REFERENCE)
    )
    breast = reference > 0
    assert np.abs(fast - reference)[breast].mean() < TOLERANCE
    assert np.corrcoef(fast[breast], reference[breast])[0, 1] > LEAST_CORRELATION


def test_a_frame_smaller_than_a_window_is_padded() -> None:
    made = WindowedContrastSynthesizer(SignedFramePreprocessing((50, 38)), generator().eval())
    generated = made.generate(made.preprocessing.prepare(mammogram()), REFERENCE)
    assert generated.shape == (50, 38)


def test_a_transplant_lies_in_the_outline_and_matrix_of_the_source() -> None:
    source, dark = mammogram(mirrored=True), 0.5 * breast_image(90, 70)
    other = Mammogram(dark, "IM2.dcm", view_position=ViewPosition.CC)
    made = synthesizer(Pointwise())
    image = made.transplant(source, other).pixels
    mask = made.preprocessing.prepare(source).source_breast_mask
    assert image.shape == source.pixels.shape
    assert (image > 0).any()
    assert not image[~mask].any()
    assert np.abs(image - image_of(made, source)).max() > 0.01
