"""Derived instances: marked, valid, in the source's study, and read back exactly."""

import datetime
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

from mammosynth.dicom.mark import burn_in_mark
from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.write import derive_instance, new_uid, series_description, to_stored_values, write_instance
from mammosynth.errors import OutputError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance
from mammosynth.terms import ImageLaterality, Task, ViewPosition
from tests.dicom.instances import as_file, breast_values, build_instance, build_raw_instance, coded

CREATED = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)


def provenance(**changes: Any) -> Provenance:
    values: dict[str, Any] = {
        "task": Task.CONTRAST,
        "bundle": "breast_contrast",
        "bundle_version": "1.2.0",
        "weights_sha256": "ab" * 32,
        "software_version": "0.1.0",
        "seed": 7,
        "parameters": {"strength": 0.5},
        "created": CREATED,
        "source_name": "IM1",
    }
    return Provenance(**{**values, **changes})


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
