"""Writing a result as a derived DICOM instance that nobody can take for an acquired one.

The header is built from a list of what may be kept (patient, study, frame of reference, view, geometry), not by
removing things from the source: an exposure, a dose or a private group of the vendor is never carried over.
"""

from __future__ import annotations

import copy
import json
import re
import uuid
from datetime import datetime, tzinfo
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammosynth.dicom.atomic import atomic_path
from mammosynth.dicom.attributes import (
    SYNTHETIC_DATA,
    code_of,
    coded,
    integer_of,
    items_of,
    label_of,
    text_of,
    texts_of,
    value_of,
)
from mammosynth.dicom.generated import GENERATED_DESCRIPTION, MANUFACTURER
from mammosynth.dicom.mark import MARK, burn_in_mark
from mammosynth.dicom.view import VIEW_CODES
from mammosynth.errors import OutputError
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance
from mammosynth.terms import PresentationIntentType

BITS_STORED = 16  # MG allows 8 to 16; all 16, so that NRRD for Slicer and DICOM for OHIF hold equal numbers
STORED_MAXIMUM = (1 << BITS_STORED) - 1
_UID_NAMESPACE = uuid.UUID("5e0f8ad6-6f0c-4a55-9a0b-2f6f3c2f6f10")  # ours, drawn once; must never change
_DESCRIPTION_LENGTH = 1024  # VR ST
_SERIES_NUMBER_OFFSET = 1000  # derived series sort behind the acquired ones
_UNCERTAINTY_NUMBER_OFFSET = 2000  # and how uncertain they are behind them
_UNCERTAINTY_SHOWN = 0.1  # white in the window of an uncertainty, in grey values; chosen, equal for all to be compared

# fmt: off
_KEPT = (
    # patient
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "OtherPatientIDsSequence", "PatientBirthDate", "PatientBirthTime", "PatientSex", "EthnicGroup",
    "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified",
    # clinical trial
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    # study
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName", "ProcedureCodeSequence", "PatientAge", "PatientSize", "PatientWeight",
    "TimezoneOffsetFromUTC",
    # frame of reference and geometry: the matrix is the source's
    "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientOrientation", "ImagePositionPatient",
    "ImageOrientationPatient",
    "ImagerPixelSpacing", "PixelSpacing", "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription",
    "PixelAspectRatio",
    "EstimatedRadiographicMagnificationFactor", "PositionerType",
    # view and anatomy
    "InstanceNumber", "ImageLaterality", "ViewPosition", "ViewCodeSequence", "ViewModifierCodeSequence",
    "AnatomicRegionSequence",
    "BodyPartExamined", "OrganExposed", "BreastImplantPresent", "PartialView", "PartialViewDescription",
    "PartialViewCodeSequence",
    # once lossy, always lossy (PS3.3 C.7.6.1.1.5)
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)
_TYPE_2 = (  # must be there, may be empty
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "InstanceNumber", "PatientOrientation", "DetectorType",
    "BreastImplantPresent", "AcquisitionContextSequence",
)
# fmt: on
_SPATIAL_LOCATIONS_PRESERVED = {"contrast": "YES"}  # PS3.3 C.12.4.1.3.1; other tasks change the geometry


def derive_instance(
    result_pixels: np.ndarray,
    provenance: Provenance,
    source: Mammogram,
    *,
    series_instance_uid: str,
    sop_instance_uid: str,
    series_number: int | None = None,
    burned_in_mark: bool = True,
    several_views: bool = False,
    is_uncertainty: bool = False,
) -> Dataset:
    """A For Presentation MG instance of a result: same patient, study and frame of reference as the source, new series.

    MONOCHROME2, 16 bits stored, one linear window over the full range and no VOI LUT Function, which some viewers
    (OHIF 3.13) fail on. There is no Derivation Code Sequence: no code of CID 7203 means synthesis by a learnt model,
    and a near one would be wrong.

    Args:
        result_pixels: (H, W) float32 in [0, 1], MONOCHROME2 sense, in the source's orientation and matrix.
        provenance: What made it.
        source: What it was made from, read from DICOM.
        series_instance_uid: Of the new series; equal for the views that belong together. See `new_uid`.
        sop_instance_uid: Of the new instance.
        series_number: By default the source's plus 1000, plus 2000 for an uncertainty.
        burned_in_mark: Whether the pixels carry the mark too. Turn it off in blinded studies only.
        several_views: Whether the new series holds other views, too. What it says of itself is then true of all.
        is_uncertainty: Whether the pixels are the standard deviation of a result instead of a result; they have the
            same scale, 65535 for the whole range of grey values, and a window that shows small values.

    Returns:
        A dataset with file meta information, ready for `write_instance` or STOW-RS.

    Raises:
        OutputError: If the source has no DICOM header or lacks the UIDs to refer to it.
        ValueError: If the result's shape is not the source's.
    """
    if source.header is None:
        raise OutputError(
            f"{source.source_name}: the source has no DICOM header, so no DICOM can be derived from it; write PNG, "
            "TIFF, NRRD or NIfTI instead."
        )
    if result_pixels.shape != source.pixels.shape:
        raise ValueError(f"result has shape {result_pixels.shape}, its source has {source.pixels.shape}")
    pixels = burn_in_mark(result_pixels, source) if burned_in_mark else result_pixels
    dataset = _kept(source)
    if series_number is None:
        offset = _UNCERTAINTY_NUMBER_OFFSET if is_uncertainty else _SERIES_NUMBER_OFFSET
        series_number = offset + (integer_of(source.header, "SeriesNumber") or 0)
    _set_identity(dataset, series_instance_uid, sop_instance_uid, series_number)
    _set_view(dataset, source)
    _set_dates(dataset, provenance)
    if several_views:
        del dataset.SeriesDate, dataset.SeriesTime
    _set_marks(dataset, provenance, source, burned_in_mark=burned_in_mark)
    shown = None if several_views else source
    dataset.SeriesDescription = series_description(provenance.task, shown, is_uncertainty=is_uncertainty)
    _set_pixels(dataset, to_stored_values(pixels))
    if is_uncertainty:
        _say_uncertainty(dataset)
    return dataset


