"""Fields become an image at the source's own resolution: without seam or rim, with the source's detail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mammosynth.errors import BundleError, InvalidParameterError, MissingAttributeError
from mammosynth.mammogram import Mammogram
from mammosynth.networks.ensemble import Ensemble
from mammosynth.task import IMAGE, UNCERTAINTY
from mammosynth.tasks.contrast.calibration import Calibration
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastParameters, ContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse

FRAME = (64, 48)
LOW_ENERGY, COLUMN, ROW = 0, 4, 5  # of BreastFramePreprocessing.CHANNELS


class Fields(nn.Module):
    """Offset and gain as given, and as given times one of the input's channels."""

    def __init__(self, offset: float, gain: float, *, channel: int = ROW, slopes: tuple[float, float] = (0, 0)) -> None:
        super().__init__()
        self.base = nn.Parameter(torch.tensor([offset, gain]))
        self.slopes = nn.Parameter(torch.tensor(slopes, dtype=torch.float32))
        self.channel = channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        varying = x[:, self.channel : self.channel + 1] * self.slopes[None, :, None, None]
        return self.base[None, :, None, None] + varying


def textured(height: int, width: int, *, mirrored: bool = False) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.05, (height, width))
    pixels = np.where(half_ellipse(height, width), np.clip(0.5 + noise, 0.1, 0.9), 0).astype(np.float32)
    return np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels


def mammogram(pixels: np.ndarray, view: ViewPosition | None = ViewPosition.MLO) -> Mammogram:
    return Mammogram(pixels, "IM1.dcm", view_position=view)


def image_of(made: ContrastSynthesizer, source: Mammogram) -> Mammogram:
    (output,) = made({"source": source}, ContrastParameters())
    assert output.role == IMAGE
    return output.value


def synthesizer(network: nn.Module, *, average_flips: bool = False) -> ContrastSynthesizer:
    return ContrastSynthesizer(BreastFramePreprocessing(FRAME), network.eval(), average_flips)


@pytest.mark.parametrize(
    ("channels", "told"),
    [
        ((7, 2), r"does not take \(1, 8, 64, 48\) .*, which its preprocessing gives: .*expected input.* 7 channels"),
        ((8, 3), r"gives \(1, 3, 64, 48\), expected \(B, 2, H, W\): offset and gain"),
    ],
)
def test_a_network_of_other_channels_is_the_bundles_fault(channels: tuple[int, int], told: str) -> None:
    with pytest.raises(BundleError, match=told):
        image_of(synthesizer(nn.Conv2d(*channels, 1)), mammogram(textured(100, 80)))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(300, 211), (40, 33)])
def test_constant_fields_are_applied_to_every_pixel_of_the_source(shape: tuple[int, int], mirrored: bool) -> None:
    source = mammogram(textured(*shape, mirrored=mirrored))
    made = synthesizer(Fields(0.2, 0.5))
    image = image_of(made, source)
    edge = made.preprocessing.prepare(source).source_edge
    assert image.pixels.dtype == np.float32
    np.testing.assert_allclose(image.pixels, (0.2 + 0.5 * source.pixels) * edge, atol=1e-6)


def test_the_image_stays_within_range_and_is_zero_outside_the_breast() -> None:
    source = mammogram(textured(120, 90))
    made = synthesizer(Fields(1.7, 0.0))
    edge = made.preprocessing.prepare(source).source_edge
    np.testing.assert_array_equal(image_of(made, source).pixels, edge)


@pytest.mark.parametrize(("channel", "axis", "per_frame_pixel"), [(ROW, 0, 2 / 63), (COLUMN, 1, 1 / 47)])
def test_a_ramp_is_enlarged_to_a_ramp_without_a_seam(channel: int, axis: int, per_frame_pixel: float) -> None:
    source = mammogram(np.full((512, 384), 0.5, np.float32))  # eight times the frame
    ramp = image_of(synthesizer(Fields(0.5, 0.0, channel=channel, slopes=(0.25, 0.0))), source)
    steps = np.diff(ramp.pixels, axis=axis)
    # Beyond the outermost pixels of the frame their value goes on; the cubic kernel reaches two pixels.
    inner = np.take(steps, range(16, steps.shape[axis] - 16), axis=axis)
    np.testing.assert_allclose(inner, 0.25 * per_frame_pixel / 8, atol=2e-6)
    assert np.ptp(ramp.pixels[16:-16, 16:-16], axis=1 - axis).max() < 1e-6  # its corners are cut off as no breast


