"""A known scale and shift is found again, whatever the brightness and the crop."""

import csv

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mammosynth.preprocessing.registration import Registration, estimate_registration, gradient_correlation
from tests.support.breasts import half_ellipse
from tests.support.real_data import CDD_CESM

SIDE = 192


def breast_with_strands(seed: int = 0) -> np.ndarray:
    """(192, 192) float32 in [0, 1]: a breast with a skin line and texture of a few pixels' width."""
    noise = np.random.default_rng(seed).standard_normal((SIDE, SIDE))
    strands = ndimage.gaussian_filter(noise, 2.0)
    return (half_ellipse(SIDE, SIDE) * (0.5 + 0.3 * strands / np.abs(strands).max())).astype(np.float32)


def moved(image: np.ndarray, registration: Registration) -> np.ndarray:
    """The image from which `registration` makes the given one: by inversion of its definition."""
    back = Registration(
        1 / registration.scale, -registration.dy / registration.scale, -registration.dx / registration.scale
    )
    return back.apply(image, order=3)


def displacement(found: Registration, truth: Registration) -> float:
    """Largest distance in pixels between where both send the corners of the image."""
    corners = np.array([[0, 0], [0, SIDE], [SIDE, 0], [SIDE, SIDE]], float)
    places = [corners * one.scale + [one.dy, one.dx] for one in (found, truth)]
    return float(np.hypot(*(places[0] - places[1]).T).max())


def test_a_registration_takes_its_pixels_from_where_its_definition_says() -> None:
    image = np.zeros((64, 64), np.float32)
    image[10, 20] = 1
    registered = Registration(scale=2.0, dy=3.0, dx=-5.0).apply(image, order=0)
    assert registered[2 * 10 + 3, 2 * 20 - 5] == 1


@pytest.mark.parametrize(
    "truth",
    [
        Registration(1.0, 0.0, 0.0),
        Registration(1.0, 7.0, -4.0),
        Registration(1.03, -6.0, 3.5),
        Registration(0.95, 9.25, 6.0),
        Registration(1.08, -14.0, 0.0),
    ],
)
def test_known_scale_and_shift_are_found_to_a_fraction_of_a_pixel(truth: Registration) -> None:
    image = breast_with_strands()
    found, correlation = estimate_registration(image, moved(image, truth))
    assert displacement(found, truth) < 0.7
    assert correlation > 0.8


def test_inverted_strands_and_another_brightness_do_not_matter() -> None:
    image, truth = breast_with_strands(), Registration(1.02, 5.0, -3.0)
    recombined = np.where(image > 0, 0.2 + 0.5 * (0.8 - image), 0).astype(np.float32)
    found, _ = estimate_registration(image, moved(recombined, truth))
    assert displacement(found, truth) < 1.5


def test_the_edges_of_the_crops_are_not_taken_for_anatomy() -> None:
    image = breast_with_strands()
    boxes = {"fixed_box": (20, 10, 180, 160), "moving_box": (12, 4, 190, 150)}
    cropped = [np.zeros_like(image), np.zeros_like(image)]
    for crop, (top, left, bottom, right) in zip(cropped, boxes.values(), strict=True):
        crop[top:bottom, left:right] = image[top:bottom, left:right]
    found, _ = estimate_registration(cropped[0], cropped[1], **boxes)
    assert displacement(found, Registration(1.0, 0.0, 0.0)) < 0.3


@pytest.mark.slow
def test_the_same_images_give_the_same_registration() -> None:
    image = breast_with_strands()
    other = moved(image, Registration(1.01, 2.0, 3.0))
    assert estimate_registration(image, other) == estimate_registration(image, other)


@pytest.mark.slow
def test_two_different_breasts_correlate_less_than_two_images_of_one() -> None:
    image, truth = breast_with_strands(), Registration(1.0, 3.0, 2.0)
    _, same = estimate_registration(image, moved(image, truth))
    _, other = estimate_registration(image, moved(breast_with_strands(seed=1), truth))
    assert other < same - 0.05  # the outline is common, the strands are not


def test_an_image_without_an_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="no edges"):
        estimate_registration(breast_with_strands(), np.full((SIDE, SIDE), 0.5, np.float32))


def test_a_sliver_is_refused() -> None:
    image = breast_with_strands()
    with pytest.raises(ValueError, match="192 x 20 pixels, expected at least 32"):
        estimate_registration(image, image, fixed_box=(0, 0, SIDE, 20))


@pytest.mark.slow
@pytest.mark.skipif(not (CDD_CESM / "pairs.csv").is_file(), reason="needs CDD-CESM: set MAMMOSYNTH_CDD_CESM")
def test_real_pairs_are_registered_at_least_as_well_as_their_table_says() -> None:
    with (CDD_CESM / "pairs.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))[::10]
    gains, distances = [], []
    for row in rows:
        low_energy, recombined = (read_grey(row[kind]) for kind in ("low_energy", "recombined"))
        boxes = {"fixed_box": shown(low_energy), "moving_box": shown(recombined)}
        known = Registration(*(float(row[name]) for name in ("scale", "dy", "dx")))
        found, correlation = estimate_registration(low_energy, recombined, **boxes)
        gains.append(correlation - gradient_correlation(low_energy, recombined, known, **boxes))
        distances.append(abs(found.scale - known.scale) * 100 + np.hypot(*middle_shift(found, known)))
    assert min(gains) > -0.005
    assert np.mean(gains) > 0.02
    assert np.median(distances) < 3


def read_grey(name: str) -> np.ndarray:
    with Image.open(CDD_CESM / "512" / "images" / name) as image:
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def shown(image: np.ndarray) -> tuple[int, int, int, int]:
    """The box of what is brighter than JPEG's noise in the padding."""
    rows, columns = (np.flatnonzero((image > 6 / 255).sum(axis=axis) > 2) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def middle_shift(found: Registration, known: Registration) -> tuple[float, float]:
    """How far apart both send the middle of a 512 x 512 image, in pixels."""
    return tuple(256 * (found.scale - known.scale) + a - b for a, b in ((found.dy, known.dy), (found.dx, known.dx)))
