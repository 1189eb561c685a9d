"""A case whose every value is known, and a report about cases that there are not."""

import numpy as np

from mammosynth.tasks.contrast.evaluation.coverage import Rows, summarise_coverage
from mammosynth.tasks.contrast.evaluation.evaluate import _case_rows, _columns, summarise
from mammosynth.tasks.contrast.evaluation.floors import NAMES
from mammosynth.tasks.contrast.evaluation.metrics import MEAN_METRICS
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse

KEYS = (*MEAN_METRICS, "contrast_d", "contrast_c", "auroc_ring", "change_mae", "change_ssim", "cnr", "cnr_abs", "halo",
        "false_enhancement", "real_rate")  # fmt: skip
EVIL = "<script>alert(1)</script>.png"


def phantom_case(lesion_grey: float = 0.7) -> Case:
    breast = half_ellipse(512, 512)
    lesion = np.zeros(breast.shape, bool)
    lesion[236:276, 100:140] = True
    texture = np.random.default_rng(1).normal(0, 0.02, breast.shape)
    real = (breast * np.clip(0.3 + texture + (lesion_grey - 0.3) * lesion, 0, 1)).astype(np.float32)
    low_energy = (breast * 0.5).astype(np.float32)
    return Case("a.png", "P1", ViewPosition.CC, False, low_energy, real, breast, breast, lesion)


def made_up(models: tuple[str, ...] = ("model",), cases: int = 4) -> dict:
    """A report with numbers drawn at random; the first case is the model's worst."""
    random = np.random.default_rng(0)
    names = [*models, *NAMES, "other breast", "shift 2 px", "real"]
    scores = {name: [dict(zip(KEYS, random.uniform(0.2, 0.9, len(KEYS)), strict=True)) for _ in range(cases)]
              for name in names}  # fmt: skip
    scores["model"][0]["auroc_lesion"] = 0.1
    columns = {name: _columns(rows) for name, rows in scores.items()}
    about = [{"name": EVIL if index == 0 else f"{index}.png", "patient_id": f"P{index // 2}", "view_position": "CC"}
             for index in range(cases)]  # fmt: skip
    described = {name: {"name": f"bundle {name}", "version": "1", "weights_sha256": "ab"} for name in models}
    return {
        "task": "contrast", "protocol": "A", "split": "val", "n_patients": 2, "n_images": cases,
        "n_drawn_regions": 0, "bundle": described["model"], "models": described, "floors_fitted_on": "nothing",
        "bootstrap": 20, **summarise(columns, [case["patient_id"] for case in about], 20, models=models),
        "uncertainty": summarise_coverage({"model": _made_up_coverage(cases)}, np.ones((3, cases))),
        "cases": _case_rows(about, columns),
    }  # fmt: skip


def _made_up_coverage(cases: int) -> Rows:
    """A model whose intervals hold 90 % of pixels and none of the contrasts, as its members' spread does of both."""
    row = {"pixels": 0.9, "contrasts": 0.0, "pixel_width": 0.4, "contrast_width": 0.2}
    return {"calibrated": [row] * cases, "spread": [{**row, "pixels": 0.0}] * cases}
