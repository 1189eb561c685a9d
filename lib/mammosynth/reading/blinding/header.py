"""`BlindedUids` and `blinded_header`: one header for the copies of every arm."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammosynth.dicom.attributes import coded
from mammosynth.dicom.view import VIEW_CODES
from mammosynth.dicom.write import IMPLEMENTATION_CLASS_UID
from mammosynth.reading.blinding.pixels import ROOM
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.terms import ImageLaterality, ViewPosition

BLINDED = "BLINDED"
"""Patient, study, maker and device of every copy."""
_DATE, _TIME = "20000101", "120000"  # of everything: the same for every copy


@dataclass(frozen=True)
class BlindedUids:
    """UIDs of what one reader sees in one reading: they follow from the study's secret, and tell nothing without it.

    Attributes:
        secret: Of the study, 32 random bytes.
        reader: Who reads.
        session: From 0, which is training.
        position: In the session, from 1.
    """

    secret: bytes = field(repr=False)
    reader: str
    session: int
    position: int

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return self._uid("study", 0)

    def series(self, number: int) -> str:
        """Series Instance UID of an image, from 1."""
        return self._uid("series", number)

    def instance(self, number: int) -> str:
        """SOP Instance UID of an image, from 1."""
        return self._uid("instance", number)

    def _uid(self, kind: str, number: int) -> str:
        """2.25 and 128 bits (PS3.5 B.2), the first of them set, so that all are equally long."""
        words = json.dumps(["uid", self.reader, self.session, self.position, kind, number]).encode()
        digest = hmac.new(self.secret, words, hashlib.sha256).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 127}"


def blinded_header(
    uids: BlindedUids,
    number: int,
    rule: BlindingRule,
    image_laterality: ImageLaterality,
    view_position: ViewPosition,
) -> Dataset:
    """A Digital Mammography X-Ray Image - For Presentation without pixel data; only its UIDs and view differ.

    Args:
        uids: Of the reading.
        number: Of the image in the case, from 1.
        rule: Of the study.
        image_laterality: Of the image.
        view_position: Of the image.

    Returns:
        With file meta information. (7FE0,0010) is to be rows x columns x 2 bytes, OW, little endian.
    """
    dataset = Dataset()
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uids.instance(number)
    dataset.SeriesInstanceUID = uids.series(number)
    dataset.StudyInstanceUID = uids.study
    dataset.SeriesNumber = dataset.InstanceNumber = number
    _set_constants(dataset)
    dataset.ImageLaterality = str(image_laterality)
    dataset.ViewPosition = str(view_position)
    view = coded(VIEW_CODES[view_position])
    view.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [view]
    medial = "L" if image_laterality is ImageLaterality.RIGHT else "R"
    down = medial if view_position is ViewPosition.CC else f"F{medial}"
    dataset.PatientOrientation = ["P" if image_laterality is ImageLaterality.RIGHT else "A", down]
    _set_image(dataset, rule)
    _set_file_meta(dataset)
    return dataset


def _set_constants(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "PRIMARY", ""]
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PatientName = dataset.PatientID = BLINDED
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyID = dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = dataset.SeriesDescription = BLINDED
    dataset.Manufacturer = dataset.ManufacturerModelName = BLINDED
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{kind}Date", _DATE)
        setattr(dataset, f"{kind}Time", _TIME)
    dataset.BodyPartExamined = "BREAST"
    dataset.AnatomicRegionSequence = [coded(codes.SCT.Breast)]
    dataset.OrganExposed = "BREAST"
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.DetectorType = ""
    dataset.BreastImplantPresent = "NO"
    dataset.PartialView = "NO"
    dataset.BurnedInAnnotation = "NO"
    dataset.AcquisitionContextSequence = []


def _set_image(dataset: Dataset, rule: BlindingRule) -> None:
    """The window is the same for all, from black to white: what a display shall show is in the pixels."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rule.rows, rule.columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, rule.bits, rule.bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.LossyImageCompression = "00"
    levels = 1 << rule.bits
    dataset.WindowCenter, dataset.WindowWidth = str(levels // 2), str(round(levels * (1 - 2 * ROOM)))
    if rule.pixel_spacing_mm is not None:
        dataset.ImagerPixelSpacing = [f"{rule.pixel_spacing_mm:.6g}"] * 2


def _set_file_meta(dataset: Dataset) -> None:
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = BLINDED
