"""The header with which a derived image begins: whose it is, in which study, and how the breast lies in it.

It is built from lists of what may be kept of the source, not by removing things from it: an exposure, a dose or a
private group of the vendor is never carried over.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mammosynth.dicom.attributes import code_of, coded, items_of, label_of, text_of, value_of
from mammosynth.dicom.generated import GENERATED_DESCRIPTION, is_synthesized_uid
from mammosynth.dicom.view import VIEW_CODES
from mammosynth.errors import OutputError
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance
from mammosynth.task import Placement
from mammosynth.terms import ImageLaterality, ViewPosition

Identify = Callable[[str, str], str]
"""A UID by its kind and the role of the output.

Kinds are "study", "series", "instance", "frame of reference", "dimension organization" and "patient".

The role is "" for what all outputs of a result share: its study, frame of reference and patient.
"""

# fmt: off
_PATIENT_AND_STUDY = (
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
)
_GEOMETRY_AND_VIEW = (
    # frame of reference and geometry: the matrix is the source's
    "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientOrientation", "ImagePositionPatient",
    "ImageOrientationPatient",
    "ImagerPixelSpacing", "PixelSpacing", "PixelSpacingCalibrationType", "PixelSpacingCalibrationDescription",
    "PixelAspectRatio",
    "EstimatedRadiographicMagnificationFactor", "PositionerType",
    # view and anatomy
    "ImageLaterality", "ViewPosition", "ViewCodeSequence", "ViewModifierCodeSequence", "AnatomicRegionSequence",
    "BodyPartExamined", "OrganExposed", "BreastImplantPresent", "PartialView", "PartialViewDescription",
    "PartialViewCodeSequence",
)
# once lossy, always lossy (PS3.3 C.7.6.1.1.5)
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_TYPE_2 = (  # must be there, may be empty
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "InstanceNumber", "PatientOrientation", "DetectorType",
    "BreastImplantPresent", "AcquisitionContextSequence",
)
# fmt: on
_KEPT = {
    Placement.ON_SOURCE: (*_PATIENT_AND_STUDY, *_GEOMETRY_AND_VIEW, *_LOSSY),
    Placement.SAME_STUDY: (*_PATIENT_AND_STUDY, *_LOSSY),
    Placement.NEW_STUDY: _LOSSY,
}
_NO_PERSON = "Fictitious patient: there is no person"
_TISSUE = 4 / 255  # grey above air
_MARK_SHARE = 0.1  # of the breast's height: a column that shows less holds a mark or a letter
_ID_DIGITS = 12  # enough for a table; the whole UID would be none that anybody reads


def place(
    placement: Placement, image: Mammogram, source: Mammogram | None, provenance: Provenance, identify: Identify
) -> Dataset:
    """What an image's header says of patient, study, frame of reference, geometry and view.

    Args:
        placement: Where the image belongs.
        image: Its view and side, pixel spacing, and pixels, which tell where its chest wall is.
        source: What it was made from; None only for a new study.
        provenance: What made it.
        identify: Gives UIDs.

    Raises:
        OutputError: If there is no source with a DICOM header, or it lacks the UIDs to refer to it.
        ValueError: If the UID of a new study does not lie under the root of what is synthesized.
    """
    header = None if source is None else source.header
    if placement is not Placement.NEW_STUDY:
        header = _header_to_refer_to(source)
    dataset = _kept(header, _KEPT[placement])
    if placement is Placement.NEW_STUDY:
        _set_fictitious_patient(dataset, provenance, identify)
    if placement is not Placement.ON_SOURCE:
        dataset.FrameOfReferenceUID = identify("frame of reference", "")
        dataset.PatientOrientation = _patient_orientation(image)
        if image.pixel_spacing_mm is not None:
            dataset.ImagerPixelSpacing = [round(spacing, 6) for spacing in image.pixel_spacing_mm]
    _set_view(dataset, image)
    for keyword in _TYPE_2:
        if keyword not in dataset:
            setattr(dataset, keyword, [] if keyword.endswith("Sequence") else None)
    if "FrameOfReferenceUID" in dataset and "PositionReferenceIndicator" not in dataset:
        dataset.PositionReferenceIndicator = None  # type 2 of an optional module
    return dataset


def fictitious_patient_id(identify: Identify) -> str:
    """Patient ID of a person that there is not."""
    return f"{GENERATED_DESCRIPTION}-{identify('patient', '')[-_ID_DIGITS:]}"


def _header_to_refer_to(source: Mammogram | None) -> Dataset:
    if source is None or source.header is None:
        name = "the result" if source is None else source.source_name
        raise OutputError(
            f"{name}: the source has no DICOM header, so no DICOM can be derived from it; write PNG, TIFF, NRRD or "
            "NIfTI instead."
        )
    for keyword in ("StudyInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        if value_of(source.header, keyword) is None:
            raise OutputError(
                f"{source.source_name}: {label_of(keyword)} is missing, so a derived instance cannot refer to its "
                "source; repair the header, or write PNG, TIFF, NRRD or NIfTI instead."
            )
    return source.header


def _kept(header: Dataset | None, keywords: Sequence[str]) -> Dataset:
    """A new dataset with these attributes; those that cannot be decoded are left out."""
    dataset = Dataset()
    if header is None:
        return dataset
    for keyword in keywords:
        if value_of(header, keyword) is not None and not _is_malformed_date(header[keyword]):
            dataset[keyword] = copy.deepcopy(header[keyword])
    return dataset


def _is_malformed_date(element: DataElement) -> bool:
    """Whether a date is none, as the 00000000 that anonymisers leave; every date that is kept may be empty."""
    return element.VR == "DA" and re.fullmatch(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", str(element.value)) is None


def _set_fictitious_patient(dataset: Dataset, provenance: Provenance, identify: Identify) -> None:
    study, patient_id = identify("study", ""), fictitious_patient_id(identify)
    if not is_synthesized_uid(study):
        raise ValueError(f"study {study} lies outside the root of what is synthesized; use `generated.synthesized_uid`")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = patient_id.replace("-", "^")
    dataset.PatientID = patient_id
    dataset.PatientComments = _NO_PERSON
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", _NO_PERSON
    dataset.StudyInstanceUID = study
    dataset.StudyDate, dataset.StudyTime = provenance.created.strftime("%Y%m%d"), provenance.created.strftime("%H%M%S")
    dataset.StudyDescription = f"{GENERATED_DESCRIPTION} {provenance.task}, synthesized, no patient"[:64]
    dataset.TimezoneOffsetFromUTC = provenance.created.strftime("%z")[:5]


def _set_view(dataset: Dataset, image: Mammogram) -> None:
    """View, laterality and anatomy as the Mammogram has them, also where the caller corrected the header."""
    if image.image_laterality is not None:
        dataset.ImageLaterality = str(image.image_laterality)
    if image.view_position is not None:
        dataset.ViewPosition = str(image.view_position)
        code = VIEW_CODES[image.view_position]
        if not any(code_of(item) == code for item in items_of(dataset, "ViewCodeSequence")):
            dataset.ViewCodeSequence = [coded(code)]
    for item in items_of(dataset, "ViewCodeSequence"):
        if "ViewModifierCodeSequence" not in item:
            item.ViewModifierCodeSequence = []
    if not items_of(dataset, "AnatomicRegionSequence"):
        dataset.AnatomicRegionSequence = [coded(codes.SCT.Breast)]
    dataset.BodyPartExamined = dataset.OrganExposed = "BREAST"
    dataset.PositionerType = text_of(dataset, "PositionerType") or "NONE"


def _patient_orientation(image: Mammogram) -> list[str] | None:
    """Directions of rows and columns (PS3.3 C.7.6.1.1.1), the nipple where the breast ends, up where views have it."""
    if image.image_laterality is None or image.view_position is None:
        return None
    medial = "R" if image.image_laterality is ImageLaterality.LEFT else "L"
    down = medial if image.view_position is ViewPosition.CC else f"F{medial}"
    return ["A" if _is_wall_on_left(image.pixels) else "P", down]


def _is_wall_on_left(pixels: np.ndarray) -> bool:
    """Whether the breast is taller in its left half: it narrows towards the nipple, wherever it lies in its matrix."""
    heights = np.count_nonzero(pixels > _TISSUE, axis=0)
    columns = np.flatnonzero(heights > _MARK_SHARE * heights.max())
    if not columns.size:
        return True
    box = heights[columns[0] : columns[-1] + 1]
    half = box.size // 2
    return int(box[:half].sum()) >= int(box[box.size - half :].sum())
