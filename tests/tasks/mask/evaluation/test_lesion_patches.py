"""Squares around masses: where they are, what they hold, what they leave out."""

import numpy as np

from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.evaluation.lesion_patches import SIDE, cut_patches
from mammosynth.tasks.mask.evaluation.protocol import Shown

BENIGN, MALIGNANT = BreastClass.BENIGN_LESION, BreastClass.MALIGNANT_LESION


def shown(*masses: tuple[BreastClass, int, int]) -> Shown:
    """A breast of grey .4 to .6, with bright masses of 20 x 20 pixels whose corners are given."""
    labels = np.zeros((512, 320), np.uint8)
    labels[20:500, :300] = BreastClass.ADIPOSE
    pixels = np.random.default_rng(0).uniform(0.4, 0.6, labels.shape).astype(np.float32) * (labels > 0)
    for kind, top, left in masses:
        labels[top : top + 20, left : left + 20] = kind
        pixels[top : top + 20, left : left + 20] = 0.9
    return Shown(pixels, labels)


def test_every_mass_is_in_the_middle_of_a_square_of_its_class() -> None:
    patches = cut_patches([shown((BENIGN, 100, 100), (MALIGNANT, 300, 60))])
    assert patches.has_lesion.tolist() == [True, True, False]
    assert patches.is_malignant.tolist() == [False, True, False]
    middle = slice(SIDE // 2 - 5, SIDE // 2 + 5)  # 20 pixels of the frame are 10 of a square
    for lesion in patches.with_lesion().lesion[:, 0]:
        assert lesion[middle, middle].all()
        assert lesion.sum() == 100


def test_tissue_is_stretched_and_air_is_lowest() -> None:
    patches = cut_patches([shown((BENIGN, 20, 280))])
    image = patches.with_lesion().image[0, 0]
    assert (image.min(), image.max()) == (-1, 1)
    assert (image[:, -10:] == -1).all()  # beyond the skin


def test_squares_without_a_mass_are_far_from_any() -> None:
    patches = cut_patches([shown((BENIGN, 40, 10)) for _ in range(5)])
    free = patches.take(~patches.has_lesion)
    assert len(free) == 5
    assert not free.lesion.any()
    assert patches.case.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_calcifications_and_specks_are_no_masses() -> None:
    image = shown((BreastClass.CALCIFICATION, 100, 100))
    image.labels[300:307, 50:57] = BENIGN  # 49 pixels
    assert cut_patches([image]).has_lesion.tolist() == [False]
