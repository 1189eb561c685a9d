"""Folders in, folders out: nothing is lost, nothing is overwritten, one bad file stops nothing."""

import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from pydicom.uid import JPEGLSLossless

from mammosynth.batch import BatchReport, FileOptions, synthesize_files
from mammosynth.dicom.provenance_element import read_provenance
from mammosynth.errors import InvalidParameterError, OutputError
from mammosynth.journey import Order
from mammosynth.mammogram import Mammogram
from mammosynth.task import IMAGE, Output, Placement, Slot, SlotKind
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.bombs import DEFLATED, EXPLICIT, beginning_of_file, nested_sequences, packed_zeros, too_long_rle_file
from tests.support.image_files import NAMES, image_file
from tests.support.instances import as_file, breast_values, build_instance
from tests.support.models import PAINTING, Counting, Inverting, Painter, bundle_of
from tests.support.mutants import mutants

VALUES = breast_values()


def run(*inputs: Path, output: Path, others: dict[str, Path] | None = None, **options: Any) -> BatchReport:
    files = {name: options.pop(name) for name in list(options) if name in FileOptions.__dataclass_fields__}
    progress = options.pop("progress", None)
    order = Order.parse(bundle_of(Inverting()), {"burned_in_mark": False, **options})
    return synthesize_files(inputs, output, order, others=others, options=FileOptions(**files), progress=progress)


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((VALUES // 16).astype(np.uint8)).save(path)
    return path


def dicom(path: Path, **attributes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_file(build_instance(**attributes)).getvalue())
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_keeps_its_structure_and_its_formats(tmp_path: Path) -> None:
    source = tmp_path / "in"
    png(source / "L_CC.png")
    dicom(source / "p1" / "IM0001")
    sitk.WriteImage(sitk.GetImageFromArray(VALUES), str(source / "p1" / "R_MLO.nii.gz"))
    report = run(source, output=tmp_path / "out")
    assert names_in(tmp_path / "out") == ["L_CC_contrast.png", "p1/IM0001_contrast.dcm", "p1/R_MLO_contrast.nii.gz"]
    assert sorted(report.written) == sorted((tmp_path / "out").rglob("*_contrast*"))
    assert (report.refused, report.skipped, report.notes) == ((), 0, ())


def test_the_result_has_the_matrix_of_its_source_and_lies_on_it(tmp_path: Path) -> None:
    png(tmp_path / "L_CC.png")
    run(tmp_path / "L_CC.png", output=tmp_path / "out")
    with Image.open(tmp_path / "out" / "L_CC_contrast.png") as image:
        result = np.asarray(image)
    np.testing.assert_allclose(result / 65535, 1 - (VALUES // 16) / 255, atol=1e-4)


def test_a_bad_file_is_reported_and_the_others_are_done(tmp_path: Path) -> None:
    png(tmp_path / "in" / "a_L_CC.png")
    (tmp_path / "in" / "b_L_CC.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    png(tmp_path / "in" / "c.png")
    dicom(tmp_path / "in" / "sub" / "d.dcm", Modality="CT")
    png(tmp_path / "in" / "e_L_CC.png")
    report = run(tmp_path / "in", tmp_path / "gone.png", output=tmp_path / "out")
    assert [path.name for path in report.written] == ["a_L_CC_contrast.png", "e_L_CC_contrast.png"]
    assert [name for name, _ in report.refused] == ["b_L_CC.png", "c.png", "sub/d.dcm", "gone.png"]
    messages = " ".join(message for _, message in report.refused)
    assert "cannot be decoded" in messages
    assert "set view_position" in messages
    assert "expected MG" in messages
    assert str(tmp_path) not in messages


@pytest.mark.slow
def test_hostile_files_stop_no_batch(tmp_path: Path) -> None:
    source = tmp_path / "in"
    first, last = (
        dicom(source / "a.dcm", SOPInstanceUID="1.2.3.4.7"),
        dicom(source / "z.dcm", SOPInstanceUID="1.2.3.4.6"),
    )
    hostile = {
        "deflated.dcm": beginning_of_file(DEFLATED) + packed_zeros(1 << 28, -zlib.MAX_WBITS),
        "nested.dcm": first.read_bytes()[:-3852] + nested_sequences(300, EXPLICIT, defined=True, tag=(0x0040, 0xA730)),
        "pairs.nrrd": b"NRRD0004\rtype: uint8\rdimension: 1\rsizes: 9\rdata file: /etc/hostname\rencoding: raw\r\r",
        "rle.dcm": too_long_rle_file(),
        "sixteen.nrrd": f"NRRD0004\ntype: uint8\ndimension: 16\nsizes:{16 * ' 2'}\nencoding: raw\n\n".encode(),
    }
    for name, content in hostile.items():
        (source / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.nrrd")
    report = run(source, tmp_path / "pipe.nrrd", output=tmp_path / "out")
    assert [path.name for path in report.written] == [f"{path.stem}_contrast.dcm" for path in (first, last)]
    assert [name for name, _ in report.refused] == [*hostile, "pipe.nrrd"]
    assert "nested more than" in dict(report.refused)["nested.dcm"]


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_done_or_reported(name: str, tmp_path: Path) -> None:
    for number, content in enumerate(mutants(image_file(name), 15, 8)):
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        (tmp_path / "in" / str(number) / name).write_bytes(content)
    png(tmp_path / "in" / "z_L_CC.png")
    report = run(tmp_path / "in", output=tmp_path / "out")
    same = [message for _, message in report.notes if message.startswith("the same image")]
    assert len(report.written) + len(report.refused) + len(same) == 9
    assert report.written[-1].name == "z_L_CC_contrast.png"


def test_hidden_files_and_other_files_of_folders_are_counted_only(tmp_path: Path) -> None:
    for name in ("in/.hidden/L_CC.png", "in/.L_CC.png", "in/L_CC.png"):
        png(tmp_path / name)
    (tmp_path / "in" / "notes.txt").write_text("text")
    report = run(tmp_path / "in", output=tmp_path / "out")
    assert (len(report.written), report.refused, report.skipped) == (1, (), 3)


def test_a_file_that_is_named_is_never_skipped(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    report = run(tmp_path / "notes.txt", output=tmp_path / "out")
    assert report.refused[0][0] == "notes.txt"
    assert "of no known format" in report.refused[0][1]


def test_two_inputs_of_one_name_do_not_collide(tmp_path: Path) -> None:
    first, second = png(tmp_path / "a" / "L_CC.png"), png(tmp_path / "b" / "L_CC.png")
    third = tmp_path / "c" / "L_CC.jpg"
    third.parent.mkdir()
    Image.fromarray((VALUES // 16).astype(np.uint8)).save(third)
    report = run(first, second, third, output=tmp_path / "out")
    assert [path.name for path in report.written] == [
        "L_CC_contrast.png",
        "L_CC_contrast_2.png",
        "L_CC_contrast_3.png",
    ]
    assert len(names_in(tmp_path / "out")) == 3


def test_a_file_that_is_named_twice_is_done_once(tmp_path: Path) -> None:
    path = png(tmp_path / "in" / "L_CC.png")
    assert len(run(path, tmp_path / "in", path, output=tmp_path / "out").written) == 1


def test_no_input_is_ever_overwritten(tmp_path: Path) -> None:
    first, second = png(tmp_path / "L_CC.png"), png(tmp_path / "L_CC_contrast.png")
    before = second.read_bytes()
    report = run(first, second, output=tmp_path)
    assert second.read_bytes() == before
    assert [path.name for path in report.written] == ["L_CC_contrast_2.png", "L_CC_contrast_contrast.png"]


def test_an_output_folder_within_the_input_is_not_searched(tmp_path: Path) -> None:
    png(tmp_path / "L_CC.png")
    for _ in range(2):
        report = run(tmp_path, output=tmp_path / "out")
        assert [path.name for path in report.written] == ["L_CC_contrast.png"]
    assert report.refused == ()


def test_results_written_beside_their_inputs_are_not_read_again(tmp_path: Path) -> None:
    png(tmp_path / "L_CC.png")
    run(tmp_path, output=tmp_path)
    report = run(tmp_path, output=tmp_path)
    assert [name for name, message in report.refused if "generated" in message] == ["L_CC_contrast.png"]


def test_jpeg_becomes_png_and_the_report_says_so(tmp_path: Path) -> None:
    Image.fromarray((VALUES // 16).astype(np.uint8)).save(tmp_path / "L_CC.jpg")
    report = run(tmp_path / "L_CC.jpg", output=tmp_path / "out")
    assert report.written[0].name == "L_CC_contrast.png"
    assert report.notes == (("L_CC.jpg", "written as L_CC_contrast.png, because JPEG does not hold 16 bits."),)


@pytest.mark.parametrize(
    ("file_format", "name"),
    [
        ("dicom", "a_contrast.dcm"),
        ("png", "a_contrast.png"),
        ("tiff", "a_contrast.tif"),
        ("nrrd", "a_contrast.nrrd"),
        ("nifti", "a_contrast.nii.gz"),
    ],
)
def test_every_format_is_written_from_dicom(file_format: str, name: str, tmp_path: Path) -> None:
    report = run(dicom(tmp_path / "a.dcm"), output=tmp_path / "out", file_format=file_format)
    assert [path.name for path in report.written] == [name]


def test_dicom_from_a_file_without_header_is_refused(tmp_path: Path) -> None:
    report = run(png(tmp_path / "L_CC.png"), output=tmp_path / "out", file_format="dicom")
    assert "no DICOM can be derived" in report.refused[0][1]


def test_an_unknown_format_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="'bmp', expected one of same, dicom"):
        run(tmp_path, output=tmp_path / "out", file_format="bmp")


def test_an_output_that_is_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"L_CC\.png: the output folder cannot be made"):
        run(tmp_path, output=png(tmp_path / "L_CC.png"))


def test_views_of_one_source_series_become_series_of_their_own_with_true_descriptions(tmp_path: Path) -> None:
    for number, view in enumerate(("CC", "MLO")):
        changes = {"ViewPosition": view, "ViewCodeSequence": None, "SOPInstanceUID": f"1.{number}"}
        dicom(tmp_path / "in" / f"{number}.dcm", SeriesInstanceUID="1.7", **changes)
    written = [pydicom.dcmread(path) for path in run(tmp_path / "in", output=tmp_path / "out").written]
    assert written[0].SeriesInstanceUID != written[1].SeriesInstanceUID
    assert [dataset.SeriesDescription.split()[3] for dataset in written] == ["CC", "MLO"]


def test_one_view_of_one_source_series_makes_one_new_series(tmp_path: Path) -> None:
    dicom(tmp_path / "in" / "1.dcm", SOPInstanceUID="1.1", SeriesInstanceUID="1.7", InstanceNumber=1)
    dicom(tmp_path / "in" / "2.dcm", SOPInstanceUID="1.2", SeriesInstanceUID="1.7", InstanceNumber=2)
    dicom(tmp_path / "in" / "3.dcm", SOPInstanceUID="1.3", SeriesInstanceUID="1.8")
    written = [pydicom.dcmread(path) for path in run(tmp_path / "in", output=tmp_path / "out").written]
    series = [dataset.SeriesInstanceUID for dataset in written]
    assert series[0] == series[1] != series[2]
    assert len({dataset.SOPInstanceUID for dataset in written}) == 3
    assert {dataset.StudyInstanceUID for dataset in written} == {"1.2.3"}
    assert [dataset.InstanceNumber for dataset in written[:2]] == [1, 2]


def test_instances_of_one_new_series_have_different_numbers(tmp_path: Path) -> None:
    for number in range(3):
        dicom(
            tmp_path / "in" / f"{number}.dcm", SOPInstanceUID=f"1.{number}", SeriesInstanceUID="1.7", InstanceNumber=4
        )
    written = [pydicom.dcmread(path) for path in run(tmp_path / "in", output=tmp_path / "out").written]
    assert [dataset.InstanceNumber for dataset in written] == [4, 5, 6]


def test_another_run_makes_other_uids(tmp_path: Path) -> None:
    path = dicom(tmp_path / "1.dcm")
    first, second = (
        pydicom.dcmread(run(path, output=tmp_path / folder).written[0]).SOPInstanceUID for folder in ("a", "b")
    )
    assert first != second


def test_a_view_that_no_file_states_is_given_for_all(tmp_path: Path) -> None:
    report = run(png(tmp_path / "a.png"), output=tmp_path / "out", view_position=ViewPosition.CC)
    assert len(report.written) == 1


@pytest.mark.parametrize("file_format", ["png", "nrrd", "dicom"])
def test_the_mark_is_burned_into_every_format(file_format: str, tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", values=breast_values(240, 200))
    plain = run(path, output=tmp_path / "plain", file_format=file_format).written[0]
    marked = run(path, output=tmp_path / "marked", file_format=file_format, burned_in_mark=True).written[0]
    differing = (sitk.GetArrayFromImage(sitk.ReadImage(str(each))).squeeze() for each in (plain, marked))
    assert 0.005 < np.not_equal(*differing).mean() < 0.2


def test_uncertainty_is_written_beside_the_image_in_the_format_and_matrix_of_its_source(tmp_path: Path) -> None:
    png(tmp_path / "in" / "L_CC.png")
    dicom(tmp_path / "in" / "a.dcm")
    report = run(tmp_path / "in", output=tmp_path / "out", uncertainty=True)
    assert [path.name for path in report.written] == [
        "L_CC_contrast.png",
        "L_CC_contrast_uncertainty.png",
        "a_contrast.dcm",
        "a_contrast_uncertainty.dcm",
    ]
    with Image.open(report.written[1]) as image:
        np.testing.assert_allclose(np.asarray(image) / 65535, (VALUES // 16) / 255 / 8, atol=1e-4)
    shown, uncertain = (pydicom.dcmread(path) for path in report.written[2:])
    assert shown.SeriesDescription.startswith("SYNTHETIC contrast ")
    assert uncertain.SeriesDescription.startswith("SYNTHETIC contrast uncertainty ")
    assert shown.SeriesInstanceUID != uncertain.SeriesInstanceUID
    assert shown.SOPInstanceUID != uncertain.SOPInstanceUID
    assert shown.StudyInstanceUID == uncertain.StudyInstanceUID


def test_a_parameter_that_the_bundle_refuses_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="is unknown"):
        run(png(tmp_path / "L_CC.png"), output=tmp_path / "out", colour=1)


def test_progress_is_told_after_every_file(tmp_path: Path) -> None:
    png(tmp_path / "in" / "a_L_CC.png")
    png(tmp_path / "in" / "b.png")
    told: list[tuple[int, int, str]] = []
    run(tmp_path / "in", output=tmp_path / "out", progress=lambda *step: told.append(step))
    assert told == [(1, 2, "a_L_CC.png"), (2, 2, "b.png")]


def drawn(path: Path, value: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros(VALUES.shape, np.uint8)
    labels[4:9, 5:7] = value
    Image.fromarray(labels).save(path)
    return path


def paint(*inputs: Path, output: Path, lesions: Path) -> BatchReport:
    order = Order.parse(bundle_of(Painter(), task=PAINTING), {"burned_in_mark": False})
    return synthesize_files(inputs, output, order, others={"lesions": lesions})


def test_another_slot_is_filled_by_one_file_for_all_or_by_a_folder_with_one_for_each(tmp_path: Path) -> None:
    first, second = png(tmp_path / "in" / "a_L_CC.png"), png(tmp_path / "in" / "b_L_CC.png")
    masks = drawn(tmp_path / "masks" / "a_L_CC.png", 2).parent
    drawn(masks / "b_L_CC.png", 3)
    report = paint(first, second, output=tmp_path / "each", lesions=masks)
    values = [np.asarray(Image.open(path)).max() for path in report.written]
    assert values == pytest.approx([0.2 * 65535, 0.3 * 65535], abs=1)
    report = paint(first, second, output=tmp_path / "all", lesions=masks / "b_L_CC.png")
    both = [np.asarray(Image.open(path)).max() for path in report.written]
    assert both == pytest.approx([0.3 * 65535] * 2, abs=1)


def test_json_that_is_nested_without_end_or_comes_from_a_pipe_stops_no_batch(tmp_path: Path) -> None:
    note = Slot("note", SlotKind.JSON, "Of anything.", required=False, json_schema={})
    task = replace(PAINTING, slots=(*PAINTING.slots, note))
    order = Order.parse(bundle_of(Painter(), task=task), {"burned_in_mark": False})
    first, second = png(tmp_path / "in" / "a_L_CC.png"), png(tmp_path / "in" / "b_L_CC.png")
    others = {"lesions": drawn(tmp_path / "lesions.png"), "note": tmp_path / "notes"}
    others["note"].mkdir()
    (others["note"] / "a_L_CC.json").write_text("[" * 100_000)
    os.mkfifo(others["note"] / "b_L_CC.json")
    report = synthesize_files([first, second], tmp_path / "out", order, others=others)
    assert ["is no readable JSON" in message for _, message in report.refused] == [True, True]


def test_a_missing_or_misshapen_drawing_refuses_its_image_only(tmp_path: Path) -> None:
    png(tmp_path / "in" / "a_L_CC.png")
    png(tmp_path / "in" / "b_L_CC.png")
    png(tmp_path / "in" / "c_L_CC.png")
    masks = drawn(tmp_path / "masks" / "a_L_CC.png").parent
    Image.fromarray(np.ones((4, 4), np.uint8)).save(masks / "b_L_CC.png")
    report = paint(tmp_path / "in", output=tmp_path / "out", lesions=masks)
    assert [path.name for path in report.written] == ["a_L_CC_painting.png"]
    messages = dict(report.refused)
    assert "4 x 4 pixels" in messages["b_L_CC.png"]
    assert "holds no file named c_L_CC" in messages["c_L_CC.png"]


def test_a_role_that_the_task_has_not_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="input 'lesions' is unknown, expected none"):
        run(png(tmp_path / "L_CC.png"), output=tmp_path / "out", others={"lesions": tmp_path})


def test_results_that_are_there_can_be_kept(tmp_path: Path) -> None:
    path = png(tmp_path / "in" / "L_CC.png")
    first = run(path, output=tmp_path / "out", uncertainty=True)
    before = [each.stat().st_mtime_ns for each in first.written]
    (first.written[1]).unlink()
    second = run(path, output=tmp_path / "out", uncertainty=True, skip_existing=True)
    assert (len(second.written), second.kept) == (2, 0)  # one of the two was missing: both are made again
    third = run(path, output=tmp_path / "out", uncertainty=True, skip_existing=True)
    assert (third.written, third.kept) == ((), 2)
    assert [each.stat().st_mtime_ns for each in second.written] != before
    gone = run(tmp_path / "gone.png", output=tmp_path / "out", skip_existing=True)
    assert "cannot be read" in gone.refused[0][1]


def test_a_result_of_another_image_is_not_kept_for_this_one(tmp_path: Path) -> None:
    first = dicom(tmp_path / "a" / "L_CC.dcm", SOPInstanceUID="1.2.3.1")
    second = dicom(tmp_path / "b" / "L_CC.dcm", SOPInstanceUID="1.2.3.2")
    before = run(first, output=tmp_path / "out").written[0].read_bytes()
    report = run(second, output=tmp_path / "out", skip_existing=True)
    assert (report.written, report.kept) == ((), 0)
    assert "L_CC_contrast.dcm is there already, and was made of another image" in report.refused[0][1]
    assert (tmp_path / "out" / "L_CC_contrast.dcm").read_bytes() == before
    assert run(first, output=tmp_path / "out", skip_existing=True).kept == 1


def test_dicom_can_be_written_lossless_compressed(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm")
    plain, packed = (
        pydicom.dcmread(run(path, output=tmp_path / str(compress), compress=compress).written[0])
        for compress in (False, True)
    )
    assert packed.file_meta.TransferSyntaxUID == JPEGLSLossless
    np.testing.assert_array_equal(packed.pixel_array, plain.pixel_array)


def test_another_modality_passes_if_it_is_accepted(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", Modality="CR")
    refused = run(path, output=tmp_path / "no").refused
    assert "--accept-modality" in refused[0][1]
    report = run(path, output=tmp_path / "yes", accept_modalities=("CR",))
    assert len(report.written) == 1
    assert any("CR" in message for _, message in report.warnings)


def test_an_instance_that_is_there_twice_is_done_once(tmp_path: Path) -> None:
    dicom(tmp_path / "in" / "a.dcm")
    dicom(tmp_path / "in" / "copy of a.dcm")
    for times in range(2):  # the second time the result of the first one is kept
        report = run(tmp_path / "in", output=tmp_path / "out", skip_existing=True)
        assert names_in(tmp_path / "out") == ["a_contrast.dcm"]
        assert (len(report.written), report.kept) == (1 - times, times)
        assert report.notes == (("copy of a.dcm", "the same image as a.dcm; synthesized once"),)


def test_an_instance_that_was_refused_is_tried_again_in_another_file(tmp_path: Path) -> None:
    dicom(tmp_path / "in" / "a.dcm", Modality="CR")
    dicom(tmp_path / "in" / "b.dcm")
    report = run(tmp_path / "in", output=tmp_path / "out")
    assert [path.name for path in report.written] == ["b_contrast.dcm"]
    assert [name for name, _ in report.refused] == ["a.dcm"]


def test_what_is_told_of_a_drawing_comes_with_the_report_and_changes_no_file(tmp_path: Path) -> None:
    path, lesions = png(tmp_path / "in" / "L_CC.png"), drawn(tmp_path / "lesions.png")
    order = Order.parse(bundle_of(Counting()), {"burned_in_mark": False})
    (without,) = synthesize_files([path], tmp_path / "out", order).written
    before = (without.read_bytes(), without.stat().st_mtime_ns)
    options = FileOptions(skip_existing=True)
    kept = synthesize_files([path], tmp_path / "out", order, others={"lesions": lesions}, options=options)
    assert (kept.kept, kept.written, kept.remarks) == (1, (), (("L_CC.png", "10 pixels are drawn."),))
    assert (without.read_bytes(), without.stat().st_mtime_ns) == before
    made = synthesize_files([path], tmp_path / "other", order, others={"lesions": lesions})
    assert made.remarks == kept.remarks
    assert made.written[0].read_bytes() == before[0]


class Sowing(Painter):
    """A grey breast, as bright as its seed."""

    def __call__(self, inputs: Mapping[str, Any], parameters: Any, *, seed: int, **rest: Any) -> tuple[Output, ...]:
        shown = inputs["lesions"].labels > 0
        pixels = (shown * np.float32(seed / 65535)).astype(np.float32)
        return (Output(IMAGE, Mammogram(pixels, "sown", ViewPosition.CC, ImageLaterality.LEFT)),)


def sow(*inputs: Path, output: Path, **options: Any) -> BatchReport:
    slots = (Slot("lesions", SlotKind.LABEL_MAP, "Anything."),)
    task = replace(PAINTING, slots=slots, placement=Placement.NEW_STUDY)
    settings = {"burned_in_mark": False, "seed": options.pop("seed", 7)}
    order = Order.parse(bundle_of(Sowing(), task=task), settings)
    return synthesize_files(inputs, output, order, options=FileOptions(**options))


def test_label_maps_of_a_folder_have_seeds_of_their_own_with_which_each_is_made_again_by_itself(tmp_path: Path) -> None:
    names = [f"{letter}.png" for letter in "abc"]
    first, broken, last = (drawn(tmp_path / "in" / name) for name in names)
    broken.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    report = sow(tmp_path / "in", output=tmp_path / "out", file_format="dicom")
    seeds = [read_provenance(pydicom.dcmread(path))["seed"] for path in report.written]
    assert seeds == [7, 9]
    pictures = [np.asarray(Image.open(path)).max() for path in sow(tmp_path / "in", output=tmp_path / "out").written]
    assert pictures == seeds
    for path, seed in zip((first, last), seeds, strict=True):
        (again,) = sow(path, output=tmp_path / "again", seed=seed).written
        assert again.read_bytes() == (tmp_path / "out" / again.name).read_bytes()
    greatest = sow(first, last, output=tmp_path / "end", seed=2**31 - 1)
    assert [np.asarray(Image.open(path)).max() for path in greatest.written] == [65535, 0]


def test_images_of_a_folder_have_the_seed_that_was_asked_for(tmp_path: Path) -> None:
    for name in "ab":
        dicom(tmp_path / "in" / f"{name}.dcm", SOPInstanceUID=f"1.2.3.4.{ord(name)}")
    report = run(tmp_path / "in", output=tmp_path / "out", seed=7)
    assert [read_provenance(pydicom.dcmread(path))["seed"] for path in report.written] == [7, 7]
