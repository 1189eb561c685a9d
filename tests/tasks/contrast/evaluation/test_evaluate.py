"""The whole evaluation on phantom breasts, and its golden values on real ones."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from mammosynth.bundle import Bundle, default_bundle, load_bundle
from mammosynth.cli import main
from mammosynth.errors import BundleError, DataError
from mammosynth.evaluation.evaluation import name_models
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm
from mammosynth.tasks.contrast.evaluation import evaluate as contrast
from mammosynth.tasks.contrast.evaluation.evaluate import (
    DESCRIBED,
    _floors_for,
    _paired,
    evaluate_contrast,
    shipped_floors,
    summarise,
)
from mammosynth.tasks.contrast.evaluation.floors import NAMES, Floors, fit_floors, fit_floors_to_cases
from mammosynth.tasks.contrast.evaluation.metrics import MEAN_METRICS, score_case
from mammosynth.tasks.contrast.evaluation.protocol import Case, into_frame, smooth_within
from mammosynth.tasks.contrast.evaluation.report import format_report
from mammosynth.tasks.contrast.specification import SPECIFICATION
from mammosynth.training.dataset import hash_cases
from tests.support import cdd_cesm
from tests.support.evaluation import phantom_case
from tests.support.real_data import CDD_CESM

needs_data = pytest.mark.skipif(
    not (CDD_CESM / "pairs.csv").is_file(), reason="CDD-CESM is not here; set MAMMOSYNTH_CDD_CESM to its folder"
)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(default_bundle("contrast"))


@pytest.mark.slow
def test_fitted_floors_learn_what_can_be_learned_and_survive_saving(tmp_path: Path) -> None:
    case = phantom_case()
    fitted = fit_floors_to_cases([case], steps=300)
    fitted.save(tmp_path / "floors.safetensors")
    images = Floors.load(tmp_path / "floors.safetensors").predict(case)
    assert list(images) == list(NAMES)
    real = case.recombined[case.scored]
    assert images["F1"][0, 0] == pytest.approx(real.mean(), abs=1e-4)
    # The source is flat here, so rescaling it can do no more than the mean; place knows where the lesion is.
    np.testing.assert_allclose(images["F4"][case.scored], real.mean(), atol=1e-3)
    scores = {name: score_case(case, image) for name, image in images.items()}
    assert scores["F2b"]["psnr"] > scores["F1"]["psnr"] + 1
    assert scores["F3b"]["psnr"] > scores["F1"]["psnr"] + 0.3
    assert scores["F0"]["psnr"] < scores["F1"]["psnr"]
    for name, image in fitted.predict(case).items():
        np.testing.assert_array_equal(image, images[name])


def test_damaged_floors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "floors.safetensors").write_bytes(b"no")
    with pytest.raises(BundleError, match=r"floors\.safetensors: fitted floors cannot be read"):
        Floors.load(tmp_path / "floors.safetensors")


def test_released_floors_are_in_the_model_zoo() -> None:
    # 0.258: mean grey of the recombined training images inside the breast.
    assert shipped_floors().values["mean"][0] == pytest.approx(0.258, abs=0.002)


def write_folder(folder: Path, split: str = "held") -> Path:
    """Two patients with a CC and an MLO view each, at the protocol's size."""
    rows = [
        {
            "split": split, "patient": f"P{patient}", "view": view,
            "low_energy": f"P{patient}_L_DM_{view}.png", "recombined": f"P{patient}_L_CM_{view}.png",
        }
        for patient in range(2) for view in ("CC", "MLO")
    ]  # fmt: skip
    rows[1]["dy"] = "2"
    return cdd_cesm.write_folder(folder, rows, side=512)


