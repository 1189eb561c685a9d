import importlib.util
import json
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mammosynth.cli import main
from mammosynth.errors import MammoSynthError, UnsupportedImageError
from mammosynth.radiomics import COUNT, RadiomicScaling, extract_radiomics, remembering
from mammosynth.tasks.view.evaluation import ViewEvaluation


def lesion_on_tissue(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(512, 320) tissue with a bright lesion of radius 24, and its mask."""
    random = np.random.default_rng(seed)
    pixels = 0.3 + 0.6 * ndimage.gaussian_filter(random.normal(size=(512, 320)), 3)
    y, x = np.mgrid[:512, :320]
    inside = np.hypot(y - 250, x - 150) < 24
    return np.clip(pixels + 0.2 * ndimage.gaussian_filter(inside * 1.0, 3), 0, 1).astype(np.float32), inside


def values(pixels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    found = extract_radiomics(pixels, mask, (0.5, 0.5))
    assert len(found) == COUNT
    return found


def test_a_missing_pyradiomics_is_told_in_a_sentence_before_an_evaluation(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MammoSynthError, match=r"pyradiomics is not installed.*--no-deps pyradiomics==3\.0\.1"):
        ViewEvaluation()(tmp_path / "no folder", "val", [])


def test_first_order_and_co_occurrence_of_stripes_are_those_of_the_formulas():
    """Columns of grey 32 and 48 of 255, bins 4 and 6 of width 8: neighbours across differ by two, down by none."""
    pixels = np.zeros((32, 32), np.float32)
    pixels[:, ::2], pixels[:, 1::2] = 32.5 / 255, 48.5 / 255
    mask = np.zeros((32, 32), bool)
    mask[8:24, 8:24] = True

    found = values(pixels, mask)

    assert found["firstorder_Mean"] == pytest.approx(40.5, abs=1e-4)
    assert found["firstorder_Entropy"] == pytest.approx(1.0, abs=1e-6)
    assert found["glcm_Contrast"] == pytest.approx((0 + 4 + 4 + 4) / 4, abs=1e-6)
    assert found["shape2D_PixelSurface"] == pytest.approx(256 * 0.25 / 0.25)


@pytest.mark.parametrize("turn", [lambda a: np.rot90(a), lambda a: a[::-1], lambda a: a[:, ::-1]])
def test_a_turned_lesion_has_the_same_features(turn):
    pixels, mask = lesion_on_tissue()

    straight, turned = values(pixels, mask), values(turn(pixels).copy(), turn(mask).copy())

    for name, value in straight.items():
        assert turned[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_a_mask_one_pixel_wider_changes_texture_less_than_another_lesion_does():
    pixels, mask = lesion_on_tissue()
    wider = ndimage.binary_dilation(mask)
    others = np.array([list(values(*lesion_on_tissue(seed)).values()) for seed in range(1, 9)])

    change = np.abs(np.array(list(values(pixels, wider).values())) - np.array(list(values(pixels, mask).values())))
    names = list(values(pixels, mask))
    texture = np.array([name.startswith(("firstorder", "glcm", "gldm")) for name in names])
    spread = others.std(axis=0)[texture]

    assert np.median(change[texture] / (spread + 1e-9)) < 1


def test_a_finer_matrix_gives_the_same_features_once_resampled():
    pixels, mask = lesion_on_tissue()
    fine, fine_mask = (np.kron(a, np.ones((2, 2), a.dtype)) for a in (pixels, mask))

    assert extract_radiomics(fine, fine_mask) == pytest.approx(extract_radiomics(pixels, mask), rel=1e-4, abs=1e-6)


def test_what_was_measured_elsewhere_is_not_measured_again(monkeypatch: pytest.MonkeyPatch):
    (pixels, mask), table = lesion_on_tissue(), {}
    with remembering(table):
        measured = extract_radiomics(pixels, mask)
    monkeypatch.setitem(sys.modules, "radiomics.featureextractor", None)
    with remembering(table):
        assert extract_radiomics(pixels, mask) == measured
        with pytest.raises(ImportError):
            extract_radiomics(*lesion_on_tissue(1))
    with pytest.raises(ImportError):
        extract_radiomics(pixels, mask)


def test_a_lesion_of_a_few_pixels_is_refused():
    pixels, mask = lesion_on_tissue()
    with pytest.raises(UnsupportedImageError, match="expected 16 and more"):
        extract_radiomics(pixels, mask & (np.arange(320) == 150) & (np.arange(512) < 230)[:, None])


def test_scaled_training_features_have_mean_zero_and_deviation_one():
    rows = np.random.default_rng(0).lognormal(size=(50, COUNT))
    scaling = RadiomicScaling.fit(rows)

    scaled = np.stack([scaling(row) for row in rows])[:, :-1]

    assert np.abs(scaled.mean(axis=0)).max() < 0.1
    assert scaled.std(axis=0) == pytest.approx(1, abs=0.15)
    assert not scaling(None).any()


def test_the_command_writes_features_and_how_they_were_taken(tmp_path):
    pixels, mask = lesion_on_tissue()
    Image.fromarray((pixels * 255).astype(np.uint8)).save(tmp_path / "cc.png")
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "mask.png")

    assert (
        main(["radiomics", str(tmp_path / "cc.png"), str(tmp_path / "mask.png"), "--json", str(tmp_path / "r.json")])
        == 0
    )

    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["features"]) == COUNT
    assert report["settings"]["bin_width"] == 8
    expected = (np.floor(pixels * 255) / 255)[mask].mean() * 255
    assert report["features"]["firstorder_Mean"] == pytest.approx(expected, rel=0.02)
