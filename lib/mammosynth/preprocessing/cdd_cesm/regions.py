"""Regions that radiologists drew with the VGG Image Annotator: read from its table, filled into a mask."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mammosynth.errors import DataError
from mammosynth.preprocessing.cdd_cesm.names import ImageName, parse_name

POINT_RADIUS_PX = 10  # chosen: about 1 mm in the original images (four points in all of the archive)
ELLIPSE_CORNERS = 180  # chosen: a chord is nowhere more than 0.02 % of the radius from the arc
COLUMNS = ("#filename", "region_shape_attributes")
Region = dict[str, Any]


def read_regions(table: Path) -> tuple[dict[ImageName, list[Region]], list[str]]:
    """The regions of each image, and what is wrong with rows that were left out.

    Args:
        table: CSV as the annotator exports it; rows of images without a region are skipped.

    Raises:
        DataError: If it is no such table.
    """
    regions: dict[ImageName, list[Region]] = {}
    problems = []
    with table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise DataError(f"{table.name}: columns {', '.join(missing)} are missing; expected {', '.join(COLUMNS)}")
        for row in reader:
            name = parse_name(row["#filename"])
            if name is None:
                problems.append(f"{table.name}, line {reader.line_num}: names no image: {row['#filename']!r}")
            elif text := (row["region_shape_attributes"] or "").strip().removeprefix("{}"):
                regions.setdefault(name, []).append(_parse(text))
    return regions, problems


def _parse(text: str) -> Region:
    """The region; what cannot be read stays as it is, to be refused together with its image."""
    try:
        region = json.loads(text)
    except json.JSONDecodeError:
        return {"name": text}
    return region if isinstance(region, dict) else {"name": text}


def fill_regions(regions: Sequence[Region], shape: tuple[int, int]) -> np.ndarray:
    """The union of regions.

    Polygons, polylines (closed: all of the archive's are outlines), ellipses, circles and rectangles are filled; a
    point becomes a disk of `POINT_RADIUS_PX`. What reaches beyond the image is cut.

    Args:
        regions: As the annotator describes them, in pixels, x to the right, y down.
        shape: (H, W) of the image.

    Returns:
        (H, W) bool.

    Raises:
        DataError: If a region is of an unknown shape or lacks a number; the message says which.
    """
    mask = Image.new("1", (shape[1], shape[0]))
    draw = ImageDraw.Draw(mask)
    for region in regions:
        draw.polygon(_outline(region), fill=1, outline=1)
    return np.array(mask)


def _outline(region: Region) -> list[tuple[float, float]]:
    kind = region.get("name")
    if kind not in _OUTLINES:
        raise DataError(f"region is {str(kind)[:40]!r}, expected one of {', '.join(_OUTLINES)}")
    try:
        corners = _OUTLINES[kind](region)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{kind} lacks or garbles {error}; expected the annotator's numbers") from error
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise DataError(f"{kind} has {len(corners)} corners, expected at least 3, finite")
    return corners


def _polygon(region: Region) -> list[tuple[float, float]]:
    xs, ys = region["all_points_x"], region["all_points_y"]
    return [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]


def _rectangle(region: Region) -> list[tuple[float, float]]:
    x, y, width, height = (float(region[key]) for key in ("x", "y", "width", "height"))
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def _ellipse(region: Region) -> list[tuple[float, float]]:
    turn = float(region.get("theta", 0))  # radians, clockwise on the screen; newer versions of the annotator write it
    return _arc(region, float(region["rx"]), float(region["ry"]), turn)


def _circle(region: Region) -> list[tuple[float, float]]:
    return _arc(region, float(region["r"]), float(region["r"]))


def _point(region: Region) -> list[tuple[float, float]]:
    return _arc(region, POINT_RADIUS_PX, POINT_RADIUS_PX)


def _arc(region: Region, rx: float, ry: float, turn: float = 0.0) -> list[tuple[float, float]]:
    x, y = float(region["cx"]), float(region["cy"])
    angles = [2 * math.pi * step / ELLIPSE_CORNERS for step in range(ELLIPSE_CORNERS)]
    along = [(rx * math.cos(angle), ry * math.sin(angle)) for angle in angles]
    return [
        (x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn)) for a, b in along
    ]


_OUTLINES: dict[str, Callable[[Region], list[tuple[float, float]]]] = {
    "polygon": _polygon,
    "polyline": _polygon,
    "ellipse": _ellipse,
    "circle": _circle,
    "rect": _rectangle,
    "point": _point,
}
