"""How good mask models are: does it look real, does it obey, is it new; beside floors and a control."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from mammosynth.bundle import Bundle
from mammosynth.evaluation.evaluation import Measure, Progress, Report
from mammosynth.parallel.engine import Engine
from mammosynth.parameters import Parameters
from mammosynth.tasks.mask.evaluation.evaluate import CLASS_MEANS, evaluate_mask
from mammosynth.tasks.mask.evaluation.report import TITLES, format_report
from mammosynth.terms import ViewPosition

RECORDED = ("frechet", "auc", "beta_shift", "iou", "lesion_ratio", "gland_ratio")
"""Looks real, in three numbers; obeys, in three."""


class MaskOptions(Parameters):
    """What can be chosen about an evaluation."""

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Of the first image; the next ones follow."""
    bootstrap: int = Field(default=2000, ge=10, le=1_000_000)
    """Resamples of patients for every interval."""
    segmenter_steps: int = Field(default=400, ge=0, le=100_000)
    """Of the network that looks for masses, learned from the real images of the split `train`; 0 does without it."""
    view_position: ViewPosition = Field(default=ViewPosition.CC, strict=False)
    """Of the images that are judged; the other view's are left out."""


class MaskEvaluation:
    """See `evaluation.evaluation.Evaluation`."""

    options = MaskOptions

    def __call__(
        self,
        place: Path,
        split: str,
        bundles: Sequence[Bundle],
        *,
        options: MaskOptions | None = None,
        with_page: bool = False,
        engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Judge models on one view of a split; see `evaluate_mask`."""
        chosen = options or MaskOptions()
        gallery = None
        if with_page:
            from mammosynth.tasks.mask.evaluation.gallery import Gallery

            gallery = Gallery()
        values = evaluate_mask(
            place,
            split,
            *bundles,
            seed=chosen.seed,
            bootstrap=chosen.bootstrap,
            segmenter_steps=chosen.segmenter_steps,
            view=chosen.view_position,
            engine=engine,
            progress=progress,
            watch=gallery.add if gallery else None,
        )
        measures = tuple(tuple(_measure(values, model, name) for name in RECORDED) for model in values["models"])
        page = gallery.page(values) if gallery else None
        return Report(split, values["n_images"], values["n_patients"], values, format_report(values), measures, page)


EVALUATION = MaskEvaluation()


def _measure(values: dict[str, Any], model: str, name: str) -> Measure:
    own, floor = (values["methods"][method]["measures"][name] for method in (model, CLASS_MEANS))
    ceiling = {"frechet": values["real"]["frechet_median"], "auc": 0.5, "beta_shift": 0.0}.get(name, 1.0)
    return Measure(TITLES[name], "", own["value"], (own.get("low"), own.get("high")), floor["value"], ceiling)
