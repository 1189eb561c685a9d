"""The measure of the breast-in-breast artefact, on profiles and on a breast with a known band."""

import numpy as np
import pytest

from mammosynth.tasks.contrast.evaluation.halo import crest_prominence, halo, skin_profile
from tests.support.evaluation import phantom_case


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ([1.0, 2.0, 3.0, 4.0], 0.0),
        ([4.0, 3.0, 2.0, 1.0], 0.0),
        ([2.0, 2.0, 2.0], 0.0),
        # A crest of 5 between ground of 1 and 3 stands 2 above the lower side that bounds it.
        ([4.0, 1.0, 5.0, 3.0, 4.0], 2.0),
        # Bright skin does not matter.
        ([9.0, 1.0, 5.0, 0.0], 4.0),
    ],
)
def test_prominence_is_the_height_above_the_ground_on_both_sides(profile: list[float], expected: float) -> None:
    assert crest_prominence(np.array(profile)) == expected


def band(height: float) -> np.ndarray:
    """Shading that falls towards the chest wall, grain, and a bright band 60 px under the skin."""
    case = phantom_case()
    grain = np.random.default_rng(3).normal(0, 0.02, case.breast.shape)
    image = 0.5 - 0.001 * case.depth + height * np.exp(-(((case.depth - 60) / 15) ** 2)) + grain
    return (case.breast * image).astype(np.float32)


@pytest.mark.slow
def test_halo_grows_with_the_band_and_is_nothing_without() -> None:
    case = phantom_case()
    found = [halo(band(height), case) for height in (0.0, 0.06, 0.1, 0.2, 0.4)]
    assert found[0] < 0.05
    assert all(later > earlier + 0.1 for earlier, later in zip(found, found[1:], strict=False))


@pytest.mark.slow
def test_halo_does_not_depend_on_the_window() -> None:
    case = phantom_case()
    assert halo(0.5 * band(0.1) + 0.2, case) == pytest.approx(halo(band(0.1), case), rel=1e-3)


def test_flat_image_has_no_halo() -> None:
    assert halo(np.full((512, 512), 0.3, np.float32), phantom_case()) == 0


def test_profile_is_the_grey_at_each_depth_and_ignores_lesions() -> None:
    case = phantom_case(lesion_grey=1.0)
    depths, grey = skin_profile(np.where(case.lesion, 9.0, case.depth).astype(np.float32), case)
    np.testing.assert_allclose(grey[2:-2], depths[2:-2], atol=1)
    assert depths[0] == 14
