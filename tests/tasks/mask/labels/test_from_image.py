"""What is found in a mammogram: on images whose every part is known, on phantoms, on real ones."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mammosynth.errors import UnsupportedImageError
from mammosynth.files import read_image
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.parameters import CaseParameters, Density
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.drawable import drawable, is_drawable
from mammosynth.tasks.mask.labels.from_image import enlarged, label_map_of, with_lesions
from mammosynth.tasks.mask.labels.phantom_truth import phantom_label_map, phantom_lesions
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.real_data import CDD_CESM

HEIGHT, WIDTH, PIXEL_MM = 256, 160, 1.0
LEAST_DICE = {
    BreastClass.ADIPOSE: 0.6,
    BreastClass.FIBROGLANDULAR: 0.6,
    BreastClass.SKIN: 0.5,
    BreastClass.PECTORAL_MUSCLE: 0.8,
    BreastClass.NIPPLE: 0.5,
    BreastClass.MALIGNANT_LESION: 1.0,
}
"""Of the mean over some phantoms; `benchmarks/label_maps.py` has more of them."""


def simple_breast(view: ViewPosition = ViewPosition.MLO) -> Mammogram:
    """Fat, a disk of gland, a triangle of muscle, a nipple in profile."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    reach = np.hypot((y - 128) / 125, x / 120)
    pixels = np.where(reach < 1, 0.2, 0.0)
    pixels[np.hypot(y - 150, x - 55) < 30] = 0.6
    if view is ViewPosition.MLO:
        pixels[(reach < 1) & (y * 60 + x * 150 < 60 * 150)] = 0.8
    pixels[np.hypot(y - 128, x - 121) < 6] = 0.4
    pixels += np.random.default_rng(1).normal(0, 0.01, pixels.shape) * (pixels > 0)
    smooth = ndimage.gaussian_filter(pixels, 0.7).astype(np.float32)
    return Mammogram(np.clip(smooth, 0, 1), "simple", view, ImageLaterality.LEFT, (PIXEL_MM, PIXEL_MM))


def test_every_part_is_found_where_it_is() -> None:
    labels = label_map_of(simple_breast()).labels
    assert labels[150, 55] == BreastClass.FIBROGLANDULAR
    assert labels[20, 5] == BreastClass.PECTORAL_MUSCLE
    assert labels[200, 40] == BreastClass.ADIPOSE
    assert labels[128, 126] == BreastClass.NIPPLE
    assert labels[128, 150] == BreastClass.BACKGROUND
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disk = np.hypot(y - 150, x - 55) < 30
    found = labels == BreastClass.FIBROGLANDULAR
    assert 2 * (found & disk).sum() / (found.sum() + disk.sum()) > 0.9
    skin = labels == BreastClass.SKIN
    assert skin.any()
    assert not skin[:, :20][30:220].any()  # the chest wall has none


def test_a_mirrored_image_gives_the_mirrored_map() -> None:
    image = simple_breast()
    mirrored = image.with_pixels(np.ascontiguousarray(image.pixels[:, ::-1]))
    assert (label_map_of(mirrored).labels == label_map_of(image).labels[:, ::-1]).all()


def test_no_muscle_is_looked_for_in_cc() -> None:
    labels = label_map_of(simple_breast(ViewPosition.CC)).labels
    assert not (labels == BreastClass.PECTORAL_MUSCLE).any()


def test_the_map_is_drawable_and_has_the_images_matrix_and_words() -> None:
    image = simple_breast()
    found = label_map_of(image)
    assert found.labels.shape == image.pixels.shape
    assert (found.view_position, found.image_laterality, found.pixel_spacing_mm) == ("MLO", "L", (1.0, 1.0))
    assert (drawable(found.labels, PIXEL_MM) == found.labels).all()


@pytest.mark.slow
def test_a_larger_image_gives_the_same_map_with_smooth_outlines() -> None:
    image = simple_breast()
    pixels = np.asarray(Image.fromarray(image.pixels).resize((WIDTH * 5, HEIGHT * 5), Image.Resampling.BICUBIC))
    large = Mammogram(np.clip(pixels, 0, 1), "large", image.view_position, None, (0.2, 0.2))
    found = label_map_of(large)
    assert is_drawable(found)
    small = label_map_of(image).labels
    assert (found.labels[2::5, 2::5] == small).mean() > 0.96


