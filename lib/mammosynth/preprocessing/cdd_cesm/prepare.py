"""One exposure of the archive: its images checked, padded, reduced; regions filled; one registered on the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mammosynth.errors import DataError
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.cdd_cesm.names import ImageName
from mammosynth.preprocessing.cdd_cesm.regions import Region, fill_regions
from mammosynth.preprocessing.registration import (
    SCALES,
    Box,
    Registration,
    estimate_registration,
)
from mammosynth.problems import Problems

SIDE_PX = 512  # as in the folder layout `512/images`
SHORTEST_PX = 256  # chosen: the archive's images are 2355 x 1315 on average (Khaled et al. 2022); less is a preview
GREY_TOLERANCE = 12  # of 255, chosen: what JPEG's colour channels differ by in a grey image
WEAK_CORRELATION = 0.45  # chosen: of 259 pairs of CDD-CESM only P26 L CC, which is unusable, lies below
_RESAMPLING = Image.Resampling.BILINEAR  # Pillow's widens with the reduction, so it does not alias


@dataclass(frozen=True)
class Exposure:
    """What one pair is made of.

    Attributes:
        low_energy: Name and file.
        recombined: Name and file.
        low_energy_regions: Drawn on the low-energy image.
        recombined_regions: Drawn on the recombined image.
    """

    low_energy: tuple[ImageName, Path]
    recombined: tuple[ImageName, Path]
    low_energy_regions: Sequence[Region]
    recombined_regions: Sequence[Region]


@dataclass(frozen=True)
class Prepared:
    """What is said of an exposure once its images and masks are written.

    Attributes:
        exposure: Which one.
        measured: Columns `scale`, `dy`, `dx` and those that say how well the images agree.
        refused: Why the pair cannot be used; nothing of it was written.
        odd: What a person should look at.
    """

    exposure: Exposure
    measured: dict[str, str]
    refused: Sequence[str] = ()
    odd: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class _Square:
    pixels: np.ndarray  # (512, 512) uint8
    lesion: np.ndarray  # (512, 512) bool
    box: Box  # of the image within the padding
    odd: tuple[str, ...]

    @property
    def unit_range(self) -> np.ndarray:
        return self.pixels.astype(np.float32) / np.float32(255)


def prepare_exposure(exposure: Exposure, folder: Path) -> Prepared:
    """Write both images and masks of an exposure below `folder`, if both can be used.

    Args:
        exposure: Files and regions.
        folder: Holds the folders `512/images` and `512/masks`.
    """
    squares, problems = [], Problems()
    for (name, path), regions in (
        (exposure.low_energy, exposure.low_energy_regions),
        (exposure.recombined, exposure.recombined_regions),
    ):
        with problems.catching(DataError):
            squares.append(_read_square(name, path, regions))
    if problems:
        return Prepared(exposure, {}, tuple(problems))
    low_energy, recombined = squares
    for (name, _), square in zip((exposure.low_energy, exposure.recombined), squares, strict=True):
        Image.fromarray(square.pixels).save(folder / "512" / "images" / f"{name.stem}.png")
        Image.fromarray(square.lesion).save(folder / "512" / "masks" / f"{name.stem}.png")
    registration, correlation, odd = _register(low_energy, recombined)
    measured = _measure(low_energy, recombined, registration) | {"gradient_correlation": f"{correlation:.4f}"}
    return Prepared(exposure, measured, odd=[*low_energy.odd, *recombined.odd, *odd])


def _read_square(name: ImageName, path: Path, regions: Sequence[Region]) -> _Square:
    grey = _read_grey(path)
    try:
        lesion = fill_regions(regions, (grey.height, grey.width))
    except DataError as error:
        raise DataError(f"{name.stem}: {error}; repair its regions") from error
    odd = (f"{name.stem}: {len(regions)} regions, none within the image",) if regions and not lesion.any() else ()
    pixels, box = pad_and_reduce(grey)
    mask, _ = pad_and_reduce(Image.fromarray(np.where(lesion, np.uint8(255), np.uint8(0))))
    return _Square(pixels, mask > 127, box, odd)


def _read_grey(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in ("1", "L", "RGB", "RGBA", "P"):
                raise DataError(f"{path.name}: mode is {image.mode}, expected 8-bit grey; convert it")
            grey = image.convert("L")
            colours = None if image.mode == "L" else np.asarray(image.convert("RGB"), np.int16)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path.name}: cannot be read ({type(error).__name__}); fetch it again") from error
    if colours is not None and (spread := int(np.ptp(colours, axis=2).max())) > GREY_TOLERANCE:
        raise DataError(
            f"{path.name}: is coloured (channels differ by {spread} of 255), expected grey; export it again"
        )
    if min(grey.size) < SHORTEST_PX:
        raise DataError(
            f"{path.name}: is {grey.height} x {grey.width}, expected at least {SHORTEST_PX} each way; "
            "give the original, not a preview"
        )
    low, high = grey.getextrema()
    if low == high:
        raise DataError(f"{path.name}: every pixel is {low}, expected a breast; fetch it again")
    return grey


def pad_and_reduce(image: Image.Image) -> tuple[np.ndarray, Box]:
    """The image in the middle of a black square of 512 pixels.

    Args:
        image: Mode L, of any size.

    Returns:
        (512, 512) uint8, and (top, left, bottom, right) of the image in it; pixels at its border hold both.
    """
    side = max(image.size)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    square = Image.new("L", (side, side))
    square.paste(image, (left, top))
    unit = SIDE_PX / side
    edges = (top, left, top + image.height, left + image.width)
    box = (round(edges[0] * unit), round(edges[1] * unit), round(edges[2] * unit), round(edges[3] * unit))
    return np.asarray(square.resize((SIDE_PX, SIDE_PX), _RESAMPLING)), box


def _register(low_energy: _Square, recombined: _Square) -> tuple[Registration, float, list[str]]:
    try:
        found, correlation = estimate_registration(
            low_energy.unit_range, recombined.unit_range, fixed_box=low_energy.box, moving_box=recombined.box
        )
    except ValueError as error:
        return Registration(1.0, 0.0, 0.0), 0.0, [f"not registered: {error}; look at it before use"]
    if correlation < WEAK_CORRELATION or not SCALES[0] < found.scale < SCALES[-1]:
        reason = f"gradients correlate by {correlation:.2f} at scale {found.scale:.2f}"
        return Registration(1.0, 0.0, 0.0), correlation, [f"not registered: {reason}; look at it before use"]
    # Rounded as the table keeps it, so that what is measured is what is read.
    return Registration(round(found.scale, 4), round(found.dy, 2), round(found.dx, 2)), correlation, []


def _measure(low_energy: _Square, recombined: _Square, registration: Registration) -> dict[str, str]:
    breast, other = (segment_breast(image.unit_range, background=0.0) for image in (low_energy, recombined))
    registered = registration.apply(other, order=0) > 0.5
    values = {
        "breast_iou": (breast & other).sum() / max(1, (breast | other).sum()),
        "mask_dice": 2
        * (low_energy.lesion & recombined.lesion).sum()
        / max(1, low_energy.lesion.sum() + recombined.lesion.sum()),
        "ncc_raw": _pearson(low_energy.unit_range, recombined.unit_range),
        "ncc_reg": _pearson(low_energy.unit_range, registration.apply(recombined.unit_range, order=1)),
        "iou_reg": (breast & registered).sum() / max(1, (breast | registered).sum()),
    }
    written = {name: f"{float(value):.4f}" for name, value in values.items()}
    return written | {"scale": str(registration.scale), "dy": str(registration.dy), "dx": str(registration.dx)}


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / spread if spread > 0 else 0.0
