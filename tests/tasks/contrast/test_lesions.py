"""`mammosynth lesions`: every drawn lesion with the contrast and the interval that the evaluation judges."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mammosynth.dicom.segmentation import Segment, draw_segmentation
from mammosynth.errors import InvalidParameterError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.networks.ensemble import Ensemble
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.calibration import NORMAL_90, Calibration
from mammosynth.tasks.contrast.evaluation.coverage import held, image_and_spread
from mammosynth.tasks.contrast.evaluation.metrics import lesion_contrast
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.tasks.contrast.lesions import command
from mammosynth.tasks.contrast.lesions.intervals import LesionInterval, in_words, lesion_intervals
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastParameters, ContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse
from tests.support.instances import build_instance
from tests.support.models import bundle_of

BREAST = half_ellipse(512, 512)
CALIBRATION = Calibration(constant=0.0004, spread=4.0, grey=0.01, contrast=0.9)


class Twice(nn.Module):
    """Grey values times a number."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.zeros_like(x[:, 0]), torch.ones_like(x[:, 0]) * self.gain], dim=1)


def synthesizer(calibration: Calibration | None = CALIBRATION) -> ContrastSynthesizer:
    network = Ensemble([Twice(0.8), Twice(1.2)]).eval()
    return ContrastSynthesizer(BreastFramePreprocessing((512, 384)), network, calibration=calibration)


def square(row: int, column: int, side: int = 40) -> np.ndarray:
    drawn = np.zeros(BREAST.shape, bool)
    drawn[row : row + side, column : column + side] = True
    return drawn


def source(*lesions: np.ndarray, brighter: float = 0.2) -> Mammogram:
    pixels = BREAST * (0.4 + brighter * np.any(lesions, axis=0))
    return Mammogram(pixels.astype(np.float32), "IM1_L_CC.png", view_position=ViewPosition.CC)


def test_a_lesion_has_the_contrast_and_the_interval_that_the_evaluation_judges() -> None:
    lesion, made = square(236, 100), synthesizer()
    image = source(lesion)
    (found,) = lesion_intervals(made, image, lesion)
    case = Case.from_pair(ContrastPair(image, image.pixels, "P1", lesion=lesion))
    expected, spread = image_and_spread(made, image, case)
    assert found.contrast == pytest.approx(lesion_contrast(expected, case)[0], abs=0.01)
    assert found.contrast == pytest.approx(0.2, abs=0.01)
    width = held(case, expected, spread, CALIBRATION)["contrast_width"]
    assert found.high - found.low == pytest.approx(width, rel=0.02)
    by_hand = 2 * NORMAL_90 * 0.9 * np.sqrt(0.0004 + 4 * (0.2 * 0.6) ** 2 + 0.01 * 0.6**2)
    assert width == pytest.approx(by_hand, rel=0.01)
    assert (found.row, found.column, found.pixels) == (256, 120, 1600)


def test_lesions_are_told_from_top_to_bottom_and_are_no_tissue_of_each_other() -> None:
    upper, lower = square(190, 100), square(242, 100)
    both = lesion_intervals(synthesizer(), source(upper, lower), upper | lower)
    assert [each.row for each in both] == [210, 262]
    for each in both:
        assert each.contrast == pytest.approx(0.2, abs=0.015)


def test_the_same_breast_at_another_resolution_and_side_has_the_same_contrast() -> None:
    lesion = square(236, 100)
    image = source(lesion)
    large = Mammogram(np.kron(image.pixels[:, ::-1], np.ones((3, 3), np.float32)), "IM2", view_position=ViewPosition.CC)
    (found,) = lesion_intervals(synthesizer(), large, np.kron(lesion[:, ::-1], np.ones((3, 3), bool)))
    (small,) = lesion_intervals(synthesizer(), image, lesion)
    assert found.contrast == pytest.approx(small.contrast, abs=0.01)
    assert found.high == pytest.approx(small.high, abs=0.01)


def test_no_contrast_is_told_at_the_skin_and_slips_of_the_pen_are_left_out() -> None:
    at_skin = square(246, int(BREAST[256].sum()) - 24, side=20)
    slip = square(300, 150, side=2)
    (found,) = lesion_intervals(synthesizer(), source(at_skin), at_skin | slip)
    assert (found.contrast, found.low, found.high) == (None, None, None)