@pytest.mark.slow
def test_models_are_evaluated_on_the_same_cases_beside_the_shipped_floors(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    seen: list[str] = []

    def watch(case: Case, images: Mapping[str, np.ndarray]) -> None:
        seen.append(case.name)
        assert {"model", "twin", "F0", "real"} <= set(images)

    report = evaluate_contrast(
        write_folder(tmp_path),
        "held",
        bundle,
        dataclasses.replace(bundle, name="twin"),
        progress=lambda f, _: told.append(f),
        watch=watch,
        bootstrap=20,
    )
    assert (report["n_patients"], report["n_images"]) == (2, 4)
    assert seen == [case["name"] for case in report["cases"]]
    assert "shipped" in report["floors_fitted_on"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert {method["kind"] for method in report["methods"].values()} == {
        "model", "floor", "control", "ceiling", "real",
    }  # fmt: skip
    methods = report["methods"]
    assert methods["real"]["metrics"]["psnr"]["value"] == 100
    assert methods["F0"]["metrics"]["change_mae_r"]["value"] is None
    # The twin is the same model: same values, no difference.
    assert methods["twin"]["metrics"] == methods["model"]["metrics"]
    assert methods["other breast, twin"]["metrics"] == methods["other breast"]["metrics"]
    assert report["versus"]["twin"]["psnr"] == {"value": 0, "low": 0, "high": 0}
    assert report["false_enhancement"]["methods"]["real"]["rate"]["value"] == 0
    assert report["false_enhancement"]["n_images"] == 4
    # The release is calibrated, so its intervals are wider than those of its members' bare spread, and hold more.
    held = report["uncertainty"]["model"]
    assert held["calibrated"]["pixel_width"]["value"] > held["spread"]["pixel_width"]["value"]
    assert held["calibrated"]["pixels"]["value"] > held["spread"]["pixels"]["value"]
    assert report["uncertainty"]["twin"] == held
    assert told == sorted(told)
    text = format_report(report)
    for expected in ("4 images of 2 patients", "floor F2b", "ceiling shift 2 px", "control other breast",
                     "100.00 [100.00", "Goals of twin", "90 % interval of twin"):  # fmt: skip
        assert expected in text


@pytest.mark.slow
def test_floors_fitted_on_the_same_pairs_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "data", "train")
    zoo = tmp_path / "zoo"
    (zoo / "a" / "models").mkdir(parents=True)
    monkeypatch.setattr(contrast, "default_model_zoo", lambda: zoo)
    train = read_cdd_cesm(folder, "train")
    fitted = fit_floors(train, steps=5)
    assert fitted.fitted_on == hash_cases(train)
    fitted.save(zoo / "a" / "models" / "floors.safetensors")
    monkeypatch.setattr(contrast, "fit_floors", lambda _: pytest.fail("fitted again"))
    found, told = _floors_for(folder)
    assert found.fitted_on == hash_cases(train)
    assert "shipped" in told


def test_floors_fitted_on_other_pairs_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path, "train")
    fresh = Floors({})
    monkeypatch.setattr(contrast, "fit_floors", lambda _: fresh)
    assert _floors_for(folder) == (fresh, "the folder's train rows")


def test_two_bundles_of_one_name_are_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="expected different names"):
        name_models(SPECIFICATION, [bundle, bundle])
    assert list(name_models(SPECIFICATION, [bundle, dataclasses.replace(bundle, name="b")])) == ["model", "b"]


def test_unknown_split_is_refused_with_the_names_found(tmp_path: Path, bundle: Bundle) -> None:
    folder = cdd_cesm.write_folder(tmp_path, [{}])
    with pytest.raises(DataError, match="no rows with split 'tset', found train"):
        evaluate_contrast(folder, "tset", bundle)


def test_images_of_another_size_than_the_protocol_are_refused(tmp_path: Path) -> None:
    (pair,) = read_cdd_cesm(cdd_cesm.write_folder(tmp_path, [{}]), "train")
    with pytest.raises(DataError, match=r"is \(64, 64\), Protocol A needs \(512, 512\)"):
        Case.from_pair(pair)


def columns(psnr: list[float], mae: list[float]) -> dict[str, np.ndarray]:
    zero = np.zeros(len(psnr))
    names = [*MEAN_METRICS, *DESCRIBED, "contrast_d", "contrast_c", "auroc_ring", "change_mae", "change_ssim",
             "real_rate"]  # fmt: skip
    return {**dict.fromkeys(names, zero), "psnr": np.array(psnr), "mae": np.array(mae)}


