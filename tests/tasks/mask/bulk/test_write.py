"""Data sets: exact, resumable, the same bytes in any order and number of processes, read back by the task itself."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from mammosynth import cli
from mammosynth.atomic import UNFINISHED
from mammosynth.bundle import default_bundle, find_bundle
from mammosynth.dicom.generated import generated_mark_of, is_synthesized_uid
from mammosynth.dicom.segmentation import referenced_images
from mammosynth.errors import DataError, InvalidParameterError, OutputError
from mammosynth.parallel.local import LocalEngine
from mammosynth.tasks.mask.bulk import case
from mammosynth.tasks.mask.bulk.case import Shared, make_case, plan
from mammosynth.tasks.mask.bulk.specification import read_specification
from mammosynth.tasks.mask.bulk.write import Written, write_data_set
from mammosynth.tasks.mask.cases import MaskCase
from mammosynth.tasks.mask.classes import BreastClass, is_lesion
from mammosynth.tasks.mask.data import DATASET
from tests.support.full_disk import full_disk
from tests.support.shared import made_once

pytestmark = pytest.mark.slow

CASES = 6
SPEC = {
    "seed": 5,
    "lesions": {"none": 1, "malignant": 1, "benign+calcification": 1},
    "lesion_mm": {"malignant": [8, 12], "benign": [6, 9], "calcification": [6, 9]},
    "split": ["train", "val"],
    "shape": [256, 200],
}


def _specification(folder: Path, **changes: object) -> Path:
    path = folder / "spec.json"
    path.write_text(json.dumps({**SPEC, **changes}))
    return path


def _write(output: Path, cases: int = CASES, jobs: int = 1, **changes: object) -> Written:
    spec = _specification(output.parent, **changes)
    return write_data_set(output, cases, spec, bundle=default_bundle("mask"), engine=LocalEngine(jobs))


def _tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole data set, which nobody changes."""

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "set")

    return made_once(tmp_path_factory, "bulk", write) / "set"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """One that may be changed."""
    return Path(shutil.copytree(made, tmp_path / "set"))


def _read(folder: Path) -> dict[str, MaskCase]:
    cases = [case for split in DATASET.splits(folder) for case in DATASET.read(folder, split)]
    return {Path(case.name).stem: case for case in cases}