def test_lesions_are_called_what_their_segments_are_called_and_by_their_place_where_that_does_not_tell() -> None:
    upper, lower, other = square(190, 100), square(242, 100), square(242, 140)
    labels = (4 * upper + 4 * lower + 9 * other).astype(np.uint8)
    image = source(upper, lower, other)
    found = lesion_intervals(synthesizer(), image, labels, {4: "Mass", 9: "Focus"})
    assert [each.name for each in found] == ["Mass, row 210, column 120", "Mass, row 262, column 120", "Focus"]
    (both, _) = lesion_intervals(synthesizer(), image, labels > 0)  # of one number, what touches is one
    assert both.name == "Lesion 1, row 210, column 120"
    header = draw_segmentation(
        [Segment(1, "Mass", lower)], build_instance(BREAST.astype(np.uint16)), software_version="1"
    )
    inputs = {"source": image, "lesions": LabelMap(lower.astype(np.uint8), "1.2", header=header)}
    _, (told,) = synthesizer().make_and_tell(inputs, ContrastParameters())
    assert told.sentence.startswith("Mass: expected contrast +0.1")
    assert told.values["low"] < told.values["contrast"] < told.values["high"]


def test_a_sentence_says_whether_no_enhancement_is_within_the_interval_or_why_nothing_is_told() -> None:
    place = {"name": "Mass", "row": 1, "column": 2, "pixels": 9}
    held = in_words(LesionInterval(**place, contrast=0.06, low=-0.21, high=0.33))
    assert held == (
        "Mass: expected contrast +0.06 to the tissue around it (black is 0, white is 1); 90 % of lesions like it lie "
        "between -0.21 and +0.33: no enhancement is within what is expected."
    )
    outside = in_words(LesionInterval(**place, contrast=0.5, low=0.2, high=0.8))
    assert outside.endswith("between +0.20 and +0.80: no enhancement is outside what is expected.")
    assert in_words(LesionInterval(**place)).startswith(
        "Mass: no contrast is told. It lies nearer to the skin than about 6 %"
    )


def test_the_network_runs_once_for_the_image_and_for_what_is_told_and_not_for_nothing_drawn() -> None:
    lesion, made, runs = square(236, 100), synthesizer(), []
    made.network.register_forward_hook(lambda *_: runs.append(1))
    model, drawn = bundle_of(made), LabelMap(square(236, 100).astype(np.uint8), "d.png")
    inputs = {"source": source(lesion), "lesions": drawn}
    both = model.synthesize(inputs)
    assert (len(runs), len(both.remarks)) == (1, 1)
    alone = model.synthesize({"source": inputs["source"]})
    np.testing.assert_array_equal(both.image.pixels, alone.image.pixels)
    runs.clear()
    with pytest.raises(UnsupportedImageError, match="nothing is drawn"):
        model.synthesize({**inputs, "lesions": LabelMap(drawn.labels * 0, "d.png")})
    assert runs == []


def test_of_an_image_that_is_there_the_same_is_told_and_nothing_is_made() -> None:
    lesion = square(236, 100)
    inputs = {"source": source(lesion), "lesions": LabelMap(lesion.astype(np.uint8), "d.png")}
    outputs, told = synthesizer().make_and_tell(inputs, ContrastParameters())
    assert [output.role for output in outputs] == ["image"]
    assert synthesizer().make_and_tell(inputs, ContrastParameters(), only_tell=True) == ((), told)


def test_only_a_calibrated_ensemble_tells_of_lesions() -> None:
    assert synthesizer().tells_of == ("lesions",)
    assert synthesizer(calibration=None).tells_of == ()


def test_models_and_drawings_that_cannot_be_used_are_refused() -> None:
    lesion = square(236, 100)
    with pytest.raises(InvalidParameterError, match="no calibrated uncertainty"):
        lesion_intervals(synthesizer(calibration=None), source(lesion), lesion)
    with pytest.raises(UnsupportedImageError, match="256 x 512 pixels, the image 512 x 512"):
        lesion_intervals(synthesizer(), source(lesion), lesion[:256])
    with pytest.raises(UnsupportedImageError, match="nothing is drawn"):
        lesion_intervals(synthesizer(), source(lesion), lesion & False)
    slip = LabelMap(square(300, 150, side=2).astype(np.uint8), "d.png")
    with pytest.raises(UnsupportedImageError, match=r"^d\.png: what is drawn has fewer than 16 pixels"):
        synthesizer().make_and_tell({"source": source(lesion), "lesions": slip}, ContrastParameters())


def test_the_command_tells_of_the_released_model_what_may_not_enhance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lesion = square(236, 100)
    Image.fromarray((source(lesion).pixels * 255).astype(np.uint8)).save(tmp_path / "IM1_L_CC.png")
    Image.fromarray((lesion * 255).astype(np.uint8)).save(tmp_path / "drawn.png")
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    paths = (tmp_path / "IM1_L_CC.png", tmp_path / "drawn.png", "--json", tmp_path / "found.json")
    args = parser.parse_args(["lesions", *map(str, paths)])
    assert args.run(args) == 0
    told = capsys.readouterr().out
    assert told.startswith("Lesion 1, row 256, column 120: expected contrast +0.")
    (found,) = json.loads((tmp_path / "found.json").read_text())["lesions"]
    assert found["low"] < found["contrast"] < found["high"]
    assert told.endswith(": no enhancement is within what is expected.\n") == (found["low"] <= 0)
