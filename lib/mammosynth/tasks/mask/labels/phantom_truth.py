"""What is where in a phantom's view, in the classes of a label map: the truth by which finding them is judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from mammosynth.phantom.clinic.case import PhantomView
from mammosynth.phantom.clinic.truth import Tissue, tissue_map
from mammosynth.phantom.parameters import LesionKind
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels.drawable import open_and_close
from mammosynth.tasks.mask.labels.from_image import BUMP_MM, with_lesions

GLAND_SHARE, MUSCLE_MM = 0.2, 3.0
"""Of the path on a ray, over 3 mm, from which on gland is seen (rays through more gland than fat are rare but in dense
breasts); and the muscle that is seen."""
_AVERAGED_MM, _NIPPLE_MM = 1.5, 12.0
_LESIONS = {
    LesionKind.CIRCUMSCRIBED: BreastClass.BENIGN_LESION,
    LesionKind.CALCIFICATIONS: BreastClass.CALCIFICATION,
}  # all others are malignant


def phantom_label_map(view: PhantomView) -> np.ndarray:
    """(H, W) uint8 of `BreastClass`, as it is: with texture, not smoothed to what a person could draw.

    Skin is what is longest on the ray, as in `tissue_map`; the nipple what juts out of the skin. Gland and muscle are
    what is seen of them.
    """
    paths = view.paths
    _, gland, _, muscle, _, _ = paths.material_lengths(with_lesions=False)
    sigma = _AVERAGED_MM / view.pixel_mm
    share = ndimage.gaussian_filter(gland, sigma) / np.maximum(ndimage.gaussian_filter(paths.thickness_mm, sigma), 1)
    tissue, breast = tissue_map(paths, with_lesions=False), paths.breast_mask
    labels = np.where(breast, BreastClass.ADIPOSE, BreastClass.BACKGROUND).astype(np.uint8)
    labels[breast & (share > GLAND_SHARE)] = BreastClass.FIBROGLANDULAR
    labels[breast & (muscle > MUSCLE_MM)] = BreastClass.PECTORAL_MUSCLE
    labels[tissue == Tissue.SKIN] = BreastClass.SKIN
    labels[_nipple(view)] = BreastClass.NIPPLE
    return with_lesions(labels, phantom_lesions(view))


def phantom_lesions(view: PhantomView) -> Mapping[BreastClass, np.ndarray]:
    """(H, W) bool for each class of lesion that the view shows."""
    found: dict[BreastClass, np.ndarray] = {}
    for lesion, mask in zip(view.paths.lesions, view.lesion_masks, strict=False):
        kind = _LESIONS.get(lesion.kind, BreastClass.MALIGNANT_LESION)
        found[kind] = found.get(kind, np.zeros_like(mask)) | mask
    return {kind: mask for kind, mask in found.items() if mask.any()}


def _nipple(view: PhantomView) -> np.ndarray:
    breast, (row, column) = view.paths.breast_mask, view.paths.nipple_px
    y, x = np.ogrid[: breast.shape[0], : breast.shape[1]]
    near = np.hypot(y - row, x - column) < _NIPPLE_MM / view.pixel_mm
    return near & breast & ~open_and_close(breast, BUMP_MM / view.pixel_mm)
