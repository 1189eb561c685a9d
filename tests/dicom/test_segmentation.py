"""Segmentations of a mammogram: drawn here, or by anybody else."""

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammosynth.dicom.segmentation import (
    LesionClass,
    Segment,
    check_segmentation,
    draw_segmentation,
    label_map,
    pixel_area_mm2,
    read_segments,
    referenced_images,
    segments_of,
)
from mammosynth.errors import InvalidParameterError, UnreadableImageError, UnsupportedImageError
from mammosynth.phantom.clinic.export import ImageKind, PhantomExam, build_images
from mammosynth.phantom.clinic.truth import lesion_segmentation
from mammosynth.phantom.parameters import CaseParameters
from tests.support.instances import build_instance
from tests.support.phantom_views import build_view

SHAPE = (48, 37)  # columns are no multiple of 8, so that bits of two frames share a byte
IMAGE = "1.2.3.4.5"


def image(**attributes: Any) -> Dataset:
    return build_instance(np.zeros(SHAPE, np.uint16), **attributes)


def square(row: int, column: int, side: int = 5) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[row : row + side, column : column + side] = True
    return mask


def stored(dataset: Dataset) -> Dataset:
    """Written to a file and read again."""
    content = io.BytesIO()
    pydicom.dcmwrite(content, dataset, write_like_original=False)
    content.seek(0)
    return pydicom.dcmread(content)


def drawn(*segments: Segment, source: Dataset | None = None, **options: Any) -> Dataset:
    return stored(draw_segmentation(segments, source or image(), software_version="0.1.0", **options))


def foreign(pixels: np.ndarray, kind: Code = codes.SCT.Neoplasm, **options: Any) -> Any:
    """As another maker's tool would write it."""
    count = pixels.shape[-1]
    return hd.seg.Segmentation(
        source_images=[image(FrameOfReferenceUID=None)],
        pixel_array=pixels,
        segment_descriptions=[
            hd.seg.SegmentDescription(
                number, f"S{number}", codes.SCT.MorphologicallyAbnormalStructure, kind, "SEMIAUTOMATIC", algorithm()
            )
            for number in range(1, count + 1)
        ],
        series_instance_uid="1.2.9",
        series_number=9,
        sop_instance_uid="1.2.9.1",
        instance_number=1,
        manufacturer="Vendor",
        manufacturer_model_name="Tool",
        software_versions="1",
        device_serial_number="1",
        **{"segmentation_type": "BINARY", **options},
    )


def algorithm() -> hd.AlgorithmIdentificationSequence:
    return hd.AlgorithmIdentificationSequence("grow", codes.DCM.ArtificialIntelligence, "1")


def test_drawn_lesions_are_read_back_with_label_and_class() -> None:
    lesions = (
        Segment(1, "Herd 1 ő", square(3, 4), LesionClass.MALIGNANT),
        Segment(2, "Lesion 2", square(6, 6), LesionClass.BENIGN),
        Segment(3, "Lesion 3", square(20, 30)),
    )
    found = read_segments(drawn(*lesions), IMAGE, "seg")
    assert [(s.number, s.label, s.lesion_class) for s in found] == [
        (s.number, s.label, s.lesion_class) for s in lesions
    ]
    for before, after in zip(lesions, found, strict=True):
        np.testing.assert_array_equal(after.mask, before.mask)


def test_a_drawing_belongs_to_patient_study_and_image_and_names_its_maker() -> None:
    source = image(PatientName="Muster^Mária")
    dataset = drawn(Segment(1, "Lesion 1", square(3, 4)), source=source)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"):
        assert dataset[keyword].value == source[keyword].value, keyword
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert (dataset.Manufacturer, dataset.Modality) == ("MammoSynth", "SEG")
    assert dataset.SeriesDescription == "Lesions L CC"
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert referenced_images(dataset) == (IMAGE,)


