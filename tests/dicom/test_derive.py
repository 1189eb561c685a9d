"""Derived instances: marked, valid, where they belong, and read back exactly."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless

from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.generated import generated_mark_of, is_synthesized_uid, synthesized_uid
from mammosynth.dicom.provenance_element import read_provenance, read_role
from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.segmentation import LesionClass, read_segments
from mammosynth.dicom.write import to_stored_values, write_instance
from mammosynth.errors import OutputError, UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance, Source
from mammosynth.task import IMAGE, LABELS, UNCERTAINTY, Output, Placement
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.instances import as_file, breast_values, build_instance, build_raw_instance, coded
from tests.support.provenance import provenance

CLASSES = {1: "malignant", 2: "adipose tissue", 9: "something new"}


def source_of(**attributes: Any) -> Mammogram:
    return read_mammogram(build_instance(**attributes))


def derive_all(
    outputs: tuple[Output, ...],
    source: Mammogram | None,
    *,
    placement: Placement = Placement.ON_SOURCE,
    made_by: Provenance | None = None,
    **options: Any,
) -> tuple[Dataset, ...]:
    made_by = made_by or provenance()
    return derive_instances(outputs, made_by, placement, source, identify=synthesized_uid, **options)


def derive(source: Mammogram, result: np.ndarray | None = None, *, role: str = IMAGE, **options: Any) -> Dataset:
    result = 1 - source.pixels if result is None else result
    (dataset,) = derive_all((Output(role, Mammogram(result, "r", *view_of(source))),), source, **options)
    return dataset


def view_of(source: Mammogram) -> tuple[ViewPosition | None, ImageLaterality | None]:
    return source.view_position, source.image_laterality


def other_view(rows: int = 60, columns: int = 50) -> Mammogram:
    """The R MLO view of nobody, chest wall on the right."""
    pixels = (breast_values(rows, columns)[:, ::-1] / 4095).astype(np.float32)
    return Mammogram(pixels, "made", ViewPosition.MLO, ImageLaterality.RIGHT, pixel_spacing_mm=(0.2, 0.25))


def drawn(shape: tuple[int, int]) -> LabelMap:
    labels = np.zeros(shape, np.uint8)
    labels[5:9, 5:9], labels[12:20, 5:9], labels[30:33, 3:8] = 1, 2, 9
    return LabelMap(labels, "labels", CLASSES)


def read_back(dataset: Dataset, path: Path) -> Dataset:
    write_instance(dataset, path)
    return pydicom.dcmread(path)


def without_marks(dataset: Dataset) -> Dataset:
    """What would be read as acquired."""
    dataset.SOPInstanceUID = "1.2"
    for tag in ("ImageType", "SeriesDescription", 0x0008001C):
        del dataset[tag]
    return dataset


@pytest.mark.parametrize("compress", [False, True])
def test_pixels_are_read_back_exactly(compress: bool, tmp_path: Path) -> None:
    source = source_of()
    result = np.random.default_rng(0).random(source.pixels.shape).astype(np.float32)
    dataset = read_back(derive(source, result, burned_in_mark=False, compress=compress), tmp_path / "a.dcm")
    assert (dataset.file_meta.TransferSyntaxUID == JPEGLSLossless) is compress
    np.testing.assert_array_equal(dataset.pixel_array, to_stored_values(result))
    assert (dataset.PhotometricInterpretation, dataset.BitsStored) == ("MONOCHROME2", 16)


def test_it_opens_at_a_window_of_the_breast_that_the_mark_does_not_change() -> None:
    source = source_of(values=breast_values(200, 160))
    result = (0.1 + 0.4 * source.pixels) * (source.pixels > 0)
    plain, marked = (derive(source, result, burned_in_mark=mark) for mark in (False, True))
    assert plain.PixelData != marked.PixelData
    assert (plain.WindowCenter, plain.WindowWidth) == (marked.WindowCenter, marked.WindowWidth)
    shown = read_mammogram(without_marks(plain)).pixels[result > 0]
    assert np.percentile(shown, 5) < 0.1
    assert np.percentile(shown, 95) > 0.9
    assert plain.WindowWidth < 0.5 * 65536


@pytest.mark.parametrize("laterality", ["L", "R"])
@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_result_lies_on_its_source_in_orientation_and_polarity(laterality: str, view: str, photometric: str) -> None:
    values = breast_values() if laterality == "L" else breast_values()[:, ::-1]
    stored = values if photometric == "MONOCHROME2" else 4095 - values
    source = source_of(
        values=stored,
        ImageLaterality=laterality,
        ViewPosition=view,
        ViewCodeSequence=None,
        PhotometricInterpretation=photometric,
        PresentationLUTShape=None,
    )
    dataset = derive(source, source.pixels, burned_in_mark=False)
    np.testing.assert_allclose(dataset.pixel_array / 65535, values / 4095, atol=1e-5)
    assert (dataset.ImageLaterality, dataset.ViewPosition) == (laterality, view)
    assert dataset.ViewCodeSequence[0].CodeValue == {"CC": "399162004", "MLO": "399368009"}[view]
    assert dataset.SeriesDescription == f"SYNTHETIC contrast {laterality} {view} expected breast_contrast 1.2.0"


@pytest.mark.parametrize("placement", list(Placement))
def test_every_mark_of_a_generated_image_is_there(placement: Placement, tmp_path: Path) -> None:
    dataset = read_back(derive(source_of(), placement=placement), tmp_path / "a.dcm")
    assert dataset[0x0008001C].value == "YES"
    assert list(dataset.ImageType) == ["DERIVED", "SECONDARY", "", "SYNTHETIC"]
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.SeriesDescription.startswith("SYNTHETIC")
    assert dataset.BurnedInAnnotation == "YES"
    assert dataset.ImageComments == "SYNTHETIC - NOT FOR DIAGNOSIS"
    assert dataset.DerivationDescription == provenance().describe()
    assert dataset.Manufacturer == "MammoSynth"
    equipment = dataset.ContributingEquipmentSequence[0]
    assert (equipment.Manufacturer, equipment.ManufacturerModelName) == ("MammoSynth", "breast_contrast")
    assert list(equipment.SoftwareVersions) == ["0.1.0", "1.2.0"]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    reference = dataset.SourceImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == "1.2.3.4.5"
    assert reference.SpatialLocationsPreserved == ("YES" if placement is Placement.ON_SOURCE else "NO")
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert read_provenance(dataset) == provenance().as_json()
    assert read_role(dataset) == IMAGE


def test_on_its_source_it_keeps_study_and_geometry_in_a_new_series(tmp_path: Path) -> None:
    dataset = read_back(derive(source_of()), tmp_path / "a.dcm")
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == ("1.2.3", "1.2.3.9")
    assert dataset.SeriesInstanceUID == synthesized_uid("series", IMAGE)
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == synthesized_uid("instance", IMAGE)
    assert (dataset.SeriesNumber, dataset.InstanceNumber) == (1003, 2)
    assert (dataset.PatientName, dataset.PatientID) == ("Muster^Mária", "P1")
    assert list(dataset.ImagerPixelSpacing) == [0.1, 0.07]
    assert list(dataset.PatientOrientation) == ["A", "R"]


def test_another_view_is_in_the_same_study_with_a_geometry_of_its_own(tmp_path: Path) -> None:
    made = other_view()
    (dataset,) = derive_all((Output(IMAGE, made),), source_of(), placement=Placement.SAME_STUDY)
    dataset = read_back(dataset, tmp_path / "a.dcm")
    assert (dataset.StudyInstanceUID, dataset.PatientID, dataset.AccessionNumber) == ("1.2.3", "P1", "A1")
    assert dataset.FrameOfReferenceUID == synthesized_uid("frame of reference", "")
    assert (dataset.ViewPosition, dataset.ImageLaterality) == ("MLO", "R")
    assert dataset.ViewCodeSequence[0].CodeValue == "399368009"
    assert list(dataset.PatientOrientation) == ["P", "FL"]
    assert list(dataset.ImagerPixelSpacing) == [0.2, 0.25]
    assert (dataset.Rows, dataset.Columns) == made.pixels.shape
    assert dataset.SeriesDescription.startswith("SYNTHETIC contrast R MLO")


def test_a_view_whose_chest_wall_is_on_the_other_side_is_oriented_so() -> None:
    mirrored = Mammogram(np.ascontiguousarray(other_view().pixels[:, ::-1]), "m", ViewPosition.CC, ImageLaterality.LEFT)
    (dataset,) = derive_all((Output(IMAGE, mirrored),), source_of(), placement=Placement.SAME_STUDY)
    assert list(dataset.PatientOrientation) == ["A", "R"]


@pytest.mark.parametrize(("side", "direction"), [(ImageLaterality.RIGHT, "P"), (ImageLaterality.LEFT, "A")])
def test_a_breast_away_from_the_edge_is_oriented_by_its_shape(side: ImageLaterality, direction: str) -> None:
    row, column = np.ogrid[:64, :60]
    breast = (column >= 22) & (((row - 32) / 30) ** 2 + ((column - 22) / 34) ** 2 < 1)  # most of it in the right half
    pixels = np.where(breast, 0.3, 0).astype(np.float32)
    pixels = pixels[:, ::-1] if side is ImageLaterality.RIGHT else pixels
    made = Mammogram(np.ascontiguousarray(pixels), "m", ViewPosition.MLO, side)
    (dataset,) = derive_all((Output(IMAGE, made),), source_of(), placement=Placement.SAME_STUDY)
    assert dataset.PatientOrientation[0] == direction


@pytest.mark.parametrize("has_source", [True, False])
def test_a_new_study_is_of_nobody_and_never_a_source(has_source: bool, tmp_path: Path) -> None:
    source = source_of(ReferringPhysicianName="Doe^Jo") if has_source else None
    (dataset,) = derive_all((Output(IMAGE, other_view()),), source, placement=Placement.NEW_STUDY)
    dataset = read_back(dataset, tmp_path / "a.dcm")
    assert dataset.PatientName.family_name == "SYNTHETIC"
    assert dataset.PatientID.startswith("SYNTHETIC-")
    assert dataset.PatientBirthDate == dataset.AccessionNumber == dataset.ReferringPhysicianName == ""
    assert dataset.PatientIdentityRemoved == "YES"
    assert "synthesized" in dataset.StudyDescription
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID, dataset.FrameOfReferenceUID)
    assert all(is_synthesized_uid(uid) for uid in uids)
    assert "Mária" not in str(dataset)
    assert generated_mark_of(dataset)
    for keyword in ("ImageType", "SeriesDescription"):
        del dataset[keyword]
    del dataset[0x0008001C]
    with pytest.raises(UnsupportedImageError, match="generated"):
        read_mammogram(dataset)


def test_a_new_study_under_another_root_is_refused() -> None:
    with pytest.raises(ValueError, match="synthesized_uid"):
        derive_instances(
            (Output(IMAGE, other_view()),), provenance(), Placement.NEW_STUDY, None, identify=lambda *_: "2.25.1"
        )


@pytest.mark.slow
def test_every_source_with_a_uid_is_referred_to_once() -> None:
    sources = (
        Source("lesions", "1.2.8", sop_instance_uid="1.2.8", sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4"),
        Source("report", "report", value={"size_mm": 12}),
        Source("source", "a.dcm", sop_instance_uid="1.2.3.4.5", sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2"),
    )
    outputs = (Output(IMAGE, other_view()), Output(LABELS, drawn(other_view().pixels.shape)))
    for dataset in derive_all(
        outputs, source_of(), placement=Placement.SAME_STUDY, made_by=provenance(sources=sources)
    ):
        found = [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence]
        assert found == ["1.2.3.4.5", "1.2.8"]


@pytest.mark.parametrize("placement", list(Placement))
def test_a_label_map_is_a_segmentation_of_the_image_beside_it(placement: Placement, tmp_path: Path) -> None:
    source = source_of()
    image = other_view() if placement is not Placement.ON_SOURCE else source
    labels = drawn(image.pixels.shape)
    made = derive_all((Output(LABELS, labels), Output(IMAGE, image)), source, placement=placement, instance_number=4)
    segmentation, shown = (read_back(dataset, tmp_path / f"{n}.dcm") for n, dataset in enumerate(made))
    segments = read_segments(segmentation, shown.SOPInstanceUID, "a")
    assert [segment.label for segment in segments] == list(CLASSES.values())
    assert segments[0].lesion_class is LesionClass.MALIGNANT
    for segment, number in zip(segments, CLASSES, strict=True):
        np.testing.assert_array_equal(segment.mask, labels.labels == number)
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "InstanceNumber"):
        assert segmentation[keyword].value == shown[keyword].value, keyword
    assert segmentation.SeriesDescription == shown.SeriesDescription.replace("contrast", "contrast labels", 1)
    assert (segmentation.SeriesNumber, read_role(segmentation)) == (shown.SeriesNumber + 3000, LABELS)
    assert segmentation.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeValue == "89749009"
    assert segmentation.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert generated_mark_of(segmentation)


def test_labels_of_a_source_refer_to_the_source_itself() -> None:
    source = source_of()
    (dataset,) = derive_all((Output(LABELS, drawn(source.pixels.shape)),), source)
    assert len(read_segments(dataset, "1.2.3.4.5", "a")) == 3


def test_labels_that_lie_on_no_image_are_refused() -> None:
    for placement in (Placement.SAME_STUDY, Placement.NEW_STUDY):
        with pytest.raises(OutputError, match="lies on no image"):
            derive_all((Output(LABELS, drawn((48, 40))),), source_of(), placement=placement)


def test_an_empty_label_map_has_its_classes_all_the_same() -> None:
    empty = LabelMap(np.zeros(other_view().pixels.shape, np.uint8), "labels", CLASSES)
    _, dataset = derive_all((Output(IMAGE, other_view()), Output(LABELS, empty)), None, placement=Placement.NEW_STUDY)
    assert [segment.SegmentLabel for segment in dataset.SegmentSequence] == list(CLASSES.values())
    assert not dataset.pixel_array.any()


def test_labels_of_another_matrix_are_refused() -> None:
    outputs = (Output(IMAGE, other_view()), Output(LABELS, drawn((48, 40))))
    with pytest.raises(ValueError, match=r"labels has shape \(48, 40\), its image has \(60, 50\)"):
        derive_all(outputs, source_of(), placement=Placement.SAME_STUDY)


def test_nothing_of_the_acquisition_is_carried_over() -> None:
    private = build_instance(VOILUTFunction="SIGMOID", PixelPaddingValue=0, SourceImageSequence=[Dataset()])
    private.add_new(0x00290010, "LO", "VENDOR")
    private.add_new(0x60000010, "US", 48)
    private.DigitalSignaturesSequence = []
    private.ContrastBolusAgent = "Iohexol"
    dataset = derive(read_mammogram(private))
    exposure = ("KVP", "ExposureTime", "OrganDose", "AcquisitionDate", "DetectorID", "ContrastBolusAgent")
    display = ("VOILUTFunction", "VOILUTSequence", "PixelPaddingValue", "DigitalSignaturesSequence")
    for keyword in (*exposure, *display):
        assert keyword not in dataset
    assert dataset.DetectorType in (None, "")
    tags = [tag for tag in dataset.keys() if tag.group != 0x0099]  # noqa: SIM118
    assert not any(tag.is_private or tag.group >= 0x6000 and tag.group < 0x7FE0 for tag in tags)
    assert "Vendor" not in str(dataset)


def test_a_for_processing_source_gives_a_for_presentation_result() -> None:
    counts = np.rint(12000 * np.exp(breast_values() / -2000.0))
    dataset = derive(read_mammogram(build_raw_instance(counts)))
    assert dataset.PresentationIntentType == "FOR PRESENTATION"
    assert dataset.SOPClassUID.name == "Digital Mammography X-Ray Image Storage - For Presentation"


def test_what_the_caller_corrected_is_written() -> None:
    source = read_mammogram(build_instance(), view_position=ViewPosition.MLO, image_laterality=ImageLaterality.RIGHT)
    dataset = derive(source)
    assert (dataset.ViewPosition, dataset.ImageLaterality) == ("MLO", "R")
    assert dataset.ViewCodeSequence[0].CodeValue == "399368009"


def test_a_vendor_s_own_code_of_the_view_is_kept() -> None:
    dataset = derive(source_of(ViewCodeSequence=[coded("R-10242", "SRT", "cranio-caudal")]))
    assert dataset.ViewCodeSequence[0].CodeValue == "R-10242"
    assert len(dataset.ViewCodeSequence[0].ViewModifierCodeSequence) == 0


def test_dates_are_of_the_synthesis_in_the_header_s_time_zone() -> None:
    dataset = derive(source_of(TimezoneOffsetFromUTC="+0200"))
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260304", "070607.000000")
    assert (dataset.InstanceCreationDate, dataset.SeriesTime) == ("20260304", "070607.000000")
    assert dataset.StudyDate == "20260102"


@pytest.mark.parametrize("placement", list(Placement))
def test_a_lossy_source_stays_marked_as_lossy(placement: Placement) -> None:
    source = source_of(LossyImageCompression="01", LossyImageCompressionRatio="10")
    dataset = derive(source, placement=placement, compress=True)
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 10)


def test_a_derived_instance_is_never_read_as_a_source_again() -> None:
    with pytest.raises(UnsupportedImageError, match="a generated image"):
        read_mammogram(as_file(derive(source_of())))


def test_without_the_mark_the_pixels_are_the_result_and_the_header_says_so() -> None:
    dataset = derive(source_of(), burned_in_mark=False)
    assert dataset.BurnedInAnnotation == "NO"
    assert dataset[0x0008001C].value == "YES"


@pytest.mark.parametrize("placement", [Placement.ON_SOURCE, Placement.SAME_STUDY])
def test_a_source_without_header_is_refused_unless_the_study_is_new(placement: Placement) -> None:
    source = Mammogram(np.zeros((8, 8), np.float32), "a.png")
    with pytest.raises(OutputError, match=r"a\.png: the source has no DICOM header"):
        derive(source, placement=placement)
    assert derive(source, placement=Placement.NEW_STUDY).Modality == "MG"


@pytest.mark.parametrize("placement", [Placement.ON_SOURCE, Placement.SAME_STUDY])
def test_a_source_that_cannot_be_referred_to_is_refused(placement: Placement) -> None:
    with pytest.raises(OutputError, match=r"\(0020,000D\) Study Instance UID is missing"):
        derive(source_of(StudyInstanceUID=None), placement=placement)


def test_a_result_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        derive(source_of(), np.zeros((3, 3), np.float32))


def test_an_uncertainty_says_so_and_keeps_its_values_and_marks() -> None:
    source = source_of(SeriesNumber=3)
    image, spread = source, source.with_pixels(np.full(source.pixels.shape, 0.02, np.float32))
    shown, dataset = derive_all((Output(IMAGE, image), Output(UNCERTAINTY, spread)), source, burned_in_mark=False)
    assert "uncertainty" in dataset.SeriesDescription.split()
    assert (shown.SeriesNumber, dataset.SeriesNumber) == (1003, 2003)
    assert shown.FrameOfReferenceUID == dataset.FrameOfReferenceUID
    assert dataset.pixel_array[0, 0] == round(0.02 * 65535)
    assert dataset.WindowWidth == pytest.approx(0.25 * 65535, abs=2)
    assert dataset.DerivationDescription.startswith("Standard deviation of every pixel of an image, 65535")
    assert dataset.DerivationDescription.endswith("not for diagnosis.")
    assert read_role(dataset) == UNCERTAINTY
    assert generated_mark_of(dataset)


def test_a_series_of_several_views_says_of_itself_what_is_true_of_all() -> None:
    dataset = derive(source_of(), several_views=True, instance_number=7)
    assert dataset.SeriesDescription == "SYNTHETIC contrast expected breast_contrast 1.2.0"
    assert "SeriesDate" not in dataset
    assert dataset.InstanceNumber == 7


def problems(dataset: Dataset, path: Path) -> list[str]:
    """What dciodvfy finds."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed: conformance of derived instances is not tested")
    write_instance(dataset, path)
    checked = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert {"MammographyImageForPresentation", "Segmentation"} & set(lines)  # it knew what to check
    known = (
        r"0008,001c.*not a recognized standard attribute",  # Synthetic Data is younger than the tool's dictionary
        r"SliceThickness.*Type 1C Conditional",  # required of volumes only (PS3.3 C.7.6.16.2.1); a projection is none
    )
    errors = [line for line in lines if line.startswith("Error")]
    return [error for error in errors if not any(re.search(each, error) for each in known)]


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("placement", list(Placement))
def test_dciodvfy_finds_no_error_in_what_is_derived(placement: Placement, compress: bool, tmp_path: Path) -> None:
    source = source_of(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape=None)
    image = source if placement is Placement.ON_SOURCE else other_view()
    outputs = (Output(IMAGE, image), Output(UNCERTAINTY, image), Output(LABELS, drawn(image.pixels.shape)))
    for dataset in derive_all(outputs, source, placement=placement, compress=compress):
        assert problems(dataset, tmp_path / "a.dcm") == []
