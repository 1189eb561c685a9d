"""The phantom: what its views show, and that the same seed shows the same."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label, zoom

from mammosynth.phantom import Breast, PhantomView, generate_breast, project
from mammosynth.terms import ImageLaterality, ViewPosition

LEFT, RIGHT = ImageLaterality.LEFT, ImageLaterality.RIGHT
CC, MLO = ViewPosition.CC, ViewPosition.MLO


def view(seed: int = 1, position: ViewPosition = CC, side: ImageLaterality = LEFT, rows: int = 64) -> PhantomView:
    return project(generate_breast(seed), position, side, rows=rows)


@pytest.mark.parametrize("position", ViewPosition)
def test_a_view_is_a_display_image_on_black_air(position: ViewPosition) -> None:
    shown = view(position=position)
    for image in (shown.low_energy, shown.recombined):
        assert (image.dtype, image.shape) == (np.float32, (64, 53))
        assert 0 == image.min() < image.max() <= 1
    breast = shown.low_energy > 0
    assert label(breast)[1] == 1
    assert np.array_equal(breast, shown.recombined > 0)
    assert shown.pixel_spacing_mm[0] == pytest.approx(2294 * 0.094 / 64)


def test_the_same_seed_gives_the_same_breast_and_another_seed_another() -> None:
    assert generate_breast(5) == generate_breast(5)
    assert np.array_equal(view(5).low_energy, view(5).low_energy)
    assert not np.array_equal(view(5).low_energy, view(6).low_energy)


def test_a_right_breast_is_the_mirrored_left_one_with_its_chest_wall_on_the_right() -> None:
    left, right = view(side=LEFT), view(side=RIGHT)
    assert np.array_equal(right.low_energy, left.low_energy[:, ::-1])
    assert np.array_equal(right.lesion_mask, left.lesion_mask[:, ::-1])
    assert (right.low_energy[:, -1] > 0).sum() > 30
    assert (right.low_energy[:, 0] > 0).sum() == 0


def test_the_outline_is_not_symmetric() -> None:
    breast = view(rows=128).low_energy > 0
    nipple = breast[:, breast.any(0).nonzero()[0][-1]].nonzero()[0].mean()
    extent = breast[:, 0].nonzero()[0]
    assert abs((nipple - extent[0]) - (extent[-1] - nipple)) > 3


@pytest.mark.parametrize("seed", range(4))
def test_the_mass_lies_equally_deep_behind_the_nipple_in_both_views(seed: int) -> None:
    depths = []
    for position in ViewPosition:
        shown = view(seed, position, rows=256)
        nipple = (shown.low_energy > 0).any(0).nonzero()[0][-1]
        depths.append((nipple - shown.lesion_mask.nonzero()[1].mean()) * shown.pixel_spacing_mm[1])
    assert depths[0] == pytest.approx(depths[1], abs=2)


@pytest.mark.parametrize("position", ViewPosition)
@pytest.mark.parametrize("seed", range(4))
def test_the_mass_takes_up_contrast_in_both_views(seed: int, position: ViewPosition) -> None:
    shown = view(seed, position, rows=256)
    ring = binary_dilation(shown.lesion_mask, iterations=6) & ~shown.lesion_mask & (shown.low_energy > 0)
    assert shown.recombined[shown.lesion_mask].mean() > shown.recombined[ring].mean() + 0.1


def test_parenchyma_enhances_a_little_and_fat_does_not() -> None:
    breast = generate_breast(3)
    shown = project(breast, CC, LEFT, rows=256)
    without = project(_with(breast, parenchymal_enhancement=0.0), CC, LEFT, rows=256)
    gained = np.where(shown.lesion_mask, 0, shown.recombined - without.recombined)
    dense = shown.low_energy > 0.5
    assert 0.01 < gained[dense].mean() < 0.25
    assert gained[(shown.low_energy > 0) & (shown.low_energy < 0.2)].mean() < 0.25 * gained[dense].mean()


def test_only_the_mlo_view_shows_pectoral_muscle_in_its_upper_corner() -> None:
    corner = {position: view(1, position, rows=128).low_energy[:16, :10] for position in ViewPosition}
    assert corner[CC].mean() < 0.2
    assert corner[MLO].mean() > 0.4


def test_calcifications_are_the_brightest_specks() -> None:
    breast = generate_breast(3)
    difference = (
        project(breast, CC, LEFT, rows=1147).low_energy
        - project(_with(breast, calcifications=()), CC, LEFT, rows=1147).low_energy
    )
    assert difference.max() > 0.1
    assert 0 < (difference > 0.05).sum() < 400


def test_the_breast_looks_the_same_at_every_resolution() -> None:
    fine, coarse = view(2, MLO, rows=256).low_energy, view(2, MLO, rows=128).low_energy
    averaged = zoom(fine[:, :212], 0.5, order=1, grid_mode=True, mode="nearest")
    assert np.corrcoef(averaged.ravel(), coarse[:, :106].ravel())[0, 1] > 0.98


def test_texture_has_the_power_law_of_mammograms() -> None:
    """Slope of the radial power spectrum of 25.6 mm regions at 0.15 to 0.7 per mm; real ones have about 3.2."""
    slopes = []
    for seed in range(4):
        shown = view(seed, rows=1147)
        size = round(25.6 / shown.pixel_spacing_mm[0])
        ys, xs = (shown.low_energy > 0.4).nonzero()
        y, x = int(np.median(ys)) - size // 2, max(0, int(np.median(xs)) - size // 2)
        patch = shown.low_energy[y : y + size, x : x + size]
        window = np.hanning(size)[:, None] * np.hanning(size)[None, :]
        power = np.abs(np.fft.fft2((patch - patch.mean()) * window)) ** 2
        frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(size, shown.pixel_spacing_mm[0])]))
        band = (frequency > 0.15) & (frequency < 0.7)
        slopes.append(-np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0])
    assert 2.3 < np.mean(slopes) < 3.7


def test_too_few_rows_and_negative_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 32 or more"):
        view(rows=31)
    with pytest.raises(ValueError, match="expected 0 or more"):
        generate_breast(-1)


def test_the_phantom_loads_no_deep_learning() -> None:
    code = "import sys, mammosynth.phantom; sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _with(breast: Breast, **changes: object) -> Breast:
    return Breast(**{**vars(breast), **changes})  # type: ignore[arg-type]