def test_detail_of_the_source_is_kept_times_the_gain() -> None:
    source = mammogram(textured(512, 384))
    image = image_of(synthesizer(Fields(0.3, 0.4, slopes=(0.1, 0.0))), source)
    inside = (slice(192, 320), slice(16, 144))
    of_source, of_image = (high_frequency_power(pixels[inside]) for pixels in (source.pixels, image.pixels))
    assert of_image / of_source == pytest.approx(0.4**2, rel=1e-3)


def high_frequency_power(pixels: np.ndarray) -> float:
    """Of everything above half the Nyquist frequency."""
    window = np.hanning(pixels.shape[0])[:, None] * np.hanning(pixels.shape[1])
    power = np.abs(np.fft.fft2((pixels - pixels.mean()) * window)) ** 2
    frequency = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in pixels.shape), indexing="ij"))
    return float(power[frequency > 0.25].sum())


def test_an_ensemble_gives_the_image_of_its_mean_and_its_standard_deviation_as_uncertainty() -> None:
    source = mammogram(textured(300, 211))
    made = synthesizer(Ensemble([Fields(0.1, 0.4), Fields(0.2, 0.5), Fields(0.3, 0.9)]))
    asked = ContrastParameters(uncertainty=True)
    image, uncertainty = made({"source": source}, asked)
    assert (image.role, uncertainty.role) == made.outputs(asked) == (IMAGE, UNCERTAINTY)
    edge = made.preprocessing.prepare(source).source_edge
    members = [(offset + gain * source.pixels) * edge for offset, gain in ((0.1, 0.4), (0.2, 0.5), (0.3, 0.9))]
    np.testing.assert_allclose(image.value.pixels, np.mean(members, axis=0), atol=1e-6)
    np.testing.assert_allclose(uncertainty.value.pixels, np.std(members, axis=0), atol=1e-6)
    assert not uncertainty.value.pixels[edge == 0].any()


def test_a_calibrated_ensemble_gives_its_calibrated_deviation_and_none_in_air() -> None:
    source = mammogram(textured(120, 90))
    calibration = Calibration(constant=0.01, spread=4.0, grey=0.09, contrast=1.0)
    network = Ensemble([Fields(0.1, 0.0), Fields(0.3, 0.0)]).eval()
    made = ContrastSynthesizer(BreastFramePreprocessing(FRAME), network, calibration=calibration)
    image, uncertainty = made({"source": source}, ContrastParameters(uncertainty=True))
    edge = made.preprocessing.prepare(source).source_edge
    np.testing.assert_allclose(image.value.pixels, 0.2 * edge, atol=1e-6)
    # Mean 0.2 and spread 0.1, by hand: 0.01 + 4 * 0.1^2 + 0.09 * 0.2^2.
    np.testing.assert_allclose(uncertainty.value.pixels[edge == 1], np.sqrt(0.0536), rtol=1e-5)
    assert not uncertainty.value.pixels[edge == 0].any()


def test_uncertainty_of_a_single_network_is_refused() -> None:
    for network in (Fields(0.1, 0.4), Ensemble([Fields(0.1, 0.4)])):
        with pytest.raises(InvalidParameterError, match="is a single network and so has no spread; leave it out"):
            synthesizer(network)({"source": mammogram(textured(60, 40))}, ContrastParameters(uncertainty=True))


@pytest.mark.parametrize("view", list(ViewPosition))
def test_only_a_cc_view_is_averaged_with_its_upside_down_copy(view: ViewPosition) -> None:
    source = mammogram(np.full((64, 48), 0.5, np.float32), view)
    made = synthesizer(Fields(0.5, 0.0, slopes=(0.25, 0.0)), average_flips=True)
    image = image_of(made, source).pixels
    expected = np.full(64, 0.5) if view is ViewPosition.CC else 0.5 + 0.25 * np.linspace(-1, 1, 64)
    np.testing.assert_allclose(image[:, 20], expected, atol=1e-6)


def test_a_transplant_shows_the_other_breast_in_the_outline_and_matrix_of_the_source() -> None:
    source, other = mammogram(textured(300, 211, mirrored=True)), mammogram(np.full((90, 70), 0.5, np.float32))
    made = synthesizer(Fields(0.1, 1.0))
    image = made.transplant(source, other)
    edge = made.preprocessing.prepare(source).source_edge
    np.testing.assert_allclose(image.pixels, 0.6 * edge, atol=1e-6)
    assert image.source_name == source.source_name


def test_a_source_without_view_position_is_refused() -> None:
    with pytest.raises(MissingAttributeError, match="set view_position"):
        image_of(synthesizer(Fields(0.1, 0.4)), mammogram(textured(60, 40), None))
