"""Draws the picture of docs/concepts/contrast.md: a phantom, and what the released model makes of it.

Run: `.venv/bin/python -m docs.draw_contrast`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.case import project_breast, render_view
from mammosynth.phantom.parameters import BreastParameters, Density, ImagingParameters, LesionKind
from mammosynth.task import Rendering
from mammosynth.terms import ImageLaterality, ViewPosition

PICTURE = Path(__file__).parent / "pictures" / "contrast-renderings.png"
PIXEL_MM = 0.4


def main() -> None:
    """Low energy, expected, and two samples."""
    breast = BreastParameters(57, Density.C, (LesionKind.SPICULATED,))
    (paths,) = project_breast(breast, [ViewPosition.CC], PIXEL_MM)
    view = render_view(paths, ImagingParameters(seed=7), ImageLaterality.LEFT, breast)
    source = Mammogram(view.low_energy, "phantom", view_position=ViewPosition.CC)
    bundle = load_bundle(default_bundle("contrast"))
    asked = ((Rendering.EXPECTED, 0), (Rendering.SAMPLED, 1), (Rendering.SAMPLED, 2))
    made = [bundle.synthesize({"source": source}, rendering=each, seed=seed).image.pixels for each, seed in asked]
    shown = np.flatnonzero((view.low_energy > 0).any(axis=0))[-1] + 8
    row = np.concatenate([image[:, :shown] for image in (view.low_energy, *made)], axis=1)
    Image.fromarray(np.round(255 * np.clip(row, 0, 1)).astype(np.uint8)).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
