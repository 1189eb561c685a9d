"""A page of an evaluation: its tables, and every case as label map, real and generated image, the strangest ones first.

Images are shown as they were judged, grey 0 to 1 from black to white, the same for real and generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mammosynth.evaluation.evaluation import MODEL
from mammosynth.evaluation.page import gallery_page
from mammosynth.evaluation.texture import Whitener
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import CLASSES, COLOURS
from mammosynth.tasks.mask.evaluation.evaluate import CONTROL, REAL
from mammosynth.tasks.mask.evaluation.protocol import Shown
from mammosynth.tasks.mask.evaluation.report import report_parts


@dataclass(eq=False)
class Gallery:
    """Collects, while an evaluation runs, what a page shows: `evaluate_mask(..., watch=gallery.add)`."""

    cases: list[tuple[str, Mapping[str, Shown]]] = field(default_factory=list)

    def add(self, case: MaskCase, images: Mapping[str, Shown]) -> None:
        """Keep one case."""
        kept = {name: shown for name, shown in images.items() if not name.startswith(CONTROL)}
        self.cases.append((case.name, kept))

    def page(self, values: Mapping[str, Any]) -> str:
        """One self-contained HTML page.

        Args:
            values: Of `evaluate_mask`.
        """
        return gallery_page(
            values,
            report_parts(values),
            [self._panels(index, values) for index in self._strangest_first()],
            first="Strangest cases",
            why_first="Those whose features lie farthest from the middle of the real ones.",
            legend=[(name, f"#{COLOURS[number].tobytes().hex()}") for number, name in CLASSES.items()],
        )

    def _strangest_first(self) -> list[int]:
        """By the distance of the first model's features from the middle of the real ones."""
        real = np.stack([images[REAL].features for _, images in self.cases])
        made = np.stack([images[MODEL].features for _, images in self.cases])
        distance = np.linalg.norm(Whitener(real)(made), axis=1)
        return [int(index) for index in np.argsort(-distance)]

    def _panels(self, index: int, values: Mapping[str, Any]) -> tuple[str, list[tuple[str, np.ndarray]]]:
        name, images = self.cases[index]
        titles = {key: model["name"] for key, model in values["models"].items()}
        panels = [("label map", COLOURS[images[REAL].labels])]
        panels += [
            (titles.get(key, key), np.rint(shown.pixels * 255).astype(np.uint8)) for key, shown in images.items()
        ]
        return name, panels
