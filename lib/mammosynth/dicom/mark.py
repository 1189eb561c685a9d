"""The burned-in mark: words in the pixels, for everything that shows an image without its header."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mammosynth.mammogram import Mammogram

MARK = "SYNTHETIC - NOT FOR DIAGNOSIS"
_WIDTH_SHARE = 0.4  # of the image's width; larger marks reach into the breast of a usual view
_FONT_SIZE = 64  # drawn once at this size, then scaled: the glyphs of tiny images are unreadable, their box is not
_MARGIN = 12  # pixels around the text at that size
_LEAST_HEIGHT = 3  # frame, inside, frame
_INSET_SHARE = 0.01  # distance from the image's border, of its width
_ALIKE = 0.8  # correlation with the mark above which it is one; tissue and markers stay below 0.3
_LEAST_TOLD = 200  # pixels of a mark that can be told from tissue


def burn_in_mark(pixels: np.ndarray, source: Mammogram) -> np.ndarray:
    """The image with `MARK` in the corner where the source shows the least breast.

    White letters in a black box with a white frame, readable on air and on tissue alike.

    Args:
        pixels: (H, W) float32 in [0, 1].
        source: The image it was made from, which tells where the breast is.

    Returns:
        (H, W) float32, a new array.
    """
    width = pixels.shape[1]
    label, corners = _places(pixels.shape)
    lefts = corners[0][1].start, corners[1][1].start
    breast_on_left = source.pixels[:, : width // 2].mean() > source.pixels[:, width // 2 :].mean()
    nearer = lefts[0] if breast_on_left else lefts[1]

    def unsuitability(corner: tuple[slice, slice]) -> tuple[float, bool]:
        return round(float(source.pixels[corner].mean()), 2), corner[1].start == nearer

    emptiest = min(corners, key=unsuitability)  # the lower of equal ones: laterality markers sit in the upper one
    marked = pixels.astype(np.float32, copy=True)
    marked[emptiest] = label
    return marked


def has_burned_in_mark(pixels: np.ndarray) -> bool:
    """Whether an image carries the mark, whatever its format says: in any corner, in any window, also compressed.

    Args:
        pixels: (H, W) float32, in the matrix in which it was marked.
    """
    label, corners = _places((pixels.shape[0], pixels.shape[1]))
    return label.size >= _LEAST_TOLD and any(_correlation(pixels[corner], label) > _ALIKE for corner in corners)


def _correlation(values: np.ndarray, label: np.ndarray) -> float:
    if values.shape != label.shape or values.std() == 0:
        return 0.0
    return float(np.corrcoef(values.ravel(), label.ravel())[0, 1])


def _places(shape: tuple[int, ...]) -> tuple[np.ndarray, list[tuple[slice, slice]]]:
    """The mark for an image of that shape, and the corners where it may be, lower ones first, left before right."""
    height, width = shape
    label = _label(round(width * _WIDTH_SHARE), height)
    inset = round(width * _INSET_SHARE)
    tops = (max(height - label.shape[0] - inset, 0), min(inset, height - label.shape[0]))
    lefts = (inset, max(width - label.shape[1] - inset, 0))
    places = [(slice(top, top + label.shape[0]), slice(left, left + label.shape[1])) for top in tops for left in lefts]
    return label, places


def _label(width: int, height_limit: int) -> np.ndarray:
    """(h, w) float32 in [0, 1]: the framed mark at most `width` wide and `height_limit` high."""
    font = ImageFont.load_default(size=_FONT_SIZE)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(MARK))
    image = Image.new("L", (right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN))
    ImageDraw.Draw(image).text((_MARGIN - left, _MARGIN - top), MARK, fill=255, font=font)
    size = (max(width, 1), min(max(round(image.height * width / image.width), _LEAST_HEIGHT), height_limit))
    label = np.asarray(image.resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255
    frame = max(1, round(size[1] / 24))
    label[:frame], label[-frame:], label[:, :frame], label[:, -frame:] = 1.0, 1.0, 1.0, 1.0
    return label