def write_instance(dataset: Dataset, path: Path) -> None:
    """Write an instance as a DICOM file, whole or not at all.

    Raises:
        OutputError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        pydicom.dcmwrite(temporary, dataset, write_like_original=False)


def new_uid(*entropy: str) -> str:
    """A UID under 2.25 (PS3.5 B.2): always the same for the same words, a random one without words."""
    name = uuid.uuid5(_UID_NAMESPACE, json.dumps(entropy)) if entropy else uuid.uuid4()
    return f"2.25.{name.int}"


def to_stored_values(pixels: np.ndarray) -> np.ndarray:
    """[0, 1] as uint16 0..65535, rounded; what is outside [0, 1] saturates.

    Raises:
        ValueError: If a value is not finite.
    """
    if not np.isfinite(pixels).all():
        raise ValueError("pixels hold values that are not finite")
    return np.rint(np.clip(pixels.astype(np.float64), 0.0, 1.0) * STORED_MAXIMUM).astype(np.uint16)


def series_description(task: str, source: Mammogram | None, *, is_uncertainty: bool = False) -> str:
    """Series Description (0008,103E) of a derived series: "SYNTHETIC contrast L CC".

    Args:
        task: What was synthesized.
        source: Whose side and view the description names; None for a series of several.
        is_uncertainty: Whether the series shows how uncertain another one is.
    """
    view = () if source is None else (source.image_laterality, source.view_position)
    words = (GENERATED_DESCRIPTION, task, "uncertainty" if is_uncertainty else "", *view)
    return " ".join(str(word) for word in words if word)[:64]


def _kept(source: Mammogram) -> Dataset:
    """A new dataset with what may be kept of the source; attributes that cannot be decoded are left out."""
    assert source.header is not None  # noqa: S101 (narrowed by derive_instance)
    dataset = Dataset()
    for keyword in _KEPT:
        if value_of(source.header, keyword) is not None and not _is_malformed_date(source.header[keyword]):
            dataset[keyword] = copy.deepcopy(source.header[keyword])
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        if value_of(source.header, keyword) is None:
            raise OutputError(
                f"{source.source_name}: {label_of(keyword)} is missing, so a derived instance cannot refer to its "
                "source; repair the header, or write PNG, TIFF, NRRD or NIfTI instead."
            )
    for keyword in _TYPE_2:
        if keyword not in dataset:
            setattr(dataset, keyword, [] if keyword.endswith("Sequence") else None)
    if "FrameOfReferenceUID" in dataset and "PositionReferenceIndicator" not in dataset:
        dataset.PositionReferenceIndicator = None  # type 2 of an optional module
    return dataset


def _is_malformed_date(element: DataElement) -> bool:
    """Whether a date is none, as the 00000000 that anonymisers leave; every date that is kept may be empty."""
    return element.VR == "DA" and re.fullmatch(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", str(element.value)) is None


def _set_identity(dataset: Dataset, series_instance_uid: str, sop_instance_uid: str, series_number: int) -> None:
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.SeriesInstanceUID = series_instance_uid
    dataset.SeriesNumber = series_number
    dataset.Modality = "MG"
    dataset.PresentationIntentType = str(PresentationIntentType.FOR_PRESENTATION)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = sop_instance_uid
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = new_uid("implementation class")
    dataset.file_meta.ImplementationVersionName = "MAMMOSYNTH"


def _set_view(dataset: Dataset, source: Mammogram) -> None:
    """View, laterality and anatomy as the Mammogram has them, also where the caller corrected the header."""
    if source.image_laterality is not None:
        dataset.ImageLaterality = str(source.image_laterality)
    if source.view_position is not None:
        dataset.ViewPosition = str(source.view_position)
        code = VIEW_CODES[source.view_position]
        if not any(code_of(item) == code for item in items_of(dataset, "ViewCodeSequence")):
            dataset.ViewCodeSequence = [coded(code)]
    for item in items_of(dataset, "ViewCodeSequence"):
        if "ViewModifierCodeSequence" not in item:
            item.ViewModifierCodeSequence = []
    if not items_of(dataset, "AnatomicRegionSequence"):
        dataset.AnatomicRegionSequence = [coded(codes.SCT.Breast)]
    dataset.BodyPartExamined = dataset.OrganExposed = "BREAST"
    dataset.PositionerType = text_of(dataset, "PositionerType") or "NONE"


def _set_dates(dataset: Dataset, provenance: Provenance) -> None:
    """All dates of the new instance and series, in the time zone that the header states."""
    created = provenance.created.astimezone(_timezone(dataset))
    for kind in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{kind}Date", created.strftime("%Y%m%d"))
        setattr(dataset, f"{kind}Time", created.strftime("%H%M%S.%f"))


def _timezone(dataset: Dataset) -> tzinfo | None:
    """Timezone Offset From UTC (0008,0201); None, which is the local one, if it is absent or malformed."""
    try:
        return datetime.strptime(text_of(dataset, "TimezoneOffsetFromUTC"), "%z").tzinfo
    except ValueError:
        if "TimezoneOffsetFromUTC" in dataset:
            del dataset.TimezoneOffsetFromUTC
        return None


def _set_marks(dataset: Dataset, provenance: Provenance, source: Mammogram, *, burned_in_mark: bool) -> None:
    """Everything that says: generated, by what, from what, not for diagnosis."""
    dataset.add_new(SYNTHETIC_DATA, "CS", "YES")
    dataset.ImageType = ["DERIVED", "SECONDARY", "", GENERATED_DESCRIPTION]
    dataset.ContentQualification = "RESEARCH"
    dataset.ImageComments = MARK
    dataset.DerivationDescription = _shortened(provenance.describe())
    source_had_annotation = text_of(source.header, "BurnedInAnnotation") == "YES"
    dataset.BurnedInAnnotation = "YES" if burned_in_mark or source_had_annotation else "NO"
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = provenance.bundle[:64]
    dataset.SoftwareVersions = [provenance.software_version, provenance.bundle_version]
    dataset.InstanceCreatorUID = dataset.file_meta.ImplementationClassUID

    reference = Dataset()
    reference.ReferencedSOPClassUID = value_of(source.header, "SOPClassUID")
    reference.ReferencedSOPInstanceUID = value_of(source.header, "SOPInstanceUID")
    reference.SpatialLocationsPreserved = _SPATIAL_LOCATIONS_PRESERVED.get(provenance.task, "NO")
    reference.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
    dataset.SourceImageSequence = [reference]

    equipment = Dataset()
    equipment.Manufacturer = MANUFACTURER
    equipment.ManufacturerModelName = provenance.bundle[:64]
    equipment.SoftwareVersions = [provenance.software_version, provenance.bundle_version]
    equipment.ContributionDateTime = provenance.created.strftime("%Y%m%d%H%M%S.%f%z")
    equipment.ContributionDescription = f"Image synthesis, weights sha256 {provenance.weights_sha256}"
    equipment.PurposeOfReferenceCodeSequence = [coded(codes.DCM.ProcessingEquipment)]
    dataset.ContributingEquipmentSequence = [equipment]


def _set_pixels(dataset: Dataset, stored_values: np.ndarray) -> None:
    """The image pixel, modality LUT and VOI LUT modules."""
    dataset.Rows, dataset.Columns = stored_values.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored, dataset.HighBit = BITS_STORED, BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"  # type 1 in MG, LIN or LOG; as For Presentation images have it
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = str((STORED_MAXIMUM + 1) // 2), str(STORED_MAXIMUM + 1)
    dataset.PresentationLUTShape = "IDENTITY"
    if texts_of(dataset, "LossyImageCompression") != ("01",):
        dataset.LossyImageCompression = "00"
    dataset.PixelData = stored_values.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _say_uncertainty(dataset: Dataset) -> None:
    white = round(_UNCERTAINTY_SHOWN * STORED_MAXIMUM)
    dataset.WindowCenter, dataset.WindowWidth = str(white // 2), str(white)
    meaning = f"Standard deviation of an image over the members of its model, {STORED_MAXIMUM} is its whole grey scale"
    dataset.DerivationDescription = _shortened(f"{meaning}. {dataset.DerivationDescription}")


def _shortened(description: str) -> str:
    """At most 1024 characters; the end, which says what the image is not for, stays."""
    if len(description) <= _DESCRIPTION_LENGTH:
        return description
    ending = description[-100:]
    return f"{description[: _DESCRIPTION_LENGTH - len(ending) - 5]} ... {ending}"
