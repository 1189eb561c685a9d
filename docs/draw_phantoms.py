"""Draws the pictures of concepts/phantom.md: nothing but phantoms. Run: `.venv/bin/python -m docs.draw_phantoms`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mammosynth.phantom.clinic.case import PhantomView, project_breast, render_view
from mammosynth.phantom.parameters import (
    BreastParameters,
    Density,
    ImagingParameters,
    LesionKind,
    ParenchymalEnhancement,
    Vendor,
)
from mammosynth.terms import ImageLaterality, ViewPosition

PICTURES = Path(__file__).parent / "pictures"
_TILE = (216, 180)
_TEXT = 14


def main() -> None:
    """Write docs/pictures/phantom-*.png."""
    _save("phantom-densities.png", _densities())
    _save("phantom-twins.png", _twins())
    _save("phantom-detail.png", [_detail()])


def _densities() -> list[np.ndarray]:
    """A row per density: both views, low energy, recombined, tissue."""
    rows = []
    for seed, density in zip((40, 41, 43, 42), Density, strict=True):
        breast = BreastParameters(seed, density, (list(LesionKind)[seed % 4],))
        tiles = []
        for number, paths in enumerate(project_breast(breast, list(ViewPosition), 0.4)):
            imaging = ImagingParameters(seed=2 * seed + number)  # every exposure has noise of its own
            view = render_view(paths, imaging, ImageLaterality.LEFT, breast)
            name = f"{density} {view.view_position}, {100 * view.volumetric_density:.0f} % gland"
            tiles += [_tile(view.low_energy, name), _tile(view.recombined, "recombined"), _tile(_tissue(view), "truth")]
        rows.append(np.hstack(tiles))
    return rows


def _twins() -> list[np.ndarray]:
    """One breast, imaged in many ways."""
    breast = BreastParameters(57, Density.C, (LesionKind.SPICULATED,))
    (paths,) = project_breast(breast, [ViewPosition.CC], 0.4)
    base = ImagingParameters(seed=7)

    def view(**changes: object) -> PhantomView:
        return render_view(paths, replace(base, **changes), ImageLaterality.LEFT, breast)

    ladder = [_tile(view(parenchymal_enhancement=level).recombined, f"BPE {level}") for level in ParenchymalEnhancement]
    halos = [_tile(view(halo=halo).recombined, f"halo {halo:g}") for halo in (0.0, 0.5, 1.0)]
    lesions = [
        _tile(view(lesion_iodine=factor).recombined, f"lesion iodine x {factor:g}") for factor in (0.0, 0.5, 2.0)
    ]
    low = [
        _tile(view().low_energy, "low energy"),
        _tile(view(iodine_in_low_energy=False).low_energy, "... without iodine"),
        _tile(view(with_lesions=False).low_energy, "... without lesion"),
        _tile(view(vendor=Vendor.B).low_energy, "... vendor B"),
    ]
    return [np.hstack(tiles) for tiles in (low, ladder, [*halos, _tile(view(dose=0.2).recombined, "dose x 0.2")], [
        *lesions, _tile(view(with_lesions=False).recombined, "without lesion")])]  # fmt: skip


def _detail() -> np.ndarray:
    """A crop at 0.1 mm pixels."""
    breast = BreastParameters(3, Density.B, (LesionKind.CALCIFICATIONS,))
    (paths,) = project_breast(breast, [ViewPosition.CC], 0.1)
    view = render_view(paths, ImagingParameters(seed=3), ImageLaterality.LEFT, breast)
    row, column = (round(v) for v in paths.lesions[0].position_px)
    top, left = max(0, row - 350), max(0, column - 350)
    return _grey(view.low_energy[top : top + 700, left : left + 1000])


def _tissue(view: PhantomView) -> np.ndarray:
    """Glandular share, muscle and lesions in one image."""
    paths = view.paths
    share = np.divide(paths.gland_mm, paths.thickness_mm, out=np.zeros_like(paths.gland_mm), where=paths.breast_mask)
    image = 0.15 * paths.breast_mask + 0.5 * np.clip(share, 0, 1)
    image = np.where(paths.muscle_mm > 2, 0.35, image)
    return np.where(np.logical_or.reduce(view.lesion_masks), 1.0, image)


def _tile(image: np.ndarray, text: str) -> np.ndarray:
    height, width = _TILE
    scale = min(height / image.shape[0], width / image.shape[1])
    resized = Image.fromarray(_grey(image)).resize((round(image.shape[1] * scale), round(image.shape[0] * scale)))
    tile = Image.new("L", (width, height + _TEXT))
    tile.paste(resized, (0, _TEXT))
    ImageDraw.Draw(tile).text((3, 1), text, fill=200)
    return np.asarray(tile)


def _grey(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _save(name: str, rows: Sequence[np.ndarray]) -> None:
    Image.fromarray(np.vstack(rows)).save(PICTURES / name, optimize=True)


if __name__ == "__main__":
    main()
