"""How good contrast models are: metrics beside floors, ceilings, goals and a control."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from mammosynth.bundle import Bundle
from mammosynth.evaluation.evaluation import Measure, Progress, Report, name_models
from mammosynth.parallel.engine import Engine
from mammosynth.parameters import Parameters
from mammosynth.tasks.contrast.evaluation.evaluate import evaluate_contrast
from mammosynth.tasks.contrast.evaluation.goals import CEILING
from mammosynth.tasks.contrast.evaluation.report import COLUMNS, format_report
from mammosynth.tasks.contrast.specification import SPECIFICATION

RECORDED = ("psnr", "ssim", "ncc_interior", "ncc_hp", "auroc_hot", "d_ratio")
"""Grey values, structure, shading, spots, the place of enhancement, lesion contrast: few enough to be read."""


class ContrastOptions(Parameters):
    """What can be chosen about an evaluation."""

    regions: str = Field(default="")
    """Folder of tissue drawn by hand: NAME_adipose.png, NAME_fibroglandular.png."""
    bootstrap: int = Field(default=2000, ge=10, le=1_000_000)
    """Resamples of patients for every interval."""
    samples: int = Field(default=0, ge=0, le=256)
    """Images of every case by which the sampled rendering is judged; 0: the expected one alone is."""


class ContrastEvaluation:
    """See `evaluation.evaluation.Evaluation`."""

    options = ContrastOptions

    def __call__(
        self,
        place: Path,
        split: str,
        bundles: Sequence[Bundle],
        *,
        options: ContrastOptions | None = None,
        with_page: bool = False,
        engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Score models on pairs of low-energy and recombined images; see `evaluate_contrast`."""
        chosen = options or ContrastOptions()
        pictures = None
        if with_page:  # matplotlib takes a second to load
            from mammosynth.tasks.contrast.evaluation.gallery import Pictures

            pictures = Pictures(list(name_models(SPECIFICATION, bundles)))
        values = evaluate_contrast(
            place,
            split,
            *bundles,
            regions=Path(chosen.regions) if chosen.regions else None,
            engine=engine,
            progress=progress,
            watch=pictures.add if pictures else None,
            bootstrap=chosen.bootstrap,
            samples=chosen.samples,
        )
        page = None
        if pictures:
            from mammosynth.tasks.contrast.evaluation.page import format_page

            page = format_page(values, pictures)
        measures = tuple(tuple(_measure(values, model, metric) for metric in RECORDED) for model in values["models"])
        return Report(split, values["n_images"], values["n_patients"], values, format_report(values), measures, page)


EVALUATION = ContrastEvaluation()


def _measure(values: dict[str, Any], model: str, metric: str) -> Measure:
    title = "lesion contrast, generated / real" if metric == "d_ratio" else COLUMNS[metric][0]
    methods = values["methods"]
    own = methods[model]["metrics"][metric]
    goal = next(row for row in values["goals"][model] if row["metric"] == metric)
    return Measure(
        name=title.removesuffix(" dB"),
        unit="dB" if title.endswith(" dB") else "",
        value=own["value"],
        interval=(own["low"], own["high"]),
        floor=methods[goal["minus_best_floor"]["best_floor"]]["metrics"][metric]["value"],
        ceiling=methods[CEILING]["metrics"][metric]["value"],
    )
