"""A page of an evaluation: its tables, and every breast as source, real and generated views, the worst ones first.

Images are shown as they were judged, grey 0 to 1 from black to white; lesions are outlined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from mammosynth.evaluation.evaluation import MODEL
from mammosynth.evaluation.page import gallery_page
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.tasks.view.evaluation.evaluate import ANOTHER, REAL, SHUFFLED
from mammosynth.tasks.view.evaluation.floors import RANDOM
from mammosynth.tasks.view.evaluation.protocol import Shown
from mammosynth.tasks.view.evaluation.report import report_parts

COLUMNS = 360
"""Of an image that are shown."""
OUTLINE = (255, 90, 90)


@dataclass(eq=False)
class Gallery:
    """Collects, while an evaluation runs, what a page shows: `evaluate_view(..., watch=gallery.add)`."""

    cases: list[tuple[str, Mapping[str, Shown]]] = field(default_factory=list)

    def add(self, case: ViewCase, images: Mapping[str, Shown]) -> None:
        """Keep one case."""
        kept = {
            name: shown
            for name, shown in images.items()
            if not name.startswith(SHUFFLED) and name not in (ANOTHER, RANDOM)
        }
        self.cases.append((case.name, kept))

    def page(self, values: Mapping[str, Any]) -> str:
        """One self-contained HTML page.

        Args:
            values: Of `evaluate_view`.
        """
        return gallery_page(
            values,
            report_parts(values),
            [self._panels(index) for index in self._worst_first()],
            first="Failures",
            why_first="Those with the largest mean error.",
        )

    def _worst_first(self) -> list[int]:
        """By the error of the first model's first rendering."""
        errors = []
        for _, images in self.cases:
            made = next(shown for name, shown in images.items() if name.startswith(f"{MODEL}, "))
            errors.append(float(np.abs(made.pixels - images[REAL].pixels).mean()))
        return [int(index) for index in np.argsort(-np.array(errors))]

    def _panels(self, index: int) -> tuple[str, list[tuple[str, np.ndarray]]]:
        name, images = self.cases[index]
        return name, [(title, _picture(shown)) for title, shown in images.items()]


def _picture(shown: Shown) -> np.ndarray:
    """(H, at most 360, 3) uint8."""
    grey = np.rint(shown.pixels[:, :COLUMNS] * 255).astype(np.uint8)
    coloured = np.repeat(grey[..., None], 3, axis=2)
    if shown.lesion is not None:
        lesion = shown.lesion[:, :COLUMNS]
        coloured[ndimage.binary_dilation(lesion, iterations=2) & ~ndimage.binary_dilation(lesion)] = OUTLINE
    return coloured
