"""Answers as DICOM SR: what was said of which image is read back by others, and dciodvfy finds no fault."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom.sr import CodedConcept, srread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mammosynth.cli import main
from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.write import write_instance
from mammosynth.errors import ConflictError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.answers import Answer
from mammosynth.reading.export import write_structured_reports
from mammosynth.reading.protocol import parse_protocol
from mammosynth.reading.store import StudyStore
from tests.support.instances import build_instance

LESIONS = [
    {"shape": "point", "image": 1, "x": 10.0, "y": 20.0, "rating": 80},
    {
        "shape": "ellipse",
        "image": 2,
        "x": 15.5,
        "y": 30.0,
        "radius_x": 2.0,
        "radius_y": 6.0,
        "angle": 30.0,
        "rating": 5,
    },
]
ANSWERS = [
    Answer("lesions", LESIONS),
    Answer("artefacts", []),
    Answer("realism", 4),
    Answer("bpe", "b", "R"),
    Answer("bpe", "c", "L"),
    Answer("lesion", {"answer": "yes", "suspicion": 70}),
    Answer("origin", {"answer": "generated", "confidence": 55}),
    Answer("quality", {"contrast": 3, "noise": 5}, "2"),
    Answer("remark", "Läsion lateral, 7 mm \\ unscharf"),
]
QUESTIONS = {
    "lesions": {"type": "marks", "title": "Mark each lesion"},
    "artefacts": {"type": "marks", "title": "Mark artefacts", "finding": "artefact", "rated": False},
    "realism": {"type": "likert", "title": "How real does it look, from 1 to 5? " + "A long question. " * 5},
    "bpe": {
        "type": "category",
        "title": "BPE",
        "per": "breast",
        "categories": ["a", "b", "c", "d"],
        "labels": ["minimal", "mild", "moderate", "marked"],
    },
    "lesion": {"type": "yes_no", "title": "Is there a lesion?", "suspicion": True},
    "origin": {"type": "real_or_generated", "title": "Real or generated?"},
    "quality": {
        "type": "items",
        "title": "Quality",
        "per": "image",
        "items": {"contrast": "Contrast", "noise": "Noise \\ grain"},
        "required": False,
    },
    "remark": {"type": "text", "title": "Remarks", "required": False},
}
PROTOCOL = {
    "version": 1,
    "name": "told",
    "title": "Everything that can be said",
    "reading_unit": "patient",
    "arms": {"clinical": {"title": "Clinical"}},
    "reference_arm": "clinical",
    "readers": ["Zoë / 1", "bob"],
    "questions": QUESTIONS,
    "design": {"sessions": 1, "seed": 1},
    "endpoints": {"bpe": {"title": "Agreement", "question": "bpe", "statistic": "reader_agreement"}},
    "cases": {"one": {"patient": "P1", "breasts": ["R", "L"], "images": {"clinical": ["one-R", "one-L"]}}},
}


def image(source: str, **attributes: Any) -> Mammogram:
    number = {"one-R": 1, "one-L": 2}[source]
    side = source[-1]
    found = {"SOPInstanceUID": f"1.2.3.4.{number}", "ImageLaterality": side, "PatientOrientation": None}
    return read_mammogram(build_instance(**(found | attributes)), source_name=source)


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """Of the closed study, which one of its readers has read; a first answer was given again."""
    store = StudyStore(tmp_path / "s.sqlite")
    store.open_study(parse_protocol(json.dumps(PROTOCOL)), "owner")
    store.start_session("told", "Zoë / 1", 1)
    store.save("told", "Zoë / 1", 1, 1, [Answer("realism", 1)])
    store.save("told", "Zoë / 1", 1, 1, ANSWERS)
    store.close_study("told", by="owner", reason="one reader is enough")
    found = store.content("told")
    store.close()
    return found


@pytest.fixture
def report(content: dict[str, Any], tmp_path: Path) -> Path:
    assert write_structured_reports(ClosedStudy.of(content), tmp_path / "sr", image) == 1
    (file,) = (tmp_path / "sr").iterdir()
    assert file.name == "reader-01-session-1-reading-001.dcm", "a reader's name may be no name of a file"
    return file


def test_marks_lie_where_they_were_set_on_the_source(report: Path) -> None:
    groups = srread(report).content.get_planar_roi_measurement_groups()
    point, ellipse = groups
    assert [group.roi.GraphicType for group in groups] == ["POINT", "ELLIPSE"]
    assert list(point.roi.GraphicData) == [10.5, 20.5], "DICOM counts from the corner of the first pixel"
    assert [image_uid(group.roi) for group in groups] == ["1.2.3.4.1", "1.2.3.4.2"]
    ends = np.array(ellipse.roi.GraphicData).reshape(4, 2)
    np.testing.assert_allclose(ends.mean(axis=0), [16, 30.5], atol=1e-5)
    lengths = [np.linalg.norm(ends[1] - ends[0]), np.linalg.norm(ends[3] - ends[2])]
    np.testing.assert_allclose(lengths, [12, 4], rtol=1e-5, err_msg="the longer axis comes first")
    np.testing.assert_allclose(ends[3] - ends[2], 4 * np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)]), rtol=1e-5)
    assert [group.finding_type for group in groups] == [codes.SCT.Lesion] * 2
    assert [group.get_measurements()[0].value for group in groups] == [80, 5]
    assert [group.finding_sites[0].laterality for group in groups] == [codes.SCT.Right, codes.SCT.Left]


def image_uid(region: Dataset) -> str:
    return region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID


def test_every_other_answer_is_a_group_with_its_question(report: Path) -> None:
    document = srread(report)
    groups = {group.tracking_identifier: group for group in document.content.get_image_measurement_groups()}
    said = {name: [each.value for each in group.get_qualitative_evaluations()] for name, group in groups.items()}
    assert said["bpe (R)"] == [CodedConcept("b", "99MAMMOSYNTH", "mild")]
    assert said["bpe (L)"][0].meaning == "moderate"
    assert said["lesion (case)"] == [codes.SCT.Yes]
    assert said["origin (case)"][0].meaning == "Generated image"
    assert said["artefacts (case)"][0].meaning == "None"
    values = {name: [each.value for each in group.get_measurements()] for name, group in groups.items()}
    assert values["realism (case)"] == [4], "the last answer counts"
    assert (values["lesion (case)"], values["origin (case)"], values["quality (2)"]) == ([70], [55], [3, 5])
    names = [each.name.meaning for each in groups["quality (2)"].get_measurements()]
    assert names == ["Contrast", "Noise / grain"]
    assert groups["bpe (L)"].finding_sites[0].laterality == codes.SCT.Left
    shown = [
        [each.referenced_sop_instance_uid for each in groups[name].source_images] for name in ("bpe (L)", "bpe (R)")
    ]
    assert shown == [["1.2.3.4.2"], ["1.2.3.4.1"]]
    assert [each.TextValue for each in groups["remark (case)"][0].ContentSequence if each.ValueType == "TEXT"][-1] == (
        ANSWERS[-1].value
    )
    assert document.content.get_observer_contexts()[0].observer_identifying_attributes.name == "Zoë / 1^"


def test_it_lies_in_the_study_of_its_sources_and_nobody_has_verified_it(report: Path, content: dict[str, Any]) -> None:
    found = pydicom.dcmread(report)
    assert (found.StudyInstanceUID, found.PatientID, found.Modality) == ("1.2.3", image("one-R").header.PatientID, "SR")
    assert (found.ContentTemplateSequence[0].TemplateIdentifier, found.VerificationFlag) == ("1500", "UNVERIFIED")
    evidence = found.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert [each.ReferencedSOPInstanceUID for each in evidence] == ["1.2.3.4.1", "1.2.3.4.2"]
    at = content["records"][-2]["at"]
    assert found.ContentDate == at[:10].replace("-", "")
    assert found.ObservationDateTime.endswith("+0000")


def test_the_same_records_give_the_same_bytes(report: Path, content: dict[str, Any], tmp_path: Path) -> None:
    write_structured_reports(ClosedStudy.of(content), tmp_path / "again", image)
    assert (tmp_path / "again" / report.name).read_bytes() == report.read_bytes()


def test_dciodvfy_finds_no_fault(report: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed: conformance of Structured Reports is not tested")
    checked = subprocess.run(["dciodvfy", "-new", report], capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert "ComprehensiveSR" in "".join(lines), "it knew what to check"
    assert [line for line in lines if line.startswith("Error")] == []


def test_dcmtk_reads_it(report: Path) -> None:
    if shutil.which("dsrdump") is None:
        pytest.skip("dsrdump of dcmtk is not installed: that it reads Structured Reports is not tested")
    dumped = subprocess.run(["dsrdump", report], capture_output=True, text=True, check=False)
    assert dumped.returncode == 0, dumped.stderr
    assert 'SCOORD:(,,"Image Region")=(POINT,10.5/20.5)' in dumped.stdout


def test_a_source_of_little_is_enough(content: dict[str, Any], tmp_path: Path) -> None:
    def bare(source: str) -> Mammogram:
        return image(source, PatientSex=None, PatientBirthDate=None, AccessionNumber=None, StudyDate=None, StudyID=None)

    write_structured_reports(ClosedStudy.of(content), tmp_path, bare)
    assert len(srread(next(tmp_path.glob("*.dcm"))).content.get_planar_roi_measurement_groups()) == 2


def test_images_of_two_patients_and_other_formats_are_refused(content: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnsupportedImageError, match="case one have several values of .0010,0020. Patient ID"):
        write_structured_reports(ClosedStudy.of(content), tmp_path, lambda source: image(source, PatientID=source))
    with pytest.raises(UnsupportedImageError, match="one-R: is no DICOM"):
        write_structured_reports(
            ClosedStudy.of(content), tmp_path, lambda source: Mammogram(np.zeros((2, 2), np.float32), source)
        )


def test_the_command_writes_them_from_a_folder_of_files(
    content: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in ("one-R", "one-L"):
        write_instance(build_instance(SOPInstanceUID=f"1.2.{len(source)}"), tmp_path / "images" / f"{source}.dcm")
    export = ["study", "export", "told", "--store", str(tmp_path / "s.sqlite"), "--sr"]
    assert main([*export, "--output", str(tmp_path / "sr")]) == 1
    assert "--sr needs --images FOLDER" in capsys.readouterr().err
    assert main([*export, "--output", str(tmp_path / "sr"), "--images", str(tmp_path / "images")]) == 0
    assert "Wrote 1 Structured Report to" in capsys.readouterr().out
    assert len(srread(next((tmp_path / "sr").iterdir())).content.get_planar_roi_measurement_groups()) == 2


def test_an_open_study_gives_none(content: dict[str, Any], tmp_path: Path) -> None:
    store = StudyStore(tmp_path / "open.sqlite")
    store.open_study(parse_protocol(json.dumps(PROTOCOL)), "owner")
    with pytest.raises(ConflictError, match="told is open"):
        write_structured_reports(ClosedStudy.of(store.content("told")), tmp_path / "sr", image)
    store.close()
    assert not (tmp_path / "sr").exists()
