"""`write_sheets`: a contact sheet, every image small with the outlines of its label map."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from mammosynth.atomic import write_bytes
from mammosynth.dicom.mark import MARK
from mammosynth.files import read_image, read_label_map
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.task import IMAGE, LABELS
from mammosynth.tasks.mask.classes import CLASSES, COLOURS, BreastClass

SHEETS = "sheets"
ACROSS, DOWN = 6, 4
_TILE = (340, 260)  # rows and columns of an image at most
_LINE, _GAP, _FONT_SIZE, _KEY_WIDTH = 18, 6, 13, 150
_PAPER, _PALE = (24, 24, 24), (200, 200, 200)
_QUALITY = 88
_FEW = 8
"""Pages that this process draws sooner than others start."""
_OUTLINED = [
    kind for kind in BreastClass if kind not in (BreastClass.BACKGROUND, BreastClass.ADIPOSE, BreastClass.SKIN)
]
"""Beside the breast itself."""


def write_sheets(folder: Path, records: Sequence[Mapping[str, Any]], *, engine: Engine) -> int:
    """Write the pages that are not there yet, 24 cases on each in their order, JPEG of about half a megabyte.

    Args:
        folder: Of the data set.
        records: Of its cases.
        engine: Where pages are drawn, if they are more than a few.

    Returns:
        How many pages.
    """
    size = ACROSS * DOWN
    pages = [records[start : start + size] for start in range(0, len(records), size)]
    missing = [page for page in enumerate(pages, start=1) if not _path(folder, page[0]).is_file()]
    chosen = engine if len(missing) > _FEW else LocalEngine(1)
    with closing(chosen.run(partial(_write_page, folder, len(pages)), missing)) as drawn:
        for _ in drawn:
            pass
    return len(pages)


def _write_page(folder: Path, total: int, page: tuple[int, Sequence[Mapping[str, Any]]]) -> None:
    number, records = page
    height, width = _TILE[0] + 2 * _LINE + _GAP, _TILE[1] + _GAP
    down = -(-len(records) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * width + _GAP, down * height + _LINE + 2 * _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=_FONT_SIZE)
    pen.text((_GAP, _GAP), f"{MARK}    {number} of {total}", fill="white", font=font)
    key = {"breast": BreastClass.SKIN, **{CLASSES[kind]: kind for kind in _OUTLINED}}
    for place, (name, kind) in enumerate(key.items()):
        pen.text((2 * _TILE[1] + place * _KEY_WIDTH, _GAP), name, fill=tuple(COLOURS[kind].tolist()), font=font)
    for index, record in enumerate(records):
        left, top = _GAP + index % ACROSS * width, _LINE + 2 * _GAP + index // ACROSS * height
        tile = _tile(folder, record["files"])
        sheet.paste(tile, (left + (_TILE[1] - tile.width) // 2, top))
        told = f"{record['image_laterality']} {record['view_position']}, {record['density']}, {record['look']}"
        pen.text((left, top + _TILE[0]), f"{record['number']}  {told}, {record['split']}", fill="white", font=font)
        pen.text((left, top + _TILE[0] + _LINE - 3), record["lesions"], fill=_PALE, font=font)
    with io.BytesIO() as content:
        sheet.save(content, "JPEG", quality=_QUALITY, subsampling=0, comment=MARK)
        write_bytes(_path(folder, number), content.getvalue())


def _path(folder: Path, number: int) -> Path:
    return folder / SHEETS / f"sheet-{number:03d}.jpg"


def _tile(folder: Path, files: Mapping[str, Mapping[str, str]]) -> Image.Image:
    image = read_image(folder / files[IMAGE]["name"], accept_generated=True)
    drawn = read_label_map(folder / files[LABELS]["name"], image=image, classes=CLASSES).labels
    scale = min(_TILE[0] / drawn.shape[0], _TILE[1] / drawn.shape[1])
    size = max(1, round(drawn.shape[1] * scale)), max(1, round(drawn.shape[0] * scale))
    grey = Image.fromarray(np.rint(image.pixels * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
    labels = np.asarray(Image.fromarray(drawn).resize(size, Image.Resampling.NEAREST))
    shown = np.repeat(np.asarray(grey)[..., None], 3, axis=-1)
    shown[_outline(labels > 0)] = COLOURS[BreastClass.SKIN]
    for kind in _OUTLINED:
        shown[_outline(labels == kind)] = COLOURS[kind]
    return Image.fromarray(shown)


def _outline(mask: np.ndarray) -> np.ndarray:
    """The pixels just outside, so that what is small stays to be seen."""
    return ndimage.binary_dilation(mask) & ~mask
