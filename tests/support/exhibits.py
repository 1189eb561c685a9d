"""Copies as an attacker holds them, and leaks to plant in them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from scipy import ndimage

from mammosynth.preprocessing.breast import segment_breast
from mammosynth.reading.blinding.attack import Exhibit
from mammosynth.reading.blinding.header import BlindedUids, blinded_header
from mammosynth.reading.blinding.pixels import blinded_pixels
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.blinded import CLINICAL, RULE, SYNTHESIZED, read

SMALL_RULE = BlindingRule(**RULE, detail=0.2)
COUNT = 24


@cache
def exhibits() -> tuple[list[Exhibit], list[Exhibit]]:
    """Two arms of as many patients, acquired and generated, blinded; the order of all is random."""
    order = iter(np.random.default_rng(0).permutation(2 * COUNT).tolist())
    names = iter(
        np.random.default_rng(1).bytes(16 * 2 * COUNT).hex()[start : start + 32] for start in range(0, 10**6, 32)
    )
    first, second = (
        [exhibit(f"P{number}", arm, next(names), next(order)) for number in range(COUNT)]
        for arm in (CLINICAL, SYNTHESIZED)
    )
    return first, second


def exhibit(patient: str, arm: str, name: str, order: int) -> Exhibit:
    """One copy, in a file of that name, made as that of all."""
    uids = BlindedUids(bytes(32), "attack", 1, order + 1)
    pixels, _ = blinded_pixels(read(f"{patient} {arm}"), SMALL_RULE, order)
    header = blinded_header(uids, 1, SMALL_RULE, ImageLaterality.RIGHT, ViewPosition.CC)
    return Exhibit(patient, header, pixels, pixels.nbytes, name, 946_684_800.0, order)


def _with_element(keyword: str, value: object) -> Callable[[Exhibit], Exhibit]:
    def plant(exhibit: Exhibit) -> Exhibit:
        header = copy.deepcopy(exhibit.header)
        setattr(header, keyword, value)
        return replace(exhibit, header=header)

    return plant


def _private(exhibit: Exhibit) -> Exhibit:
    header = copy.deepcopy(exhibit.header)
    header.private_block(0x0099, "SOMEBODY", create=True).add_new(1, "LO", "model")
    return replace(exhibit, header=header)


def _with_uid(change: Callable[[str, Exhibit], str]) -> Callable[[Exhibit], Exhibit]:
    def plant(exhibit: Exhibit) -> Exhibit:
        return _with_element("SOPInstanceUID", change(str(exhibit.header.SOPInstanceUID), exhibit))(exhibit)

    return plant


def _pixels(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Callable[[Exhibit], Exhibit]:
    def plant(exhibit: Exhibit) -> Exhibit:
        changed = change(exhibit.pixels.astype(float), np.random.default_rng(exhibit.order))
        return replace(exhibit, pixels=np.clip(np.rint(changed), 0, 4095).astype(np.uint16))

    return plant


def _breast(pixels: np.ndarray) -> np.ndarray:
    return segment_breast((pixels / 4095).astype(np.float32))


def _frame(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    pixels[:, :2] += 20
    return pixels


def _dark_line_at_the_wall(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    pixels[:, -1] *= 0.9
    return pixels


def _grainy_air(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    far = ~ndimage.binary_dilation(_breast(pixels), iterations=12)
    return pixels + far * random.normal(0, 4, pixels.shape)


def _brighter_air(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return pixels + 3 * ~ndimage.binary_dilation(_breast(pixels), iterations=12)


def _steps(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.rint(pixels / 12) * 12


def _grain(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return pixels + _breast(pixels) * random.normal(0, 4, pixels.shape)


def _enlarged(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    large = ndimage.zoom(pixels[::2, ::2], 2, order=1)
    return large + random.normal(0, 2, large.shape)


def _hard_edge(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    return np.where(ndimage.binary_erosion(_breast(pixels), iterations=6, border_value=1), pixels, pixels.min())


def _ragged_edge(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Bites of two pixels from the outline."""
    breast = _breast(pixels)
    rim = breast & ~ndimage.binary_erosion(breast, iterations=2, border_value=1)
    bites = ndimage.zoom(random.random((pixels.shape[0] // 2, pixels.shape[1] // 2)) < 0.3, 2, order=0)
    return np.where(rim & bites, pixels.min(), pixels)


def _black_fat(pixels: np.ndarray, _: np.random.Generator) -> np.ndarray:
    tissue = ndimage.binary_erosion(_breast(pixels), iterations=14)
    return np.where(tissue & (pixels < np.percentile(pixels[tissue], 2)), 0, pixels)


PLANTED: dict[str, tuple[str, Callable[[Exhibit], Exhibit]]] = {
    "another maker": ("header", _with_element("Manufacturer", "GE")),
    "a further element": ("header", _with_element("ImageComments", "")),
    "a private element": ("header", _private),
    "another slope": ("header", _with_element("RescaleSlope", "1.0")),
    "UIDs under another root": ("UIDs", _with_uid(lambda uid, _: f"1.2.{uid}")),
    "shorter UIDs": ("UIDs", _with_uid(lambda uid, _: uid[:-1])),
    "smaller UIDs": ("UIDs", _with_uid(lambda uid, _: f"2.25.1{uid[6:]}")),
    "UIDs of fewer digits": ("UIDs", _with_uid(lambda uid, _: "2.25." + uid[5:].replace("7", "1").replace("9", "1"))),
    "two more bytes": ("size in bytes", lambda exhibit: replace(exhibit, size=exhibit.size + 2)),
    "names by arm": ("names and times of files", lambda exhibit: replace(exhibit, file=f"s{exhibit.file}")),
    "later files": ("names and times of files", lambda exhibit: replace(exhibit, modified=exhibit.modified + 1)),
    "one arm after the other": ("order", lambda exhibit: replace(exhibit, order=exhibit.order + 2 * COUNT)),
    "a frame": ("border pixels", _pixels(_frame)),
    "a dark line at the chest wall": ("border pixels", _pixels(_dark_line_at_the_wall)),
    "more noise in the air": ("outside the breast", _pixels(_grainy_air)),
    "brighter air": ("outside the breast", _pixels(_brighter_air)),
    "even values only": ("bit depth", _pixels(lambda pixels, _: pixels // 2 * 2)),
    "another bit depth": ("bit depth", lambda exhibit: replace(exhibit, pixels=exhibit.pixels * 16)),
    "steps of grey": ("histogram comb", _pixels(_steps)),
    "more noise in the breast": ("noise floor", _pixels(_grain)),
    "less noise in the breast": ("noise floor", _pixels(lambda pixels, _: ndimage.gaussian_filter(pixels, 0.5))),
    "enlarged pixels": ("resampling", _pixels(_enlarged)),
    "a hard edge": ("edge of the breast", _pixels(_hard_edge)),
    "a ragged edge": ("edge of the breast", _pixels(_ragged_edge)),
    "black fat": ("clipping", _pixels(_black_fat)),
}
"""By what is planted: the kind of leak that it is, and a copy with it."""
