"""Pictures of an evaluation: what a page and a model card show of each case.

Images are shown as stored, MONOCHROME2, grey 0 to 1 from black to white, the same for real and generated: nothing is
windowed, clipped or scaled by its own range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib import colormaps
from scipy import ndimage

from mammosynth.evaluation.evaluation import MODEL
from mammosynth.tasks.contrast.evaluation.evaluate import REAL, SOURCE
from mammosynth.tasks.contrast.evaluation.halo import skin_profile
from mammosynth.tasks.contrast.evaluation.protocol import Case

MARGIN = 8
"""Pixels kept around the breast's box."""
DIFFERENCE = 0.5
"""Grey difference at the ends of the difference's colours; larger ones are shown as this."""
GREY_BINS = 64
OUTLINE = (255, 196, 0)
UNSCORED = 70
"""Grey of what is not scored in a difference."""
_COLOURS = "berlin"


@dataclass(frozen=True, eq=False)
class Picture:
    """One case, cropped to the breast, in the orientation in which it is stored.

    Attributes:
        name: The low-energy image's.
        low_energy: (H, W) uint8.
        real: (H, W) uint8, the registered recombined image.
        generated: Per model, (H, W) uint8.
        lesion: (H, W) bool.
        scored: (H, W) bool, where differences are scored.
    """

    name: str
    low_energy: np.ndarray
    real: np.ndarray
    generated: Mapping[str, np.ndarray]
    lesion: np.ndarray
    scored: np.ndarray


@dataclass(eq=False)
class Pictures:
    """Collects, while an evaluation runs, what is drawn of it: `evaluate_contrast(..., watch=pictures.add)`.

    Attributes:
        models: Keys of the models to keep.
        cases: In the order in which they were scored.
        profiles: Per method and case, skin distances and grey there.
        greys: Per model, counts of (generated, real) grey over the scored pixels of all cases.
    """

    models: Sequence[str]
    cases: list[Picture] = field(default_factory=list)
    profiles: dict[str, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)
    greys: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, case: Case, images: Mapping[str, np.ndarray]) -> None:
        """Keep one case."""
        rows, columns = np.flatnonzero(case.breast.any(axis=1)), np.flatnonzero(case.breast.any(axis=0))
        box = (
            slice(max(rows[0] - MARGIN, 0), rows[-1] + 1 + MARGIN),
            slice(max(columns[0] - MARGIN, 0), columns[-1] + 1 + MARGIN),
        )

        def show(image: np.ndarray) -> np.ndarray:
            return case.turn(image[box])

        def grey(image: np.ndarray) -> np.ndarray:
            return show(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))

        self.cases.append(
            Picture(
                case.name,
                grey(case.low_energy),
                grey(images[REAL]),
                {model: grey(images[model]) for model in self.models},
                show(case.lesion),
                show(case.scored),
            )
        )
        for name in (*self.models, SOURCE, REAL):
            self.profiles.setdefault(name, []).append(skin_profile(np.clip(images[name], 0, 1), case))
        for model in self.models:
            counts, *_ = np.histogram2d(
                np.clip(images[model][case.scored], 0, 1),
                images[REAL][case.scored],
                bins=GREY_BINS,
                range=((0, 1), (0, 1)),
            )
            self.greys[model] = self.greys.get(model, 0) + counts


def worst_cases(report: Mapping[str, Any], count: int = 5) -> list[int]:
    """Positions of the cases with the lowest lesion AUROC, worst first; cases without a lesion are left out."""
    scores = [case["scores"][MODEL]["auroc_lesion"] for case in report["cases"]]
    known = [index for index, score in enumerate(scores) if score is not None]
    return sorted(known, key=lambda index: scores[index])[:count]


def outline(lesion: np.ndarray) -> np.ndarray:
    """A transparent picture of twice the size with a line around the lesions, to be laid over any image of the case."""
    large = np.kron(lesion, np.ones((2, 2), bool))
    line = ndimage.binary_dilation(large, iterations=2) & ~large
    pixels = np.zeros((*large.shape, 4), np.uint8)
    pixels[line] = (*OUTLINE, 255)
    return pixels


def difference(picture: Picture, model: str) -> np.ndarray:
    """Generated minus real where it is scored: red is too bright, blue too dark, black is equal; grey is not scored."""
    error = (picture.generated[model].astype(np.float32) - picture.real) / 255
    colours = colormaps[_COLOURS](error / (2 * DIFFERENCE) + 0.5, bytes=True)[..., :3].copy()
    colours[~picture.scored] = UNSCORED
    return colours
