"""How good view models are: error and looks beside floors, whether the condition acts, where lesions lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mammosynth.bundle import Bundle
from mammosynth.evaluation.evaluation import Measure, Progress, Report
from mammosynth.parallel.engine import Engine
from mammosynth.parameters import Parameters
from mammosynth.radiomics import check_pyradiomics
from mammosynth.task import Rendering
from mammosynth.tasks.view.evaluation.evaluate import REAL, evaluate_view
from mammosynth.tasks.view.evaluation.floors import MEDIAN, RIDGE
from mammosynth.tasks.view.evaluation.report import TITLES, format_report
from mammosynth.terms import ViewPosition

RECORDED = {"padded_ssim": MEDIAN, "padded_psnr": RIDGE, "iou": MEDIAN, "rank": RIDGE}
"""Measures that a bundle keeps, each with the method that is its floor."""
CEILINGS = {"padded_psnr": None}


class ViewOptions(Parameters):
    """What can be chosen about an evaluation."""

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Of the first image; the next ones follow."""
    bootstrap: int = Field(default=2000, ge=10, le=1_000_000)
    """Resamples of patients for every interval."""
    rendering: Literal["expected", "sampled", "both"] = "both"
    """Which is judged, of what a model can."""
    to: ViewPosition = Field(default=ViewPosition.MLO, strict=False)
    """The view that is made; the other one is the source."""


class ViewEvaluation:
    """See `evaluation.evaluation.Evaluation`."""

    options = ViewOptions

    def __call__(
        self,
        place: Path,
        split: str,
        bundles: Sequence[Bundle],
        *,
        options: ViewOptions | None = None,
        with_page: bool = False,
        engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Judge models on the breasts of a split; see `evaluate_view`."""
        check_pyradiomics()
        chosen = options or ViewOptions()
        gallery = None
        if with_page:
            from mammosynth.tasks.view.evaluation.gallery import Gallery

            gallery = Gallery()
        values = evaluate_view(
            place,
            split,
            *bundles,
            seed=chosen.seed,
            bootstrap=chosen.bootstrap,
            renderings=tuple(Rendering) if chosen.rendering == "both" else (Rendering(chosen.rendering),),
            to=chosen.to,
            engine=engine,
            progress=progress,
            watch=gallery.add if gallery else None,
        )
        measures = tuple(_recorded(values, model) for model in values["models"])
        page = gallery.page(values) if gallery else None
        return Report(split, values["n_images"], values["n_patients"], values, format_report(values), measures, page)


EVALUATION = ViewEvaluation()


def _recorded(values: dict[str, Any], model: str) -> tuple[Measure, ...]:
    """Of the first rendering that was judged."""
    method = next(name for name in values["goals"] if name.startswith(f"{model}, "))
    return tuple(_measure(values, method, name, floor) for name, floor in RECORDED.items())


def _measure(values: dict[str, Any], method: str, name: str, floor: str) -> Measure:
    own, below, above = (values["methods"][each]["measures"][name] for each in (method, floor, REAL))
    ceiling = CEILINGS.get(name, above["value"])
    return Measure(TITLES[name], "", own["value"], (own.get("low"), own.get("high")), below["value"], ceiling)