@pytest.mark.parametrize("author", [None, "anna", "Anna Müller"])
def test_a_drawing_names_its_author_and_is_found_without_fault_by_dciodvfy(author: str | None, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed: conformance of segmentations is not tested")
    source = image(PatientName="Muster^Mária", PatientOrientation=["A", "F"], BodyPartThickness="52")
    dataset = drawn(Segment(1, "a", square(3, 4)), source=source, author=author)
    assert str(dataset.ContentCreatorName or "") == (f"{author}^" if author else "")
    dataset.save_as(tmp_path / "a.dcm")
    checked = subprocess.run(["dciodvfy", "-new", tmp_path / "a.dcm"], capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert "Segmentation" in lines  # it knew what to check
    assert [line for line in lines if line.startswith("Error") or "ContentCreatorName" in line] == []


def test_a_drawing_needs_little_of_its_source() -> None:
    absent = dict.fromkeys(("FrameOfReferenceUID", "ImagerPixelSpacing", "PatientSex", "StudyDate", "ImageLaterality"))
    source = image(**absent, PatientBirthDate="00000000", LossyImageCompression="01")
    dataset = drawn(Segment(1, "Lesion 1", square(3, 4)), source=source)
    assert read_segments(dataset, IMAGE, "seg")[0].mask.sum() == 25
    assert pixel_area_mm2(dataset, source) is None


def test_the_area_of_a_pixel_is_taken_from_the_segmentation_or_its_image() -> None:
    dataset = drawn(Segment(1, "Lesion 1", square(3, 4)))
    assert pixel_area_mm2(dataset) == pytest.approx(0.1 * 0.07)
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert pixel_area_mm2(dataset, image(ImagerPixelSpacing=[0.2, 0.3])) == pytest.approx(0.06)


def test_where_segments_overlap_the_higher_number_wins() -> None:
    labels = label_map([Segment(2, "", square(0, 0, 3)), Segment(1, "", square(0, 0, 4))], SHAPE)
    assert labels.dtype == np.uint8
    assert (labels[0, 0], labels[3, 3], labels[4, 4]) == (2, 1, 0)


def test_overlapping_segments_are_kept_whole() -> None:
    found = read_segments(drawn(Segment(1, "a", square(0, 0)), Segment(2, "b", square(2, 2))), IMAGE, "seg")
    assert [segment.mask.sum() for segment in found] == [25, 25]


def test_numbers_of_a_label_map_are_closed_up_and_empty_segments_left_out() -> None:
    labels = np.where(square(0, 0), np.uint8(2), np.uint8(0)) + np.where(square(9, 9), np.uint8(7), np.uint8(0))
    found = segments_of(labels, [(7, "seven", LesionClass.BENIGN), (2, "two", None), (3, "three", None)])
    assert [(s.number, s.label, s.lesion_class) for s in found] == [(1, "two", None), (2, "seven", LesionClass.BENIGN)]
    np.testing.assert_array_equal(found[1].mask, square(9, 9))


@pytest.mark.parametrize(
    ("value", "numbers", "reason"),
    [(1, [2], "mask has the value 1"), (0, [1], "mask is empty"), (1, [1, 1], "expected each number once")],
)
def test_a_label_map_that_does_not_fit_its_description_is_refused(value: int, numbers: list[int], reason: str) -> None:
    labels = np.full(SHAPE, value, np.uint8)
    with pytest.raises(InvalidParameterError, match=reason):
        segments_of(labels, [(number, "", None) for number in numbers])


def test_more_segments_than_could_be_read_again_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mammosynth.dicom.segmentation.MAX_FRAME_PIXELS", 2 * SHAPE[0] * SHAPE[1])
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, :3] = 1, 2, 3
    with pytest.raises(InvalidParameterError, match="mask has 3 segments, expected at most 2"):
        segments_of(labels, [(number, "", None) for number in (1, 2, 3)])


def test_fractions_count_from_one_half() -> None:
    pixels = np.zeros((1, *SHAPE, 2), np.float32)
    pixels[0, 1, 1, 0], pixels[0, 2, 2, 0], pixels[0, 3, 3, 1] = 0.49, 0.51, 1.0
    first, second = read_segments(stored(foreign(pixels, segmentation_type="FRACTIONAL")), IMAGE, "seg")
    assert list(zip(*np.nonzero(first.mask), strict=True)) == [(2, 2)]
    assert list(zip(*np.nonzero(second.mask), strict=True)) == [(3, 3)]


def test_a_segment_whose_empty_frame_was_left_out_is_empty() -> None:
    pixels = np.stack([square(0, 0), np.zeros(SHAPE, bool)], axis=-1)[None]
    dataset = stored(foreign(pixels))
    assert dataset.NumberOfFrames == 1
    assert [segment.mask.sum() for segment in read_segments(dataset, IMAGE, "seg")] == [25, 0]


def test_frames_of_other_images_are_left_out() -> None:
    dataset = foreign(np.stack([square(0, 0), square(9, 9)], axis=-1)[None])
    frame = dataset.PerFrameFunctionalGroupsSequence[1]
    frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4.6"
    dataset = stored(dataset)
    assert referenced_images(dataset) == (IMAGE, "1.2.3.4.6")
    assert [segment.mask.sum() for segment in read_segments(dataset, IMAGE, "seg")] == [25, 0]
    assert [segment.mask.sum() for segment in read_segments(dataset, "1.2.3.4.6", "seg")] == [0, 25]


def test_frames_without_a_reference_belong_to_the_only_image() -> None:
    dataset = foreign(square(0, 0)[None, ..., None])
    del dataset.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    assert read_segments(stored(dataset), IMAGE, "seg")[0].mask.sum() == 25


def test_a_frame_of_which_nothing_is_said_is_refused() -> None:
    dataset = foreign(np.stack([square(0, 0), square(9, 9)], axis=-1)[None])
    del dataset.PerFrameFunctionalGroupsSequence[1]
    with pytest.raises(UnreadableImageError, match="describes 1 frame of 2"):
        read_segments(stored(dataset), IMAGE, "seg")


@pytest.mark.parametrize("code", [codes.SCT.MalignantNeoplasmPrimary, Code("1240414004", "SCT", "Malignant neoplasm")])
def test_a_malignant_type_of_another_maker_is_understood(code: Code) -> None:
    assert read_segments(foreign(square(0, 0)[None, ..., None], kind=code), IMAGE, "seg")[0].lesion_class == "malignant"


def test_what_is_no_segmentation_of_the_image_is_refused() -> None:
    dataset = foreign(square(0, 0)[None, ..., None])
    with pytest.raises(UnsupportedImageError, match=r"is of image 1\.2\.3\.4\.5, not of 1\.9"):
        read_segments(dataset, "1.9", "seg")
    with pytest.raises(UnsupportedImageError, match="expected a DICOM Segmentation"):
        check_segmentation(image(), "image")
    dataset.SegmentationType = "LABELMAP"
    with pytest.raises(UnsupportedImageError, match="expected BINARY or FRACTIONAL"):
        check_segmentation(dataset, "seg")
    dataset.SegmentationType, dataset.NumberOfFrames = "BINARY", 10**8
    with pytest.raises(UnsupportedImageError, match="expected at most"):
        check_segmentation(dataset, "seg")


def test_truncated_pixels_are_refused() -> None:
    dataset = foreign(square(0, 0)[None, ..., None])
    dataset.PixelData = dataset.PixelData[:20]
    with pytest.raises(UnreadableImageError, match="cannot be decoded"):
        read_segments(dataset, IMAGE, "seg")


def test_only_the_matrix_of_a_mammogram_is_drawn_on() -> None:
    lesion = Segment(1, "Lesion 1", np.ones((4, 4), bool))
    with pytest.raises(UnsupportedImageError, match="4 x 4 pixels, the image 48 x 37"):
        drawn(lesion)
    with pytest.raises(UnsupportedImageError, match="Modality is 'CT'"):
        drawn(lesion, source=image(Modality="CT"))


def test_the_truth_of_a_phantom_is_read() -> None:
    view, exam = build_view(), PhantomExam(CaseParameters(3, pixel_mm=3.6))
    (source,) = build_images(view, exam, [ImageKind.LOW_ENERGY])
    dataset = lesion_segmentation(view, exam, source)
    assert dataset is not None
    found = read_segments(stored(dataset), source.SOPInstanceUID, "seg")
    shown = [mask for mask in view.lesion_masks if mask.any()]
    assert len(found) == len(shown) > 0
    for segment, mask in zip(found, shown, strict=True):
        np.testing.assert_array_equal(segment.mask, mask)
