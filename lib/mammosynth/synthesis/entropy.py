"""`entropy_of`: what random numbers of a sampled image start from, so that images of one seed do not share them."""

from __future__ import annotations

import zlib

import numpy as np


def entropy_of(seed: int, pixels: np.ndarray) -> tuple[int, int]:
    """Entropy for `numpy.random.default_rng`: the seed, and the image that something is drawn for.

    With the bare seed all images of a set would be drawn with the same numbers, and so deviate alike.

    Args:
        seed: That was asked for.
        pixels: (H, W) of the source, without what is drawn on it: who moves a lesion keeps the rest of the sample.
    """
    return seed, zlib.crc32(np.ascontiguousarray(pixels).data)
