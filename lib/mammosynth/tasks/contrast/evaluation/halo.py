"""The halo of recombined images, a breast in the breast: a bright band that follows the skin at some depth.

Seen on real recombined images of CDD-CESM (training and validation): below the skin the grey falls to a trough at
10 to 20 mm, rises to a crest at 20 to 45 mm, and falls again towards the chest wall. The measure is the height of that
crest above the lower ground on either side of it, in standard deviations of the image, along the profile over skin
distance: the crest's prominence. An image whose profile only rises or only falls has 0.

Fibroglandular tissue at one depth makes a crest as well, in the low-energy image too: read the measure beside that
image's own. Lengths are pixels of the 512 px frame, about 0.5 mm each on CDD-CESM.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mammosynth.tasks.contrast.evaluation.protocol import LESION_MARGIN, Case

BIN = 4
"""Pixels of skin distance per step of the profile; chosen."""
DEPTHS = (12, 160)
"""Skin distances of the profile: under the bright line of the skin, and about 80 mm; chosen."""
FEWEST = 100
"""Pixels without which a step of the profile is not known; chosen."""


def skin_profile(pixels: np.ndarray, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """(S,) skin distances in pixels, and the (S,) median grey there of scored tissue far from lesions; S may be 0.

    Medians, because vessels and enhancing tissue are bright but few. Steps with too few pixels end the profile.
    """
    tissue = case.scored & (case.lesion_distance > LESION_MARGIN)
    steps = np.where(tissue, (case.depth - DEPTHS[0]) // BIN, -1).astype(int)
    edges = np.arange(DEPTHS[0], DEPTHS[1], BIN)
    known = np.array([(steps == step).sum() >= FEWEST for step in range(len(edges))])
    last = len(edges) if known.all() else int(np.argmin(known))
    if last == 0:
        return np.empty(0), np.empty(0)
    grey = ndimage.median(pixels, steps, np.arange(last))
    return edges[:last] + BIN / 2, ndimage.gaussian_filter1d(grey, 1.0, mode="nearest")


def crest_prominence(profile: np.ndarray) -> float:
    """Height of the highest crest of an (S,) profile above the lower ground on both sides; 0 if it is monotonic."""
    if profile.size < 3:
        return 0.0
    outside = np.minimum.accumulate(profile)
    inside = np.minimum.accumulate(profile[::-1])[::-1]
    return float((profile - np.maximum(outside, inside)).max())


def halo(pixels: np.ndarray, case: Case) -> float:
    """Prominence of the profile's crest in standard deviations of the scored tissue; NaN without a profile."""
    _, profile = skin_profile(pixels, case)
    if profile.size < 3:
        return float("nan")
    return crest_prominence(profile) / max(float(pixels[case.scored].std()), 1e-3)
