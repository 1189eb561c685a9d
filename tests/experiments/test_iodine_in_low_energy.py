"""The experiment on iodine in low-energy images: its measures on known values, and the whole of it at a tiny size."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.iodine_in_low_energy import BOUNDS, RELEASED, TRAININGS, main
from experiments.iodine_response import FREE, WITH, Lesions, Reading, summarise, threshold_of
from experiments.iodine_twins import (
    LEVELS,
    NATURAL,
    TWINS,
    WINDOW,
    TwinSettings,
    TwinView,
    missing_patients,
    read_views,
    to_mg_cm2,
    write_patient,
)
from mammosynth.phantom.imaging.presentation import present_recombined
from mammosynth.phantom.parameters import LesionKind
from mammosynth.terms import ViewPosition

TINY = ("--breasts", "2,1,2", "--pixel-mm", "3.6", "--views", "CC", "--steps", "1", "--batch", "1", "--bootstrap", "20")


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> TwinView:
    """One spiculated lesion."""
    folder = tmp_path_factory.mktemp("patients")
    settings = TwinSettings({"test": 1}, pixel_mm=2.4, views=(ViewPosition.CC,))
    (job,) = missing_patients(folder, settings)
    write_patient(folder, settings, job)
    assert missing_patients(folder, settings) == []
    return next(read_views(folder, settings, "test"))


def readings(slope: float, offset: float, model: str = "straight") -> list[Reading]:
    """Ten patients whose output is a straight line in true iodine."""
    truths = {NATURAL: 0.8, **LEVELS}
    return [
        Reading(model, WITH, twin, seed, "spiculated", "CC", offset + slope * truth, truth, truth * (1 + seed / 10))
        for seed in range(10)
        for twin, truth in truths.items()
    ]


def test_window_of_the_recombined_images_is_inverted_to_iodine() -> None:
    iodine = np.linspace(-0.5, 2.0, 50, dtype=np.float32)[None]
    grey = present_recombined(iodine, np.ones(iodine.shape, bool), style=WINDOW)
    np.testing.assert_allclose(to_mg_cm2(grey), iodine, atol=1e-4)


@pytest.mark.slow
def test_twins_differ_in_the_iodine_of_the_lesion_and_not_in_the_iodine_free_image(view: TwinView) -> None:
    assert set(view.low_energy) == {*TWINS, FREE}
    assert [view.uptake_mg_ml[twin] for twin in LEVELS] == list(LEVELS.values())
    contrasts = [view.contrast(view.iodine_mg_cm2[twin]) for twin in LEVELS]
    truths = [view.contrast(view.iodine_cm) * uptake for uptake in LEVELS.values()]
    assert np.polyfit(truths, contrasts, 1)[0] == pytest.approx(1, abs=0.1)
    low_energy = [view.contrast(view.low_energy[twin]) for twin in LEVELS]
    assert low_energy[0] < low_energy[1] < low_energy[2]


def test_pair_without_iodine_in_the_source_has_the_same_target(view: TwinView) -> None:
    seen, free = (view.pair("high", iodine_in_low_energy=iodine) for iodine in (True, False))
    np.testing.assert_array_equal(seen.recombined, free.recombined)
    assert (seen.low_energy.pixels != free.low_energy.pixels).any()
    assert free.low_energy.source_name.endswith(FREE)


def test_patients_of_the_splits_are_disjoint_and_kinds_take_turns() -> None:
    settings = TwinSettings({"train": 12, "val": 12, "test": 12})
    patients = {split: settings.patients(split) for split in settings.breasts}
    seeds = [seed for of_split in patients.values() for seed, _ in of_split]
    assert len(set(seeds)) == len(seeds)
    assert all([kind for _, kind in of_split] == 2 * list(LesionKind) for of_split in patients.values())


@pytest.mark.parametrize(("slope", "auroc"), [(0.0, 0.5), (0.4, 1.0), (1.0, 1.0)])
def test_response_of_a_known_line_is_its_slope(slope: float, auroc: float) -> None:
    made = [replace(r, contrast=0.3 + slope * r.truth) for r in readings(0, 0)]
    lesions = Lesions(made, "straight", WITH)
    numbers = summarise(lesions, threshold=0.31, bootstrap=50)
    assert numbers["slope"]["value"] == pytest.approx(slope)
    assert numbers["AUROC, high v. zero"]["value"] == pytest.approx(auroc)
    assert numbers["contrast, zero"]["value"] == pytest.approx(0.3)
    assert numbers["called, zero"]["value"] == 0


def test_threshold_is_exceeded_by_four_fifths_of_enhancing_lesions() -> None:
    lesions = Lesions([replace(r, contrast=r.truth + r.seed) for r in readings(1, 0)], "straight", WITH)
    enhancing = np.concatenate([lesions.contrast["low"], lesions.contrast["high"]])
    assert (enhancing > threshold_of(lesions)).mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.slow
def test_whole_experiment_runs_and_goes_on_where_it_was(tmp_path: Path) -> None:
    main(["--output", str(tmp_path), *TINY])
    results = json.loads((tmp_path / "results.json").read_text())
    shown = {(row["model"], row["low_energy"]): row["numbers"] for row in results["models"]}
    models = (RELEASED, *TRAININGS)
    assert set(shown) == {(model, seen) for model in models for seen in (WITH, FREE)} | set(BOUNDS)
    assert all(shown[model, FREE]["slope"]["value"] == pytest.approx(0, abs=1e-9) for model in models)
    assert shown["target again", WITH]["slope"]["value"] == pytest.approx(1, abs=0.15)
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"iodine-{name}.png" for name in ("response", "correlation", "false-enhancement", "twins")
    }
    before = (tmp_path / "readings.csv").read_text()
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    main(["--output", str(tmp_path), *TINY])
    assert (tmp_path / "readings.csv").read_text() == before
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == written
