"""A sampled image: another one for another seed, the same for the same, of any size, black where there is no breast."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mammosynth.errors import InvalidParameterError
from mammosynth.networks.ensemble import Ensemble
from mammosynth.task import Rendering
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.sampled import draw_contrast, finer_grain
from mammosynth.tasks.contrast.style import BANDS, GIVEN, LOOK, StyledEnsemble, Zones, measure_look
from mammosynth.tasks.contrast.synthesizer import ContrastParameters, ContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse
from tests.tasks.contrast.test_synthesizer import FRAME, Fields, mammogram, textured

STRENGTH = 0.03
"""Of every band of the real images that the style below was measured on."""


def styled(*members: Fields, factor: float = 2.0, strength: float = STRENGTH, variety: float = 0.05) -> StyledEnsemble:
    """An ensemble that learned from real images as gray as 0.3, with strong detail."""
    random = np.random.default_rng(5)
    made = np.zeros((40, LOOK))
    made[:, 0], made[:, 1] = np.log(0.31), np.log(0.1)
    made[:, BANDS] = np.log(strength)
    network = StyledEnsemble(members or [Fields(0.2, 0.2), Fields(0.25, 0.2)])
    network.style.looks.fit(random.normal(size=(40, GIVEN)), made + variety * random.normal(size=made.shape))
    network.style.factor.fill_(factor)
    return network.eval()


def sample(network: torch.nn.Module, source: object, seed: int = 0) -> np.ndarray:
    made = ContrastSynthesizer(BreastFramePreprocessing(FRAME), network)
    (output,) = made({"source": source}, ContrastParameters(), rendering=Rendering.SAMPLED, seed=seed)
    return output.value.pixels


def test_a_seed_gives_the_same_bytes_on_any_number_of_threads_and_another_seed_another_image() -> None:
    source, network, before = mammogram(textured(300, 211)), styled(), torch.get_num_threads()
    images = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            images.append(sample(network, source, seed=3))
    finally:
        torch.set_num_threads(before)
    assert images[0].tobytes() == images[1].tobytes()
    assert np.abs(sample(network, source, seed=4) - images[0]).mean() > 0.005


def test_images_of_one_seed_are_drawn_independently_of_each_other() -> None:
    network, pixels = styled(), textured(300, 211)
    other = np.where(pixels > 0, pixels + np.float32(1 / 255), 0).astype(np.float32)
    changes = [
        sample(network, mammogram(each), seed) - sample(network, mammogram(each), seed + 1)
        for seed in (0, 2)
        for each in (pixels, other)
    ]
    inside = pixels > 0
    for one, another in (changes[:2], changes[2:]):
        assert abs(np.corrcoef(one[inside], another[inside])[0, 1]) < 0.5


@pytest.mark.parametrize("view", list(ViewPosition))
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("shape", [(64, 48), (301, 211), (40, 33), (12, 9), (700, 333)])
def test_images_of_any_size_are_within_range_and_black_in_air(
    shape: tuple[int, int], mirrored: bool, view: ViewPosition
) -> None:
    source = mammogram(textured(*shape, mirrored=mirrored), view)
    image = sample(styled(), source)
    edge = BreastFramePreprocessing(FRAME).prepare(source).source_edge
    assert image.shape == shape
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert not image[edge == 0].any()
    assert image[edge > 0.5].mean() == pytest.approx(0.3, abs=0.2)  # a window is drawn


def test_bands_are_about_as_strong_as_in_the_images_that_were_learned_from() -> None:
    source = mammogram(textured(64, 48))
    zones = Zones(half_ellipse(64, 48))
    expected, made = (
        measure_look(image, zones)[0][BANDS] for image in (0.2 + 0.2 * source.pixels, sample(styled(), source))
    )
    assert (made > expected).all()
    assert np.abs(made - np.log(STRENGTH)).mean() < 0.6


def test_samples_differ_by_more_where_members_do() -> None:
    source = mammogram(textured(64, 48))
    across = (Fields(0.3, 0.0, slopes=(-0.2, 0.0)), Fields(0.3, 0.0, slopes=(0.2, 0.0)))  # disagree at top and bottom
    spread = np.std([sample(styled(*across), source, seed) for seed in range(12)], axis=0)
    assert spread[8:20, 2:12].mean() > 1.3 * spread[28:36, 2:12].mean()


def test_every_bright_spot_is_made_brighter_or_fainter_by_itself() -> None:
    y, x = np.mgrid[:256, :192]
    breast = half_ellipse(256, 192)
    small, large = (np.hypot(y - row, x - 48) < radius for row, radius in ((80, 8), (176, 16)))
    low_energy = textured(256, 192) * np.where(small | large, 1.0, 0.4).astype(np.float32)
    fields = np.stack([np.zeros_like(low_energy), np.full_like(low_energy, 0.5)])[None]
    network = styled(strength=1e-4, variety=0.0)  # nothing but spots is drawn
    drawn = [
        draw_contrast(fields, low_energy, breast, False, network.style, np.random.default_rng(seed)).fields[0]
        for seed in range(60)
    ]
    one, other = np.array([[offset[spot].mean() for spot in (small, large)] for offset in drawn]).T
    assert one.std() > 1.3 * other.std() > 0.02, "small ones by more"
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.4
    assert min(one.min(), other.min()) < 0 < 0.1 < min(one.max(), other.max())
    assert np.abs(np.array(drawn)[:, breast & (np.hypot(y - 128, x - 48) < 12)]).max() < 0.02


def test_a_source_finer_than_the_frame_has_grain_of_its_own_and_no_other_has() -> None:
    random = np.random.default_rng(0)
    amplitude = np.full((200, 150), 0.02, np.float32)
    amplitude[:, 75:] = 0
    grain = finer_grain(amplitude, 4.0, random)
    assert not grain[:, 75:].any()
    assert 0.02 < grain[:, :75].std() < 0.1
    assert np.abs(np.diff(grain[:, :75], axis=0)).mean() > 0.01, "down to single pixels"
    assert not finer_grain(amplitude, 1.2, random).any()


@pytest.mark.parametrize("network", [Fields(0.2, 0.5), Ensemble([Fields(0.2, 0.5)])])
def test_a_network_without_a_style_refuses(network: torch.nn.Module) -> None:
    with pytest.raises(InvalidParameterError, match="'rendering' is 'sampled', but this model knows no style"):
        sample(network, mammogram(textured(64, 48)))
