"""Cohorts: reproducible, resumable, never mixed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from mammosynth.errors import DataError
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.clinic.cohort import reproduce_cohort, write_cohort
from mammosynth.phantom.clinic.manifest import (
    CohortSettings,
    case_parameters,
    finished_case,
    read_manifest,
    split_of,
)
from mammosynth.phantom.clinic.write import write_case
from mammosynth.phantom.parameters import CaseParameters, Density, LesionKind, ParenchymalEnhancement, Vendor
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.cohort import SEEDS, SETTINGS
from tests.support.waiting import until


@pytest.fixture
def copied(cohort: Path, tmp_path: Path) -> Path:
    """A cohort that may be changed."""
    return Path(shutil.copytree(cohort, tmp_path / "phantoms"))


@pytest.mark.slow
def test_a_manifest_tells_settings_software_splits_and_what_became_of_every_case(cohort: Path) -> None:
    settings, manifest = read_manifest(cohort)
    assert settings == SETTINGS
    assert manifest["software"]["generator"]
    assert manifest["software"]["numpy"] == np.__version__
    assert [(case["seed"], case["split"]) for case in manifest["cases"]] == [(0, "train"), (8, "val"), (9, "test")]
    for case in manifest["cases"]:
        assert case_parameters(case["parameters"]) == SETTINGS.case(case["seed"])
        (lesion,) = case["lesions"]
        assert lesion["kind"] == "spiculated"
        assert len(lesion["centre_mm"]) == 3
        assert set(lesion["views"]) == {"CC", "MLO"}
        assert {file["kind"] for file in case["files"]} >= {"low energy", "recombined", "tissues", "truth"}
        assert all(0 < view["volumetric_density"] < 1 for view in case["views"])


@pytest.mark.slow
def test_the_number_of_processes_changes_no_bit(cohort: Path, tmp_path: Path) -> None:
    record = write_case(tmp_path / "case", SETTINGS.case(8), maps=True)
    known = read_manifest(cohort)[1]["cases"][1]
    assert [file["sha256"] for file in record["files"]] == [file["sha256"] for file in known["files"]]


@pytest.mark.slow
def test_finished_cases_are_kept_and_missing_or_damaged_ones_made_again(copied: Path) -> None:
    before = read_manifest(copied)[1]
    kept = (copied / "case-000000" / "R-CC-low-energy.dcm").stat().st_mtime_ns
    with (copied / "case-000008" / "R-CC-low-energy.dcm").open("ab") as file:
        file.truncate(1000)
    (copied / "case-000009" / "case.json").unlink()
    assert finished_case(copied, 8) is finished_case(copied, 9) is None
    told: list[tuple[int, int, str]] = []
    after = write_cohort(copied, SETTINGS, SEEDS, engine=LocalEngine(1), progress=lambda *news: told.append(news))
    assert after["cases"] == before["cases"]
    assert told == [(2, 3, "case-000008"), (3, 3, "case-000009")]
    assert (copied / "case-000000" / "R-CC-low-energy.dcm").stat().st_mtime_ns == kept


def test_a_changed_hash_is_found_by_reproducing(copied: Path, cohort: Path) -> None:
    assert reproduce_cohort(cohort, copied) == []
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["cases"][1]["files"][0]["sha256"] = "0" * 64
    manifest["software"]["numpy"] = "0.1"
    elsewhere = copied.parent / "manifest.json"
    elsewhere.write_text(json.dumps(manifest))
    found = reproduce_cohort(elsewhere, copied)
    assert found == [f"numpy is 0.1 there and {np.__version__} here", "case-000008/R-CC-low-energy.dcm: other pixels"]


def test_cohorts_are_not_mixed(copied: Path, tmp_path: Path) -> None:
    other = replace(SETTINGS, parameters=replace(SETTINGS.parameters, halo=1.0))
    with pytest.raises(DataError, match=r"halo is 0\.5 there and 1\.0 here.*choose another folder"):
        write_cohort(copied, other, SEEDS)
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").touch()
    with pytest.raises(DataError, match=r"holiday: holds files but no manifest\.json"):
        write_cohort(tmp_path / "holiday", SETTINGS, SEEDS)


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "no JSON"), ("{}", "not a manifest of phantoms"), ('{"format": "other"}', "format is 'other'")],
)
def test_a_damaged_manifest_is_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=words):
        read_manifest(tmp_path)


def test_a_missing_manifest_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.json: cannot be read"):
        read_manifest(tmp_path)


def test_settings_survive_json() -> None:
    parameters = CaseParameters(
        0,
        density=Density.C,
        lesions=(LesionKind.NON_MASS, LesionKind.INDISTINCT),
        parenchymal_enhancement=ParenchymalEnhancement.D,
        vendor=Vendor.B,
        halo=0.25,
        iodine_in_low_energy=False,
        views=(ViewPosition.MLO,),
        sides=(ImageLaterality.LEFT,),
        pixel_mm=1.0,
    )
    for settings in (CohortSettings(parameters, maps=True, device="cuda"), CohortSettings(CaseParameters(0))):
        assert CohortSettings.from_json(json.loads(json.dumps(settings.as_json()))) == settings


def test_a_seed_is_in_one_split_whatever_the_cohort() -> None:
    assert [split_of(seed) for seed in (0, 7, 8, 9, 10, 118, 9999)] == [
        *("train", "train", "val", "test", "train", "val", "test")
    ]


def test_maps_are_the_path_lengths_and_iodine_of_the_view(cohort: Path) -> None:
    view = next(iter(generate_case(SETTINGS.case(8))))
    with np.load(cohort / "case-000008" / "R-CC-truth.npz") as maps:
        np.testing.assert_allclose(maps["gland_mm"], view.paths.gland_mm, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(maps["iodine_lesion_mg_cm2"], view.iodine_mg_cm2["lesion"], rtol=1e-3, atol=1e-3)
        assert maps["lesion_1_mm"].max() > 0


@pytest.mark.slow
def test_an_interrupted_command_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mammosynth", "phantom", "--out", str(tmp_path / "p"), "--cases", "6"]
    command += ["--pixel-mm", "2", "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / "p").glob("case-*/case.json")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    assert process.communicate(timeout=30)[1].endswith("interrupted\n")
    assert process.returncode == 130
    until(lambda: not _alive(process.pid))
    assert 0 < len(read_manifest(tmp_path / "p")[1]["cases"]) < 6
    subprocess.run(command, check=True, capture_output=True)
    settings, manifest = read_manifest(tmp_path / "p")
    assert len(manifest["cases"]) == 6
    first = manifest["cases"][0]
    assert write_cohort(tmp_path / "alone", settings, [first["seed"]], engine=LocalEngine(1))["cases"] == [first]


def _alive(group: int) -> list[psutil.Process]:
    """Processes of a group; zombies, whom nobody may have reaped, are not alive."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except ProcessLookupError:
            continue
    return found
