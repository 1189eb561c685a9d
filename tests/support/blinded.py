"""Small studies that are blinded, of images made in code whose arms differ in all that blinding takes away."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import ndimage

from mammosynth.mammogram import Mammogram
from mammosynth.reading.protocol import Protocol
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.studies import protocol

ROWS, COLUMNS = 256, 208
RULE: dict[str, Any] = {"rows": ROWS, "columns": COLUMNS, "border": 4, "outline": 4.0, "edge": 3, "fade": 3}
_BEYOND = 8  # columns that the breast goes on beyond the image, so that nothing there depends on the image's border
CLINICAL, SYNTHESIZED = "clinical", "synthesized"


def tissue(seed: int, rows: int = 320, columns: int = 240, beyond: int = 0) -> np.ndarray:
    """(rows, beyond + columns) float32: a breast, another for each seed, from beyond its chest wall; air is 0."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, -_BEYOND:columns].astype(np.float32)
    height, width = random.uniform(0.36, 0.44), random.uniform(0.55, 0.8)
    depth = 1 - ((y - rows / 2) / (height * rows)) ** 2 - (x / (width * columns)) ** 2
    texture = ndimage.gaussian_filter(random.standard_normal(x.shape), 0.02 * rows)
    shown = 0.45 + 0.1 * texture / texture.std() + 0.1 * np.clip(depth, 0, 1)
    return (np.clip(depth * 12, 0, 1) * shown).astype(np.float32)[:, _BEYOND - beyond :]


def acquired(seed: int, rows: int = 320, columns: int = 240) -> np.ndarray:
    """A breast as a detector gives it: fine grain, air that is not empty, a marker, 4096 levels of grey."""
    random = np.random.default_rng(seed + 10_000)
    pixels = tissue(seed, rows, columns) + 0.01 * random.standard_normal((rows, columns)) + 0.02
    pixels[10:20, columns - 40 : columns - 10] = 1
    return (np.rint(np.clip(pixels, 0, 1) * 4095) / 4095).astype(np.float32)


def generated(seed: int, rows: int = 320, columns: int = 240) -> np.ndarray:
    """A breast as a network gives it: smooth, made at half the size, empty air, 256 levels of grey."""
    small = ndimage.zoom(tissue(seed, rows // 2, columns // 2, _BEYOND), 2, order=1)[:, 2 * _BEYOND :]
    return (np.rint(np.clip(small, 0, 1) * 255) / 255).astype(np.float32)


@cache
def read(source: str) -> Mammogram:
    """The image of a name as `tests.support.studies.case` gives it: patient P7 in an arm, right breasts mirrored."""
    patient, arm = source.split(" ")
    make = acquired if arm == CLINICAL else generated
    number = int("".join(letter for letter in patient if letter.isdigit()))
    pixels = make(2 * number + (arm == CLINICAL))[:, ::-1]
    return Mammogram(np.ascontiguousarray(pixels), source, ViewPosition.CC, ImageLaterality.RIGHT)


def blinded_protocol(**changes: Any) -> Protocol:
    """The small study with a rule for small copies."""
    return protocol(**{"blinding": RULE, **changes})