def test_lesions_are_kept_as_drawn_and_calcifications_lie_on_top() -> None:
    image, mask, spot = simple_breast(), np.zeros((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)
    mask[140:150, 40:50] = True
    spot[145, 45] = True
    labels = label_map_of(image, {BreastClass.CALCIFICATION: spot, BreastClass.BENIGN_LESION: mask}).labels
    assert ((labels == BreastClass.CALCIFICATION) == spot).all()
    assert ((labels == BreastClass.BENIGN_LESION) == mask & ~spot).all()


def test_a_lesion_reaches_no_farther_than_the_breast_and_has_its_shape() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[:, :4] = BreastClass.ADIPOSE
    drawn = with_lesions(labels, {BreastClass.MALIGNANT_LESION: np.ones((8, 8), bool)})
    assert (drawn[:, :4] == BreastClass.MALIGNANT_LESION).all()
    assert not drawn[:, 4:].any()
    with pytest.raises(ValueError, match="expected a lesion on"):
        with_lesions(labels, {BreastClass.SKIN: np.ones((8, 8), bool)})


def test_an_image_of_air_is_refused() -> None:
    with pytest.raises(UnsupportedImageError, match="dark: no breast was found"):
        label_map_of(Mammogram(np.zeros((64, 64), np.float32), "dark"))


def test_enlarging_keeps_shared_outlines_together() -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[:, :24] = BreastClass.SKIN
    labels[:, :20] = BreastClass.ADIPOSE
    labels[8:24, 4:14] = BreastClass.FIBROGLANDULAR
    large = enlarged(labels, (128, 128))
    assert (large[2::4, 2::4] == labels).mean() > 0.98
    assert not (large[:, : 23 * 4] == BreastClass.BACKGROUND).any()


@pytest.mark.slow
def test_every_class_is_found_on_phantoms() -> None:
    scores: dict[BreastClass, list[float]] = {}
    for seed, density in ((201, Density.C), (205, Density.B), (206, Density.D)):
        for view in generate_case(CaseParameters(seed, density=density, sides=(ImageLaterality.LEFT,), pixel_mm=0.5)):
            image = Mammogram(view.low_energy, "phantom", view.view_position, None, (0.5, 0.5))
            found, truth = label_map_of(image, phantom_lesions(view)).labels, phantom_label_map(view)
            for kind in LEAST_DICE:
                a, b = found == kind, truth == kind
                least = 40 if kind is BreastClass.NIPPLE else 0.03 * (truth > 0).sum() if kind <= 4 else 0
                if b.sum() > least:
                    scores.setdefault(kind, []).append(float(2 * (a & b).sum() / (a.sum() + b.sum())))
    means = {kind: np.mean(values) for kind, values in scores.items()}
    assert set(means) == set(LEAST_DICE)
    assert all(means[kind] >= least for kind, least in LEAST_DICE.items()), means


@pytest.mark.slow
@pytest.mark.skipif(not CDD_CESM.is_dir(), reason=f"no real data in {CDD_CESM.name}; set MAMMOSYNTH_CDD_CESM")
def test_the_breast_agrees_with_the_protocols_on_real_images() -> None:
    with (CDD_CESM / "pairs.csv").open() as table:
        names = [row["low_energy"] for row in csv.DictReader(table) if row["split"] == "val"]
    for name in names[:12]:
        image = read_image(Path(CDD_CESM / "512" / "images" / name))
        found = label_map_of(image)
        breast, drawn = protocol_breast(image.pixels), found.labels > 0
        assert (breast & drawn).sum() / (breast | drawn).sum() > 0.97, name
        assert (drawable(found.labels, 0.5) == found.labels).all(), name


def protocol_breast(pixels: np.ndarray) -> np.ndarray:
    """As generated images are judged: 4/255 after smoothing over 2 pixels, opened, the largest piece, filled."""
    mask = ndimage.binary_opening(ndimage.gaussian_filter(pixels, 2) > 4 / 255, iterations=2)
    pieces, count = ndimage.label(mask)
    return ndimage.binary_fill_holes(pieces == 1 + np.argmax(ndimage.sum(mask, pieces, range(1, count + 1))))
