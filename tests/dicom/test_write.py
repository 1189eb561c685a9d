"""Derived instances: marked, valid, in the source's study, and read back exactly."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from mammosynth.dicom.generated import generated_mark_of
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.write import derive_instance, new_uid, series_description, to_stored_values, write_instance
from mammosynth.errors import OutputError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.instances import as_file, breast_values, build_instance, build_raw_instance, coded
from tests.support.provenance import provenance


def source_of(**attributes: Any) -> Mammogram:
    return read_mammogram(build_instance(**attributes))


def derive(source: Mammogram, result: np.ndarray | None = None, **options: Any) -> Dataset:
    uids = {"series_instance_uid": "1.9.1", "sop_instance_uid": "1.9.2"}
    result = 1 - source.pixels if result is None else result
    return derive_instance(result, options.pop("made_by", provenance()), source, **{**uids, **options})


def read_back(dataset: Dataset, path: Path) -> Dataset:
    write_instance(dataset, path)
    return pydicom.dcmread(path)


def test_pixels_are_read_back_exactly(tmp_path: Path) -> None:
    source = source_of()
    result = np.random.default_rng(0).random(source.pixels.shape).astype(np.float32)
    dataset = read_back(derive(source, result, burned_in_mark=False), tmp_path / "a.dcm")
    np.testing.assert_array_equal(dataset.pixel_array, to_stored_values(result))
    assert (dataset.PhotometricInterpretation, dataset.BitsStored) == ("MONOCHROME2", 16)


def test_the_window_shows_black_as_black_and_white_as_white() -> None:
    source = source_of()
    result = np.linspace(0, 1, source.pixels.size, dtype=np.float32).reshape(source.pixels.shape)
    dataset = derive(source, result, burned_in_mark=False)
    for generated_mark in ("ImageType", "SeriesDescription"):
        del dataset[generated_mark]
    del dataset[0x0008001C]
    np.testing.assert_allclose(read_mammogram(dataset).pixels, result, atol=1 / 65535)


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
    assert dataset.SeriesDescription == f"SYNTHETIC contrast {laterality} {view}"


def test_every_mark_of_a_generated_image_is_there(tmp_path: Path) -> None:
    dataset = read_back(derive(source_of()), tmp_path / "a.dcm")
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
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_a_derived_instance_is_in_the_same_study_and_a_new_series(tmp_path: Path) -> None:
    dataset = read_back(derive(source_of()), tmp_path / "a.dcm")
    assert (dataset.StudyInstanceUID, dataset.FrameOfReferenceUID) == ("1.2.3", "1.2.3.9")
    assert (dataset.SeriesInstanceUID, dataset.SOPInstanceUID) == ("1.9.1", "1.9.2")
    assert dataset.file_meta.MediaStorageSOPInstanceUID == "1.9.2"
    assert (dataset.SeriesNumber, dataset.InstanceNumber) == (1003, 2)
    assert (dataset.PatientName, dataset.PatientID) == ("Muster^Mária", "P1")
    assert list(dataset.ImagerPixelSpacing) == [0.1, 0.07]
    assert list(dataset.PatientOrientation) == ["A", "R"]


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
    assert not any(tag.is_private or tag.group >= 0x6000 and tag.group < 0x7FE0 for tag in dataset.keys())  # noqa: SIM118
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


def test_a_lossy_source_stays_marked_as_lossy() -> None:
    dataset = derive(source_of(LossyImageCompression="01", LossyImageCompressionRatio="10"))
    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 10)


def test_a_long_derivation_is_shortened_but_keeps_its_warning() -> None:
    dataset = derive(source_of(), made_by=provenance(parameters={"text": "x" * 2000}))
    assert len(dataset.DerivationDescription) == 1024
    assert dataset.DerivationDescription.endswith("not acquired; not for diagnosis.")


def test_a_derived_instance_is_never_read_as_a_source_again() -> None:
    with pytest.raises(UnsupportedImageError, match="a generated image"):
        read_mammogram(as_file(derive(source_of())))


def test_the_burned_in_mark_is_in_the_emptiest_corner_and_nowhere_else() -> None:
    source = source_of(values=breast_values(480, 400))
    result = np.full(source.pixels.shape, 0.5, np.float32)
    changed = burn_in_mark(result, source) != result
    rows, columns = np.nonzero(changed)
    assert source.pixels[changed].max() == 0  # air
    assert rows.min() > 400
    assert columns.min() > 200
    assert 0.3 * 400 < np.ptp(columns) < 0.5 * 400


@given(st.integers(2, 60), st.integers(2, 60))
def test_the_burned_in_mark_fits_any_image(rows: int, columns: int) -> None:
    pixels = np.zeros((rows, columns), np.float32)
    marked = burn_in_mark(pixels, Mammogram(pixels, "IM1"))
    assert marked.shape == pixels.shape
    assert marked.max() == 1
    assert pixels.max() == 0


def test_without_the_mark_the_pixels_are_the_result_and_the_header_says_so() -> None:
    dataset = derive(source_of(), burned_in_mark=False)
    assert dataset.BurnedInAnnotation == "NO"
    assert dataset[0x0008001C].value == "YES"


def test_a_source_without_header_is_refused() -> None:
    with pytest.raises(OutputError, match=r"a\.png: the source has no DICOM header"):
        derive(Mammogram(np.zeros((8, 8), np.float32), "a.png"))


def test_a_source_that_cannot_be_referred_to_is_refused() -> None:
    with pytest.raises(OutputError, match=r"\(0020,000D\) Study Instance UID is missing"):
        derive(source_of(StudyInstanceUID=None))


def test_a_result_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        derive(source_of(), np.zeros((3, 3), np.float32))


def test_uids_depend_on_nothing_but_their_words() -> None:
    assert new_uid("a", "b") == new_uid("a", "b")
    assert len({new_uid("a", "b"), new_uid("ab"), new_uid("b", "a"), new_uid(), new_uid()}) == 5
    assert pydicom.uid.UID(new_uid("a")).is_valid
    assert new_uid("a") == "2.25.108567310034951137271910638592836294425"  # must never change: archives hold such UIDs


@given(st.lists(st.floats(-1, 2, width=32), min_size=1))
def test_stored_values_are_within_half_a_step(values: list[float]) -> None:
    stored = to_stored_values(np.array(values, np.float32))
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(stored / 65535, np.clip(values, 0, 1), atol=0.5 / 65535 + 1e-9)


def test_stored_values_of_no_number_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_stored_values(np.array([np.nan]))


def test_the_series_description_names_what_is_known() -> None:
    assert series_description("contrast", Mammogram(np.zeros((2, 2), np.float32), "a")) == "SYNTHETIC contrast"


def test_an_uncertainty_says_so_and_keeps_its_values_and_marks() -> None:
    source = source_of(SeriesNumber=3)
    dataset = derive(source, np.full(source.pixels.shape, 0.02, np.float32), burned_in_mark=False, is_uncertainty=True)
    image = derive(source)
    assert dataset.SeriesDescription == image.SeriesDescription.replace("contrast", "contrast uncertainty")
    assert (image.SeriesNumber, dataset.SeriesNumber) == (1003, 2003)
    assert dataset.pixel_array[0, 0] == round(0.02 * 65535)
    assert dataset.WindowWidth == pytest.approx(0.1 * 65535, abs=1)
    assert dataset.DerivationDescription.startswith(
        "Standard deviation of an image over the members of its model, 65535"
    )
    assert dataset.DerivationDescription.endswith("not for diagnosis.")
    assert dataset[0x0008001C].value == "YES"
    assert generated_mark_of(dataset)
    together = derive(source, is_uncertainty=True, several_views=True)
    assert together.SeriesDescription == "SYNTHETIC contrast uncertainty"


def test_a_failed_write_leaves_neither_a_file_nor_a_remainder(tmp_path: Path) -> None:
    dataset = derive(source_of())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"a\.dcm: cannot be written"):
        write_instance(dataset, tmp_path / "file" / "a.dcm")
    dataset.add_new(0x00081030, "LO", object())
    with pytest.raises(Exception, match="StudyDescription|encode|object|str"):
        write_instance(dataset, tmp_path / "b.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_dciodvfy_finds_no_error_in_a_derived_instance(photometric: str, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed: conformance of derived instances is not tested")
    source = source_of(PhotometricInterpretation=photometric, PresentationLUTShape=None)
    write_instance(derive(source), tmp_path / "a.dcm")
    checked = subprocess.run(["dciodvfy", "-new", tmp_path / "a.dcm"], capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert "MammographyImageForPresentation" in lines  # it knew what to check
    errors = [line for line in lines if line.startswith("Error")]
    # Synthetic Data (0008,001C) is younger than the tool's dictionary; nothing else may be wrong.
    assert [error for error in errors if not re.search(r"0008,001c.*not a recognized standard attribute", error)] == []
