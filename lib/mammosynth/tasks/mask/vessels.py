"""`draw_vessels`: blood vessels, bright tubes that wind from the chest wall towards the nipple and branch."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from mammosynth.tasks.mask.drawing import Drawing

FEWEST, MOST = 3, 9
WIDTH, THINNEST = (2.0, 4.0), 0.8
"""In pixels of the frame at the chest wall; where a vessel ends."""
TAPER, STEP = 0.005, 4.0
"""Of the width lost in a pixel; pixels between turns."""
TURN, PULL, MEMORY = 0.07, 0.12, 0.7
"""Radians of a turn; share of the way back to the nipple's direction; share of a turn that goes on."""
BRANCH, BRANCH_TURN, BRANCH_WIDTH = 0.035, 0.5, 0.7
"""Chance of a branch at a turn, its angle in radians, its width as a share."""
FINER = 4
"""Pixels to one of the frame in which they are drawn."""


def draw_vessels(drawing: Drawing, random: np.random.Generator) -> np.ndarray:
    """(512, W) float32 in [0, 1]: how much of a vessel lies over each pixel.

    Args:
        drawing: The label map in the frame.
        random: Where they come from.
    """
    height, width = drawing.labels.shape
    canvas = Image.new("L", (width * FINER, height * FINER))
    pen = ImageDraw.Draw(canvas)
    rows = np.flatnonzero(drawing.breast[:, : width // 3].any(axis=1))
    for _ in range(int(random.integers(FEWEST, MOST + 1))):
        start = float(random.uniform(rows[0], rows[-1])), 0.0
        ends = drawing.nipple[0] + random.normal(0, 60), drawing.nipple[1] - abs(random.normal(0, 60))
        heading = float(np.arctan2(ends[0] - start[0], ends[1] - start[1]))
        _draw(pen, drawing, start, heading, float(random.uniform(*WIDTH)), float(random.uniform(0.4, 1)), random)
    return np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32) / 255


def _draw(
    pen: ImageDraw.ImageDraw,
    drawing: Drawing,
    place: tuple[float, float],
    heading: float,
    width: float,
    strength: float,
    random: np.random.Generator,
) -> None:
    """One vessel and its branches, until it is too thin or leaves the breast."""
    direction, turn = heading, 0.0
    height, columns = drawing.labels.shape
    while width > THINNEST:
        turn = MEMORY * turn + TURN * random.normal()
        direction += turn + PULL * (heading - direction)
        end = place[0] + STEP * float(np.sin(direction)), place[1] + STEP * float(np.cos(direction))
        if not (0 <= end[0] < height and 0 <= end[1] < columns):
            return
        line = [coordinate * FINER for row, column in (place, end) for coordinate in (column, row)]
        pen.line(line, fill=round(255 * strength), width=max(1, round(width * FINER)))
        if random.random() < BRANCH:
            aside = direction + BRANCH_TURN * random.choice([-1, 1])
            _draw(pen, drawing, end, aside, width * BRANCH_WIDTH, strength, random)
        place, width = end, width * (1 - TAPER * STEP)
