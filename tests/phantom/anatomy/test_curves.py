import numpy as np
import pytest

from mammosynth.phantom.anatomy.curves import Curves, draw_specks, draw_tubes, walk


def to_pixels(pixel_mm: float):
    return lambda points: (points[:, :2] / pixel_mm, np.ones(len(points)))


def straight(radius_mm: float, end: tuple[float, float, float], steps: int = 20) -> Curves:
    points = np.linspace((4.0, 3.0, 0.0), end, steps)[None]
    return Curves(points, np.full((1, steps), radius_mm))


@pytest.mark.parametrize("radius_mm", [0.05, 0.2, 1.0, 2.5])
@pytest.mark.parametrize("pixel_mm", [0.1, 0.4])
def test_a_tube_keeps_its_volume_at_every_pixel_size(radius_mm, pixel_mm):
    shape = (round(12 / pixel_mm), round(24 / pixel_mm))
    drawn = draw_tubes(shape, straight(radius_mm, (7.0, 20.0, 0.0)), to_pixels(pixel_mm), pixel_mm)
    length_mm = np.hypot(3, 17)
    assert drawn.sum() * pixel_mm**2 == pytest.approx(np.pi * radius_mm**2 * length_mm, rel=0.01)


def test_the_chord_through_the_middle_of_a_tube_is_its_diameter():
    drawn = draw_tubes((120, 240), straight(1.0, (4.0, 20.0, 0.0)), to_pixels(0.1), 0.1)
    assert drawn[40, 80:160].mean() == pytest.approx(2.0, rel=0.03)


def test_a_tube_at_45_degrees_to_the_detector_has_longer_chords():
    drawn = draw_tubes((120, 240), straight(1.0, (4.0, 20.0, 17.0)), to_pixels(0.1), 0.1)
    assert drawn[40, 80:160].mean() == pytest.approx(2.0 * np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("radius_mm", [0.05, 0.15, 0.8])
def test_a_sphere_keeps_its_volume(radius_mm):
    drawn = draw_specks((60, 60), np.array([[30.3, 29.6]]), np.array([radius_mm]), 0.1)
    assert drawn.sum() * 0.1**2 == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=1e-3)


def test_what_lies_outside_the_detector_is_not_drawn():
    assert draw_specks((20, 20), np.array([[-50.0, 10.0]]), np.array([0.3]), 0.1).sum() == 0
    assert draw_specks((20, 20), np.zeros((0, 2)), np.zeros(0), 0.1).sum() == 0


def test_a_walk_starts_at_its_start_and_ends_near_its_target():
    starts, targets = np.zeros((5, 3)), np.tile((30.0, 0.0, 10.0), (5, 1))
    radii = (np.full(5, 1.0), np.full(5, 0.2))
    grown = walk(
        np.random.default_rng(0), starts, targets, steps=40, wiggle=0.05, radii_mm=radii, keep_inside=lambda p: p
    )
    assert grown.points_mm.shape == (5, 41, 3)
    assert (grown.points_mm[:, 0] == 0).all()
    assert np.linalg.norm(grown.points_mm[:, -1] - targets, axis=1).max() < 6
    assert grown.radius_mm[:, [0, -1]].tolist() == [[1.0, 0.2]] * 5