def test_the_manifest_has_the_exact_quotas_and_every_case(made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    assert manifest["quotas"]["lesions"] == {"none": 2, "malignant": 2, "benign+calcification": 2}
    assert manifest["quotas"]["view_position"] == {"CC": 3, "MLO": 3}
    for axis, counts in manifest["quotas"].items():
        assert Counter(each[axis] for each in manifest["cases"]) == {k: n for k, n in counts.items() if n}
    planned = plan(read_specification(_specification(made.parent)), CASES)
    assert [each["name"] for each in manifest["cases"]] == [each.name for each in planned]
    assert manifest["settings"]["seed"] == 5
    assert manifest["model"]["bundle"] == "breast_mg_mask"


def test_training_reads_it_back_as_it_was_planned(made: Path) -> None:
    cases = _read(made)
    records = {each["name"]: each for each in json.loads((made / "manifest.json").read_text())["cases"]}
    assert set(cases) == set(records)
    assert len({each.patient_id for each in cases.values()}) == CASES
    for name, read in cases.items():
        record = records[name]
        assert (read.density, read.look, read.image.view_position, read.image.image_laterality) == (
            *(record["density"], record["look"]),
            *(record["view_position"], record["image_laterality"]),
        )
        assert read.image.pixels.shape == read.labels.labels.shape == (256, 200)
        assert read.patient_id == record["patient"]
        assert read.image.pixels[read.labels.labels > 0].std() > 0.02
    assert {case.name for case in DATASET.read(made, "train")}.isdisjoint(
        case.name for case in DATASET.read(made, "val")
    )


def test_every_breast_holds_its_lesions_of_the_sizes_that_were_asked_for(made: Path) -> None:
    classes = {"malignant": {7}, "benign+calcification": {6, 8}, "none": set()}
    for record in json.loads((made / "manifest.json").read_text())["cases"]:
        labels = np.asarray(Image.open(made / record["files"]["labels"]["name"]))
        assert set(np.unique(labels[is_lesion(labels)]).tolist()) == classes[record["lesions"]]
        for kind, sizes in record["lesion_diameters_mm"].items():
            (size,) = sizes
            low, high = SPEC["lesion_mm"][kind]
            # a pixel is 1 mm here; the box of a cluster that lies askew is shorter than the cluster
            assert low * (0.6 if kind == "calcification" else 1) - 1 <= size <= high + 1.5


def test_the_number_of_processes_and_the_order_change_no_byte(made: Path, tmp_path: Path) -> None:
    _write(tmp_path / "set", jobs=2)
    assert _tree(tmp_path / "set") == _tree(made)
    specification = read_specification(_specification(tmp_path))
    for planned in reversed(plan(specification, CASES)[1:3]):
        make_case(tmp_path / "some", Shared(specification, default_bundle("mask")), planned)
    some = _tree(tmp_path / "some")
    assert len(some) == 6
    assert some.items() <= _tree(made).items()


def test_what_is_whole_is_kept_and_what_is_not_is_made_again(copied: Path, made: Path) -> None:
    first, second, third, *_ = sorted((copied / "images").iterdir())
    kept = third.stat().st_mtime_ns
    with first.open("r+b") as file:
        file.seek(200)
        file.write(b"changed")
    (copied / "records" / f"{second.stem}.json").unlink()
    (copied / "labels" / f"{UNFINISHED}0-a.png").touch()
    (copied / "cases.csv").unlink()
    written = _write(copied)
    assert (written.made, written.kept, list(written.refused)) == (2, CASES - 2, [])
    assert _tree(copied) == _tree(made)
    assert third.stat().st_mtime_ns == kept


def test_another_specification_or_number_in_the_same_folder_is_refused_in_words(copied: Path, tmp_path: Path) -> None:
    before = _tree(copied)
    with pytest.raises(DataError, match=r"set: holds a data set made in another way: seed is 5 there and 6 here\. Ask"):
        _write(copied, seed=6)
    with pytest.raises(DataError, match="cases is 6 there and 8 here"):
        _write(copied, 8)
    assert _tree(copied) == before
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").touch()
    with pytest.raises(DataError, match=r"holiday: holds files but no manifest\.json.*choose an empty folder"):
        _write(tmp_path / "holiday")
    (tmp_path / "holiday" / "manifest.json").write_text('{"format": "MammoSynth phantoms 1"}')
    with pytest.raises(DataError, match="format is 'MammoSynth phantoms 1', expected"):
        _write(tmp_path / "holiday")


def test_a_full_disk_leaves_nothing_half_written_and_it_goes_on_with_space(tmp_path: Path, made: Path) -> None:
    with full_disk(8000), pytest.raises(OutputError, match="cannot be written"):
        _write(tmp_path / "set")
    assert not list((tmp_path / "set").rglob(f"{UNFINISHED}*"))
    assert not list((tmp_path / "set").rglob("records/*"))
    _write(tmp_path / "set")
    assert _tree(tmp_path / "set") == _tree(made)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_command_goes_on_to_the_same_bytes(number: int, tmp_path: Path, made: Path) -> None:
    output = tmp_path / "set"
    command = [sys.executable, "-m", "mammosynth", "synthesize", "mask", "--cases", str(CASES), "--workers", "2"]
    command += ["--spec", str(_specification(tmp_path)), "--output", str(output)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(output.glob("records/case-*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal does: to all processes
    _, told = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted" in told
        assert "Traceback" not in told
        assert not list(output.rglob(f"{UNFINISHED}*"))
    there = _tree(output)
    assert not [name for name in there if "sheet" in name]
    assert _write(output).kept >= 1
    assert _tree(output) == _tree(made)


def test_a_breast_without_room_is_refused_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case, "BREASTS", 1)
    many = "+".join(["malignant"] * 8)
    written = _write(tmp_path / "set", 2, lesions={"none": 1, many: 1}, lesion_mm={"malignant": [60, 60]})
    (refusal,) = written.refused
    assert "none of 1 breasts has room for malignant+malignant" in refusal
    assert "ask for smaller or fewer lesions" in refusal
    assert (written.made, len(_read(tmp_path / "set"))) == (1, 1)


def test_dicom_says_what_it_is_and_has_no_random_word(tmp_path: Path, made: Path) -> None:
    _write(tmp_path / "set", 2, format="dicom", burned_in_mark=False)
    _write(tmp_path / "again", 2, format="dicom", burned_in_mark=False)
    assert _tree(tmp_path / "set") == _tree(tmp_path / "again")
    patients = set()
    for path in sorted((tmp_path / "set" / "images").iterdir()):
        image, labels = (pydicom.dcmread(tmp_path / "set" / each / path.name) for each in ("images", "labels"))
        for dataset in (image, labels):
            assert generated_mark_of(dataset) == "(0008,001C) Synthetic Data is 'YES'"
            assert dataset.PatientID == image.PatientID
            assert (dataset.StudyDate, dataset.ContentDate) == ("20000101", "20000101")
            assert is_synthesized_uid(dataset.SOPInstanceUID)
        assert (image.ContentQualification, image.BurnedInAnnotation) == ("RESEARCH", "NO")
        assert referenced_images(labels) == (image.SOPInstanceUID,)
        patients.add(str(image.PatientID))
    read = _read(tmp_path / "set")
    assert {each.patient_id for each in read.values()} == patients
    assert all((each.labels.labels == BreastClass.SKIN).any() for each in read.values())
    assert {each.image.pixel_spacing_mm for each in read.values()} == {(1.0, 1.0)}


def test_label_maps_are_the_same_in_both_formats(tmp_path: Path) -> None:
    for name in ("png", "dicom"):
        _write(tmp_path / name, 2, format=name)
    png, dicom = _read(tmp_path / "png"), _read(tmp_path / "dicom")
    assert set(png) == set(dicom)
    assert all((png[name].labels.labels == dicom[name].labels.labels).all() for name in png)


def _without_hashes(folder: Path) -> None:
    with (folder / "cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (folder / "cases.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [name for name in rows[0] if "sha256" not in name], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _with_other_labels(folder: Path) -> None:
    for path in (folder / "labels").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize(
    ("change", "words"),
    [(_without_hashes, "a generated image; choose its source"), (_with_other_labels, r"is not what cases\.csv says")],
)
def test_generated_images_are_read_only_where_the_table_knows_their_bytes(
    change: Callable[[Path], None], words: str, copied: Path
) -> None:
    change(copied)
    with pytest.raises(DataError, match=words):
        DATASET.read(copied, "train")


def test_a_contact_sheet_is_bounded_and_shows_the_outlines(made: Path) -> None:
    (sheet,) = (made / "sheets").iterdir()
    assert sheet.stat().st_size < 1_000_000
    with Image.open(sheet) as page:
        assert page.width <= 1700
        assert page.height <= 1700
        pixels = np.asarray(page, np.int16)
    red = (pixels[..., 0] > 180) & (pixels[..., 1] < 110) & (pixels[..., 2] < 110)
    assert red.sum() > 30  # the outlines of two malignant lesions


def test_a_model_that_has_not_what_is_asked_for_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="parameter 'look' is 'film', expected digital: model .*pix2pix"):
        write_data_set(
            tmp_path / "set",
            1,
            _specification(tmp_path, look="film"),
            bundle=find_bundle("breast_mg_mask_pix2pix"),
        )
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mask", "--cases", "1", "--format", "png", "--no-mark"], "--cases with --format, --no-mark: leave out"),
        (["mask", "a.png", "--cases", "1"], "--cases with inputs: leave out"),
        (["mask", "--spec", "a.yaml"], "synthesize: name files or folders, or give --cases N, with --spec"),
        (["mask", "--cases", "0"], "--cases is 0, expected 1 or more"),
        (["mask", "--cases", "1", "--workers", "0"], "--workers is 0, expected 1 or more"),
        (["contrast", "--cases", "1"], "task contrast has no bulk; choose another task"),
    ],
)
def test_the_command_refuses_in_words(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(["synthesize", *arguments, "--output", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
