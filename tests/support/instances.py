"""MG instances built in code, for the tests of every room that reads or writes DICOM."""

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
)
from pydicom.valuerep import VR

CRANIO_CAUDAL = ("399162004", "SCT", "cranio-caudal")
MEDIO_LATERAL_OBLIQUE = ("399368009", "SCT", "medio-lateral oblique")


def breast_values(rows: int = 48, columns: int = 40, bits: int = 12) -> np.ndarray:
    """(rows, columns) uint16: a half ellipse on the left, brighter below, one bright dot; no mirror image equals it."""
    row, column = np.mgrid[0:rows, 0:columns].astype(float)
    inside = (column / (0.7 * columns)) ** 2 + ((row - 0.5 * rows) / (0.4 * rows)) ** 2 < 1
    share = inside * (0.3 + 0.3 * row / rows + 0.1 * column / columns)
    share[rows // 3, columns // 5] = 0.95
    return np.rint(share * ((1 << bits) - 1)).astype(np.uint16)


def coded(value: str, designator: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, designator, meaning
    return item


def build_instance(
    values: np.ndarray | None = None, *, bits: int = 12, allocated: int = 16, signed: bool = False, **attributes: Any
) -> Dataset:
    """A valid For Presentation MG instance, uncompressed; attributes given as None are left out."""
    values = breast_values(bits=bits) if values is None else values
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    view = coded(*CRANIO_CAUDAL)
    view.ViewModifierCodeSequence = []
    defaults: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "SOPInstanceUID": "1.2.3.4.5",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.9",
        "StudyDate": "20260102",
        "StudyTime": "101500",
        "ContentDate": "20260102",
        "ContentTime": "101502",
        "AccessionNumber": "A1",
        "StudyID": "S1",
        "SeriesNumber": 3,
        "InstanceNumber": 2,
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "Manufacturer": "Vendor",
        "ManufacturerModelName": "Detector 1",
        "PatientName": "Muster^Mária",
        "PatientID": "P1",
        "PatientBirthDate": "19600101",
        "PatientSex": "F",
        "ReferringPhysicianName": "Doe^Jo",
        "BodyPartExamined": "BREAST",
        "ImageLaterality": "L",
        "ViewPosition": "CC",
        "ViewCodeSequence": [view],
        "AnatomicRegionSequence": [coded("76752008", "SCT", "Breast")],
        "PatientOrientation": ["A", "R"],
        "ImagerPixelSpacing": [0.1, 0.07],
        "PositionerType": "MAMMOGRAPHIC",
        "DetectorType": "DIRECT",
        "BreastImplantPresent": "NO",
        "KVP": "28",
        "ExposureTime": "900",
        "OrganDose": "0.012",
        "PhotometricInterpretation": "MONOCHROME2",
        "PresentationLUTShape": "IDENTITY",
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "WindowCenter": str(1 << (bits - 1)),
        "WindowWidth": str(1 << bits),
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "AcquisitionContextSequence": [],
        "SamplesPerPixel": 1,
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
        "PixelData": values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes(),
    }
    for keyword, value in {**defaults, **attributes}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    return dataset


def build_raw_instance(values: np.ndarray, **attributes: Any) -> Dataset:
    """A For Processing instance of a detector that is linear in exposure: air is bright."""
    raw: dict[str, Any] = {
        "SOPClassUID": DigitalMammographyXRayImageStorageForProcessing,
        "PresentationIntentType": "FOR PROCESSING",
        "PixelIntensityRelationship": "LIN",
        "PixelIntensityRelationshipSign": 1,
        "PresentationLUTShape": None,
        "WindowCenter": None,
        "WindowWidth": None,
    }
    return build_instance(values, bits=14, **{**raw, **attributes})


def as_file(dataset: Dataset, **options: Any) -> io.BytesIO:
    """The instance as a DICOM file in memory."""
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    content = io.BytesIO()
    pydicom.dcmwrite(content, dataset, **{"write_like_original": False, **options})
    content.seek(0)
    return content


def lut_item(count: int, first: int, bits: int, data: object) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [count, first, bits])
    item.add_new("LUTData", "OW" if isinstance(data, bytes) else "US", data)
    return item


def digest_without_times(file: Path) -> str:
    """SHA-256 of an instance but for dates and times, which say when it was made."""
    dataset = pydicom.dcmread(file)

    def blank(_: Dataset, element: DataElement) -> None:
        if element.VR in (VR.DA, VR.TM, VR.DT):
            element.value = ""
        elif element.VR == VR.UT:  # the provenance as JSON
            element.value = re.sub(r'"created": *"[^"]*"', "", element.value)

    dataset.walk(blank)
    content = io.BytesIO()
    pydicom.dcmwrite(content, dataset)
    return hashlib.sha256(content.getvalue()).hexdigest()
