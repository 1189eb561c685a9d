import numpy as np
import pytest
import torch
from scipy import ndimage

from mammosynth.errors import MissingAttributeError
from mammosynth.label_map import LabelMap
from mammosynth.networks.dcgan import DcganGenerator
from mammosynth.task import Rendering
from mammosynth.tasks.mask.classes import CLASSES, BreastClass
from mammosynth.tasks.mask.dcgan import DcganNetwork, DcganParameters, DcganSynthesizer, LesionSquare
from mammosynth.tasks.mask.parametric.breast import Ellipse, ParametricBreast
from mammosynth.terms import ImageLaterality, ViewPosition


@pytest.fixture(scope="module")
def synthesizer():
    torch.manual_seed(0)
    network = DcganNetwork(DcganGenerator(16, 2, 8, 4, 8), (4, 4, 8, 8, 8, 4))
    with torch.no_grad():
        for weights in network.image.parameters():  # those of the start give nearly the same grey whatever the noise
            weights *= 5
    return DcganSynthesizer(network.eval().requires_grad_(False))


def drawn_map(kind=BreastClass.MALIGNANT_LESION, rows=96, columns=64):
    """Half an ellipse on the left, with a lesion of 12 by 12 pixels."""
    labels = np.zeros((rows, columns), np.uint8)
    y, x = np.mgrid[:rows, :columns]
    labels[((y - 48) / 42) ** 2 + (x / 40) ** 2 < 1] = BreastClass.ADIPOSE
    labels[42:54, 12:24] = kind
    return LabelMap(labels, "drawn", CLASSES, (2.0, 2.0), ViewPosition.MLO, ImageLaterality.LEFT)


def mirrored(drawn):
    return LabelMap(np.ascontiguousarray(drawn.labels[:, ::-1]), "mirrored")


def made(synthesizer, inputs, *, seed=0, rendering=Rendering.SAMPLED):
    return [each.value for each in synthesizer(inputs, DcganParameters(), rendering=rendering, seed=seed)]


def test_square_holds_the_whole_mammogram_at_the_chest_wall():
    pixels = np.full((96, 64), 0.5, np.float32)
    small = LesionSquare(24).reduce(pixels, mirrored=False)
    assert small[:, :16] == pytest.approx(0.5)
    assert not small[:, 16:].any()


def test_wide_images_lie_in_the_middle():
    small = LesionSquare(8).reduce(np.ones((4, 8), bool), mirrored=False)
    assert np.array_equal(small, np.repeat([0, 0, 1, 1, 1, 1, 0, 0], 8).reshape(8, 8).astype(np.float32))


@pytest.mark.parametrize("shape", [(96, 64), (64, 96)])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_reducing_what_was_enlarged_gives_it_back(shape, is_mirrored):
    rows, columns = np.mgrid[: shape[0], : shape[1]] / 100
    square = LesionSquare(32)
    small = square.reduce((1 + rows + columns).astype(np.float32), is_mirrored)
    again = square.reduce(square.enlarge(small, shape, is_mirrored), is_mirrored)
    inside = ndimage.binary_erosion(small > 0, iterations=2)
    assert again[inside] == pytest.approx(small[inside], abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "share", "is_malignant"),
    [
        (BreastClass.MALIGNANT_LESION, 9 / 24**2, 1),
        (BreastClass.BENIGN_LESION, 9 / 24**2, 0),
        (BreastClass.CALCIFICATION, 0, 0),
        (BreastClass.FIBROGLANDULAR, 0, 0),
    ],
)
def test_condition_is_mask_and_class_of_masses(kind, share, is_malignant):
    lesion, malignant = LesionSquare(24).condition(drawn_map(kind))
    assert lesion.mean() == pytest.approx(share)
    assert np.array_equal(malignant, np.full((24, 24), is_malignant))


def test_condition_does_not_depend_on_the_side():
    square, drawn = LesionSquare(24), drawn_map()
    assert np.array_equal(square.condition(drawn), square.condition(mirrored(drawn)))


def test_image_has_matrix_side_and_spacing_of_the_label_map(synthesizer):
    image, labels = made(synthesizer, {"label_map": drawn_map()})
    assert image.pixels.shape == labels.labels.shape == (96, 64)
    assert image.pixels.dtype == np.float32
    assert (image.view_position, image.image_laterality) == (ViewPosition.MLO, ImageLaterality.LEFT)
    assert image.pixel_spacing_mm == labels.pixel_spacing_mm == (2.0, 2.0)
    assert 0 <= image.pixels.min() < image.pixels.max() <= 1


def test_labels_tell_only_what_the_image_was_made_from(synthesizer):
    drawn = drawn_map()
    _, labels = made(synthesizer, {"label_map": drawn})
    assert np.array_equal(labels.labels, np.where(drawn.labels == BreastClass.MALIGNANT_LESION, drawn.labels, 0))


def test_mirrored_label_map_gives_the_mirrored_image(synthesizer):
    image, other = (made(synthesizer, {"label_map": each})[0].pixels for each in (drawn_map(), mirrored(drawn_map())))
    assert np.array_equal(image, other[:, ::-1])


def test_sampled_images_differ_by_seed_and_expected_ones_are_their_mean(synthesizer):
    def pixels(seed, rendering=Rendering.SAMPLED):
        return made(synthesizer, {"label_map": drawn_map()}, seed=seed, rendering=rendering)[0].pixels

    assert np.array_equal(pixels(1), pixels(1))
    assert not np.array_equal(pixels(1), pixels(2))
    assert np.array_equal(pixels(1, Rendering.EXPECTED), pixels(2, Rendering.EXPECTED))
    mean = np.mean([pixels(seed) for seed in range(100)], axis=0)
    far, near = (np.abs(each - mean).mean() for each in (pixels(1), pixels(1, Rendering.EXPECTED)))
    assert near < 0.3 * far


def test_parametric_breast_is_drawn_and_one_of_both_is_needed(synthesizer):
    breast = ParametricBreast(fibroglandular=Ellipse(x=0.2, y=0.5, a=0.1, b=0.2))
    image, labels = made(synthesizer, {"breast": breast.as_json()})
    assert image.pixels.shape == (512, 384)
    assert not labels.labels.any()
    with pytest.raises(MissingAttributeError, match="give one of them"):
        made(synthesizer, {})
