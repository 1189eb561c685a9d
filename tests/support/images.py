"""Small mammograms with random pixels for the PACS tests."""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid


def mammogram(
    seed: int = 0,
    *,
    patient_id: str = "P1",
    study: str | None = None,
    series: str | None = None,
    laterality: str = "L",
    generated: bool = False,
    **attributes: object,
) -> FileDataset:
    """A 24 x 16 mammogram; further keywords are DICOM attributes."""
    dataset = FileDataset("", Dataset(), preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = study or generate_uid()
    dataset.SeriesInstanceUID = series or generate_uid()
    dataset.PatientName, dataset.PatientID = f"PHANTOM^{patient_id}", patient_id
    dataset.StudyDate, dataset.StudyTime, dataset.StudyDescription = "20260115", "101500", "Phantom exam"
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.SeriesDescription = ("SYNTHETIC " if generated else "") + f"{laterality} CC"
    dataset.Manufacturer = "MammoSynth" if generated else "Vendor"
    dataset.ImageLaterality, dataset.ViewPosition = laterality, "CC"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 24, 16, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    shape = (dataset.Rows, dataset.Columns)
    dataset.PixelData = np.random.default_rng(seed).integers(0, 4096, shape).astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def as_file(dataset: FileDataset) -> bytes:
    """The bytes of a DICOM file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, write_like_original=False)
    return buffer.getvalue()
