"""Draws the pictures of models/index.md: one phantom, one drawing, and what every released model makes of it.

Run: `.venv/bin/python -m docs.draw_models`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mammosynth.bundle import WEIGHTS, find_bundles, load_bundle
from mammosynth.phantom.clinic.pairs import phantom_pairs, phantom_view_pairs
from mammosynth.phantom.parameters import CaseParameters, Density
from mammosynth.task import Rendering
from mammosynth.tasks.mask.labels.draw import draw_label_map
from mammosynth.terms import ImageLaterality, ViewPosition

PICTURES = Path(__file__).parent / "pictures"
CASE = CaseParameters(25, density=Density.B, sides=(ImageLaterality.LEFT,), pixel_mm=0.4)
_HEIGHT, _TEXT = 360, 30

Tile = tuple[str, np.ndarray]


def main() -> None:
    """Write docs/pictures/models-*.png."""
    (cc,) = (pair for pair in phantom_pairs([CASE]) if pair.low_energy.view_position is ViewPosition.CC)
    (both,) = phantom_view_pairs([CASE])
    drawn = draw_label_map(seed=3, density="c", lesions=1, shape=(512, 400))
    contrast = [("source", cc.low_energy.pixels), ("phantom's own", cc.recombined)]
    view = [("source", both.cc.pixels), ("phantom's own", both.mlo.pixels)]
    _save("contrast", [*contrast, *_made("contrast", {"source": cc.low_energy})])
    _save("view", [*view, *_made("view", {"source": both.cc}, look="digital")])
    _save("mask", [("label map", drawn.labels / max(drawn.labels.max(), 1)), *_made("mask", {"label_map": drawn})])


def _made(task: str, inputs: dict[str, Any], **parameters: Any) -> list[Tile]:
    """An image of every rendering of every model of a task that has weights, with the parameters that it knows."""
    tiles = []
    for name, folder in find_bundles().items():
        if (folder / WEIGHTS).is_file() and (bundle := load_bundle(folder)).task.name == task:
            fields = bundle.synthesizer.parameters.model_fields
            known = {key: value for key, value in parameters.items() if key in fields}
            for rendering in sorted(bundle.renderings):
                made = bundle.synthesize(inputs, parameters=known, rendering=Rendering(rendering), seed=1)
                tiles.append((f"{name.split('_', 2)[2]}\n{rendering}", made.image.pixels))  # without breast_mg_
    return tiles


def _save(task: str, tiles: list[Tile]) -> None:
    pictures = []
    for title, pixels in tiles:
        shown = Image.fromarray(np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
        shown = shown.resize((round(shown.width * _HEIGHT / shown.height), _HEIGHT))
        right = np.flatnonzero((np.asarray(shown) > 24).any(axis=0))[-1] + 10  # chest wall left
        tile = Image.new("L", (max(right, 110), _HEIGHT + _TEXT))
        tile.paste(shown, (0, _TEXT))
        ImageDraw.Draw(tile).multiline_text((4, 2), title, fill=255)
        pictures.append(np.asarray(tile))
    sheet = np.concatenate(pictures, axis=1)
    Image.fromarray(sheet).save(PICTURES / f"models-{task}.png", optimize=True)


if __name__ == "__main__":
    main()
