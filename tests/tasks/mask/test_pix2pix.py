import numpy as np
import pytest
import torch

from mammosynth.errors import MissingAttributeError
from mammosynth.label_map import LabelMap
from mammosynth.networks.residual_upsampler import ResidualUpsampler
from mammosynth.networks.skip_generator import SkipGenerator
from mammosynth.task import Rendering
from mammosynth.tasks.mask.parametric.breast import Ellipse, ParametricBreast
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.pix2pix import LabelFrame, Pix2pixNetwork, Pix2pixParameters, Pix2pixSynthesizer
from mammosynth.terms import ImageLaterality, ViewPosition

BREAST = ParametricBreast(fibroglandular=Ellipse(x=0.2, y=0.5, a=0.1, b=0.2), image_laterality=ImageLaterality.RIGHT)


@pytest.fixture(scope="module")
def synthesizer():
    torch.manual_seed(0)
    network = Pix2pixNetwork(SkipGenerator(9, 4, 4), ResidualUpsampler(8, 1, 2), (64, 48))
    return Pix2pixSynthesizer(network.eval().requires_grad_(False))


def made(synthesizer, inputs, *, seed=0, rendering=Rendering.SAMPLED, **values):
    return [each.value for each in synthesizer(inputs, Pix2pixParameters(**values), rendering=rendering, seed=seed)]


def test_network_sees_how_much_of_a_pixel_is_of_each_class_chest_wall_on_the_left():
    channels = LabelFrame((64, 48)).channels(label_map(BREAST, (256, 256)))
    assert channels.shape == (9, 64, 48)
    assert channels.sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert channels[1, 10:54, 1].min() > 0.9
    assert channels[0, :, -1].mean() > 0.5


def test_image_has_matrix_side_and_spacing_of_the_label_map(synthesizer):
    drawn = label_map(BREAST, (200, 160))
    image, labels = made(synthesizer, {"label_map": drawn})
    assert labels is drawn
    assert image.pixels.shape == (200, 160)
    assert image.pixel_spacing_mm == (1.2, 1.2)
    assert (image.view_position, image.image_laterality) == (ViewPosition.CC, ImageLaterality.RIGHT)
    assert 0 <= image.pixels.min() < image.pixels.max() <= 1


def test_large_images_come_with_their_label_map(synthesizer):
    image, labels = made(synthesizer, {"label_map": label_map(BREAST, (200, 160))}, large=True)
    assert image.pixels.shape == labels.labels.shape == (2048, 1638)
    assert labels.pixel_spacing_mm == pytest.approx((240 / 2048, 240 * 160 / 200 / 1638))
    again = label_map(BREAST, (2048, 1638)).labels
    assert (labels.labels == again).mean() > 0.98


def test_parametric_breast_is_drawn_and_one_of_both_is_needed(synthesizer):
    image, labels = made(synthesizer, {"breast": BREAST.as_json()})
    assert image.pixels.shape == (2048, 1536)
    assert np.array_equal(labels.labels, label_map(BREAST, (2048, 1536)).labels)
    with pytest.raises(MissingAttributeError, match="give one of them"):
        made(synthesizer, {})


def test_sampled_images_differ_by_seed_and_expected_ones_do_not(synthesizer):
    inputs = {"label_map": label_map(BREAST, (128, 96))}

    def pixels(seed, rendering):
        return made(synthesizer, inputs, seed=seed, rendering=rendering)[0].pixels

    assert np.array_equal(pixels(1, Rendering.SAMPLED), pixels(1, Rendering.SAMPLED))
    assert not np.array_equal(pixels(1, Rendering.SAMPLED), pixels(2, Rendering.SAMPLED))
    assert np.array_equal(pixels(1, Rendering.EXPECTED), pixels(2, Rendering.EXPECTED))


def test_mirrored_label_map_gives_the_mirrored_image(synthesizer):
    drawn = label_map(BREAST, (128, 96))
    other = LabelMap(np.ascontiguousarray(drawn.labels[:, ::-1]), "mirrored")
    image, mirrored = (made(synthesizer, {"label_map": each})[0].pixels for each in (drawn, other))
    assert np.array_equal(image, mirrored[:, ::-1])
