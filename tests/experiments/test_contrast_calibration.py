import json
from pathlib import Path

import numpy as np
import pytest

from experiments.contrast_calibration import holding_zero, judge_halves, write_calibration
from experiments.contrast_members import (
    ALL,
    AMPLIFICATIONS,
    amplify,
    compare,
    mean_images,
    score,
    split_members,
    write_table,
)
from mammosynth.bundle import INFERENCE, build_synthesizer
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.calibration import Calibration
from mammosynth.tasks.contrast.evaluation.metrics import lesion_contrast
from tests.support.evaluation import phantom_case
from tests.support.templates import NETWORK, write_template
from tests.tasks.contrast.test_calibration import drawn
from tests.tasks.contrast.test_lesions import BREAST, source, square, synthesizer

ENSEMBLE = {"_target_": "mammosynth.networks.ensemble.Ensemble"}


def test_intervals_are_judged_on_patients_that_they_were_not_fitted_on() -> None:
    held = judge_halves(drawn(40, 0), drawn(20, 1), 5)
    assert held.shape == (10, 2)
    assert held[:, 0].mean() == pytest.approx(0.9, abs=0.02)
    # Errors four times as large as those fitted on, in one patient alone: where that one is judged, less is held.
    odd = drawn(20, 1)
    odd[0] = type(odd[0])(**{**vars(odd[0]), "error": 4 * odd[0].error})
    pixels = judge_halves(drawn(40, 0), odd, 5)[:, 0]
    assert pixels.min() < held[:, 0].min() - 0.01


def test_a_calibration_is_served_as_it_was_written(tmp_path: Path) -> None:
    folder = write_template(tmp_path / "both", network={**ENSEMBLE, "members": [NETWORK, NETWORK]})
    write_calibration(folder, Calibration(0.001234567, 5.0, 0.1, 0.9))
    assert build_synthesizer(folder).calibration == Calibration(0.00123457, 5.0, 0.1, 0.9)
    before = json.loads((folder / INFERENCE).read_text())
    write_calibration(folder, Calibration(0.1, 5.0, 0.1, 0.9))
    after = json.loads((folder / INFERENCE).read_text())
    assert before["network"] == after["network"]


def test_lesions_are_counted_whose_interval_holds_zero() -> None:
    lesion = square(236, 100)
    pairs = [ContrastPair(source(lesion, brighter=by), BREAST * 0.5, f"P{by}", lesion=lesion) for by in (0.05, 0.5)]
    sure = synthesizer(Calibration(constant=0.01, spread=0.0, grey=0.0, contrast=1.0))
    assert holding_zero(sure, pairs) == (1, 2)


def test_amplified_spots_are_brighter_and_nothing_is_darker() -> None:
    case = phantom_case()
    image = case.recombined * 0.8
    brighter = amplify(case, image, 0.5, 0.0)
    assert (brighter >= image - 1e-6).all()
    assert lesion_contrast(brighter, case)[0] > 1.2 * lesion_contrast(image, case)[0]
    np.testing.assert_array_equal(amplify(case, image, 0.0, 0.0), image)
    assert len(AMPLIFICATIONS) == len(set(AMPLIFICATIONS))


def test_members_are_told_apart_by_their_kind_and_bundle(tmp_path: Path) -> None:
    unet = {"_target_": "mammosynth.networks.residual_unet.ResidualUNet", "in_channels": 8, "features": [2, 4]}
    head = {
        "_target_": "mammosynth.networks.hypercolumn_head.HypercolumnHead",
        "in_channels": 8,
        "width": 4,
        "taps": [],
    }
    ours = write_template(tmp_path / "ours", network={**ENSEMBLE, "members": [unet, unet, head]})
    other = write_template(tmp_path / "other", network={**ENSEMBLE, "members": [head]})
    found = split_members(ours, [other])
    assert {kind: len(synthesizers) for kind, synthesizers in found.items()} == {"U-Net": 2, "head": 1, "other": 1}


def test_rows_are_means_of_some_members_and_differences_are_paired() -> None:
    case = phantom_case()
    members = {"U-Net": [case.recombined * 0.5, case.recombined * 0.7], "head": [case.recombined] * 2, "x": []}
    members["x"] = [case.recombined * 0.9]
    rows = mean_images(members, case)
    np.testing.assert_allclose(rows[ALL], 0.8 * case.recombined, atol=1e-6)
    np.testing.assert_allclose(rows["2 U-Nets + x"], 0.7 * case.recombined, atol=1e-6)
    np.testing.assert_allclose(rows["heads only"], case.recombined, atol=1e-6)
    real = lesion_contrast(case.recombined, case)[0]
    scores = {name: [score(case, image)] * 3 for name, image in rows.items()}
    table = compare(scores, [real] * 3, ["a", "b", "b"])
    assert table["2 U-Nets"]["d_ratio"]["value"] == pytest.approx(0.6, abs=1e-4)
    assert table[ALL]["d_ratio"]["minus_first"]["value"] == pytest.approx(0.2, abs=1e-4)
    assert table["heads only"]["mae"]["value"] == pytest.approx(0, abs=1e-6)


def test_the_table_tells_differences_to_its_first_row(tmp_path: Path) -> None:
    def metric(value: float, gained: float) -> dict:
        return {"psnr": {"value": value, "minus_first": {"low": gained - 0.1, "high": gained + 0.1}}}

    write_table({"a": metric(19.64, 0), "b": metric(19.74, 0.1)}, tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text().splitlines()[2:] == ["| a | 19.64 |", "| b | 19.74 (+0.00 to +0.20) |"]
