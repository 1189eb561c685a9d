"""Power of detail by band: known spectra, and real images at full resolution."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mammosynth.files import read_image
from mammosynth.networks.residual_unet import ResidualUNet
from mammosynth.preprocessing.breast import erode
from mammosynth.tasks.contrast.evaluation.sharpness import BAND_EDGES, band_powers
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastParameters, ContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.real_data import CDD_CESM

EVERYWHERE = np.ones((384, 256), bool)


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, EVERYWHERE.shape)


def test_white_noise_has_its_variance_in_every_band() -> None:
    np.testing.assert_allclose(band_powers(noise(), EVERYWHERE), 0.1**2, rtol=0.15)


def test_power_goes_with_the_square_of_the_gain_and_not_with_the_offset() -> None:
    powers = band_powers(noise(), EVERYWHERE)
    np.testing.assert_allclose(band_powers(0.5 + 0.3 * noise(), EVERYWHERE), 0.09 * powers, rtol=1e-6)


@pytest.mark.parametrize("band", range(5))
def test_a_wave_lies_in_its_band(band: int) -> None:
    frequency = np.sqrt(BAND_EDGES[band] * BAND_EDGES[band + 1])
    wave = np.sin(2 * np.pi * frequency * np.arange(256))[None, :] * np.ones((384, 1))
    assert np.argmax(band_powers(wave, EVERYWHERE)) == band


def test_blurring_takes_the_highest_band() -> None:
    powers = band_powers(ndimage.gaussian_filter(noise(), 2), EVERYWHERE) / band_powers(noise(), EVERYWHERE)
    assert (np.diff(powers) < 0).all()
    assert powers[-1] < 1e-3


def test_what_lies_outside_the_mask_does_not_count() -> None:
    mask = EVERYWHERE.copy()
    mask[200:] = False
    other = noise()
    other[200:] = 9
    np.testing.assert_array_equal(band_powers(other, mask), band_powers(noise(), mask))
    with pytest.raises(ValueError, match="no square of 128 pixels"):
        band_powers(noise(), ~EVERYWHERE)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["L", "R"])
def test_a_real_image_at_full_resolution_keeps_its_detail(side: str) -> None:
    path = CDD_CESM / "full" / "mlo_pairs" / f"P40_{side}_DM_MLO.jpg"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there: sharpness of real images is not tested")
    torch.manual_seed(0)
    network = ResidualUNet(8, [8, 8, 8]).eval()
    torch.nn.init.normal_(network.fields.weight, std=0.1)
    source = read_image(path, view_position=ViewPosition.MLO)
    synthesizer = ContrastSynthesizer(BreastFramePreprocessing((512, 384)), network)
    prepared = synthesizer.preprocessing.prepare(source)
    gain = synthesizer.preprocessing.restore(prepared, synthesizer.generate(prepared)[0, 1])
    interior = erode(prepared.source_breast_mask, 100)
    image = synthesizer({"source": source}, ContrastParameters())[0].value.pixels
    ratio = band_powers(image, interior) / band_powers(source.pixels, interior)
    expected = (gain[interior] ** 2).mean()
    # The two highest bands, periods of 2 to 8 pixels, are finer than the frame.
    np.testing.assert_allclose(ratio[-2:], expected, rtol=0.15)