def test_model_is_compared_case_by_case_with_the_best_floor() -> None:
    low, high = columns([10.0, 20.0, 30.0], [0.3] * 3), columns([11.0, 21.0, 31.0], [0.2] * 3)
    methods = {**dict.fromkeys(NAMES, low), "F2b": high}
    methods |= {"model": columns([12.0, 22.0, 32.0], [0.1] * 3), "real": columns([100.0] * 3, [0] * 3)}
    paired = summarise(methods, ["a", "b", "c"], 50)["paired"]
    # Always one better, whichever patients are drawn: the interval has no width.
    assert paired["psnr"] == {
        "best_floor": "F2b", "lower_is_better": False, "value": 1, "low": 1, "high": 1,
    }  # fmt: skip
    assert (paired["mae"]["best_floor"], paired["mae"]["value"]) == ("F2b", -0.1)


@needs_data
@pytest.mark.slow
def test_reference_methods_reach_the_published_values_on_real_images() -> None:
    # Measured independently on split `test` (56 pairs, 31 patients), Protocol A.
    floors, found = shipped_floors(), {}
    for pair in read_cdd_cesm(CDD_CESM, "test"):
        case = Case.from_pair(pair)
        predicted = floors.predict(case)
        images = {name: predicted[name] for name in ("F0", "F1", "F2b")}
        images["blur"] = smooth_within(case.recombined, case.shared, 2)
        for name, image in images.items():
            found.setdefault(name, []).append(score_case(case, image))
    expected = {
        "F0": {"psnr": 15.51, "ssim": 0.341, "mae": 0.1297, "ncc_interior": 0.442, "auroc_lesion": 0.854,
               "dice_hot": 0.313, "auroc_hot": 0.834, "ncc_hp": 0.357, "psnr_affine": 20.12,
               "psnr_frame": 19.21, "ssim_frame": 0.705},
        "F1": {"psnr": 18.66, "ssim": 0.533, "mae": 0.0904, "psnr_frame": 21.51, "ssim_frame": 0.767},
        "F2b": {"psnr": 19.83, "ssim": 0.549, "mae": 0.0759, "ncc_interior": 0.526, "dice_hot": 0.280},
        "blur": {"psnr": 29.95, "ssim": 0.746, "mae": 0.0218, "ncc_interior": 0.957, "dice_hot": 0.958},
    }  # fmt: skip
    for name, metrics in expected.items():
        for metric, value in metrics.items():
            mean = np.mean([scores[metric] for scores in found[name]])
            assert mean == pytest.approx(value, abs=0.012 if "psnr" in metric else 0.0012), (name, metric)


def test_a_ratio_is_compared_by_its_distance_from_one() -> None:
    statistics = {name: {"d_ratio": np.array([1.5, 1.4, 1.6])} for name in NAMES}
    statistics["model"] = {"d_ratio": np.array([0.8, 0.9, 0.7])}
    paired = _paired("d_ratio", statistics)
    assert paired["lower_is_better"]
    assert paired["value"] == pytest.approx(0.2 - 0.5)


def test_a_pair_of_any_size_is_laid_into_the_middle_of_the_frame() -> None:
    pixels = np.zeros((100, 60), np.float32)
    pixels[40:60, :30] = 0.5
    pair = ContrastPair(Mammogram(pixels, "a", pixel_spacing_mm=(1.0, 1.0)), pixels, "P1", lesion=pixels > 0)
    framed = into_frame(pair)
    assert framed.low_energy.pixels.shape == (512, 512)
    assert framed.low_energy.pixels[256, 20 * 5 : 50 * 5].mean() == pytest.approx(0.5, abs=0.02)  # 20 columns of black
    assert framed.lesion is not None
    assert framed.lesion.mean() == pytest.approx(0.5 * 0.2 * 0.6, rel=0.03)
    assert into_frame(framed) is framed


@pytest.mark.slow
def test_phantoms_are_evaluated_as_the_tutorial_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phantoms = ["--cases", "1", "--seed", "8", "--views", "CC", "--pixel-mm", "2.4", "--workers", "1"]
    assert main(["phantom", "--out", str(tmp_path), *phantoms]) == 0
    assert main(["evaluate", "contrast", "--data", str(tmp_path), "--split", "val", "--set", "bootstrap=20"]) == 0
    assert "2 images of 1 patient," in capsys.readouterr().out
