"""What a reader said of a case as a DICOM Structured Report: TID 1500 Measurement Report, PS3.16.

A mark is a planar ROI (TID 1410) on the image that it was set on, every other answer a group of measurements and
evaluations (TID 1501). Questions, and answers that no standard has a code for, have codes of our own scheme.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from highdicom.sr import (
    CodedConcept,
    ComprehensiveSR,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from mammosynth import __version__
from mammosynth.dicom.attributes import text_of
from mammosynth.dicom.generated import MANUFACTURER
from mammosynth.dicom.segmentation import keep_study, reference_to
from mammosynth.errors import UnsupportedImageError
from mammosynth.reading.design import Reading
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.questions import Category, Items, Likert, Marks, RealOrGenerated, Text, YesNo

_OWN_SCHEME = "99MAMMOSYNTH"
_LONGEST_MEANING = 64  # characters of VR LO
_SERIES_NUMBER = 4000  # behind synthesized series and drawings
_LATERALITY = {"R": codes.SCT.Right, "L": codes.SCT.Left}
_FINDINGS = {
    "lesion": codes.SCT.Lesion,
    "artefact": Code("47973001", "SCT", "Artifact"),
    "hallucination": Code("HALLUCINATION", _OWN_SCHEME, "Structure that the breast does not have"),
}
_WORDS = {
    "yes": codes.SCT.Yes,
    "no": codes.SCT.No,
    "real": Code("REAL", _OWN_SCHEME, "Acquired image"),
    "generated": Code("GENERATED", _OWN_SCHEME, "Generated image"),
}
_NONE = Code("260413007", "SCT", "None")
_COMMENT = codes.DCM.Comment
_SCALES = {
    name: Code(name.upper(), _OWN_SCHEME, f"{name.capitalize()} from 0 to 100")
    for name in ("rating", "suspicion", "confidence")
}


@dataclass(frozen=True)
class Given:
    """An answer that counts."""

    question: str
    target: str
    value: Any


@dataclass(frozen=True)
class Occasion:
    """What a report is about.

    Attributes:
        study: Name of the reader study.
        head: Hash of its last record, of which UIDs are made.
        reading: By whom, when in the design, what.
        answers: That count, in the order of the questions.
        last_answer: When the last of them was given, ISO 8601 in UTC.
    """

    study: str
    head: str
    reading: Reading
    answers: Sequence[Given]
    last_answer: str


def structured_report(protocol: Protocol, occasion: Occasion, images: Sequence[Dataset]) -> Dataset:
    """A Comprehensive SR of one reading, in the study of its first image.

    The same records give the same report, with the same UIDs. Nobody has verified it: what it holds was said for a
    study, blinded, not for a patient's care.

    Args:
        protocol: Of the study.
        occasion: What was said.
        images: Headers of what was read, the sources and not their blinded copies, in the order of the protocol.

    Raises:
        UnsupportedImageError: If the images are of several patients.
    """
    if len({text_of(image, "PatientID") for image in images}) > 1:
        raise UnsupportedImageError(
            f"the images of case {occasion.reading.case} have several values of (0010,0020) Patient ID, expected one "
            "patient a case; correct the headers"
        )
    reading = occasion.reading
    groups = [group for given in occasion.answers for group in _groups(protocol, occasion, given, images)]
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_person_context=ObserverContext(
                observer_type=codes.DCM.Person,
                observer_identifying_attributes=PersonObserverIdentifyingAttributes(name=f"{reading.reader}^"),
            )
        ),
        procedure_reported=codes.SCT.Mammography,
        imaging_measurements=groups,
    )
    dataset = ComprehensiveSR(
        evidence=[reference_to(image) for image in images],
        content=report,
        series_instance_uid=_uid(occasion.head, reading.reader, text_of(images[0], "StudyInstanceUID")),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=_uid(occasion.head, reading.reader, reading.session, reading.position),
        instance_number=1000 * reading.session + reading.position,
        manufacturer=MANUFACTURER,
        manufacturer_model_name="Reader study",
        software_versions=__version__,
        device_serial_number="0",
        series_description=f"Reader study {occasion.study}"[:_LONGEST_MEANING],
        is_complete=True,
    )
    keep_study(dataset, images[0])
    for absent in ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientOrientation"):
        if absent in dataset:
            del dataset[absent]
    _date(dataset, datetime.fromisoformat(occasion.last_answer))
    return dataset


def _groups(protocol: Protocol, occasion: Occasion, given: Given, images: Sequence[Dataset]) -> Iterator[Any]:
    question = protocol.questions[given.question]
    concept = _own(given.question, question.title)
    if isinstance(question, Marks) and given.value:
        for number, mark in enumerate(given.value, start=1):
            yield _region(occasion, f"{given.question} {number}", _FINDINGS[question.finding], mark, images)
        return
    group = MeasurementsAndQualitativeEvaluations(
        **_common(occasion, given.question, given.target, _site(given.target, images)),
        measurements=list(_measurements(question, concept, given.value)) or None,
        qualitative_evaluations=list(_evaluations(question, concept, given.value)) or None,
        source_images=[
            SourceImageForMeasurementGroup(image.SOPClassUID, image.SOPInstanceUID)
            for image in _shown(given.target, images)
        ],
    )
    if isinstance(question, Text):
        comment = TextContentItem(_COMMENT, given.value or "-", relationship_type=RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(comment)
    yield group


def _region(occasion: Occasion, name: str, finding: Code, mark: Mapping[str, Any], images: Sequence[Dataset]) -> Any:
    image = images[mark["image"] - 1]
    site = [FindingSite(codes.SCT.Breast, _LATERALITY.get(text_of(image, "ImageLaterality")))]
    shape, points = _graphic(mark)
    rating = [_number(_SCALES["rating"], mark["rating"])] if "rating" in mark else None
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        **_common(occasion, name, str(mark["image"]), site),
        referenced_region=ImageRegion(shape, points, SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID)),
        finding_type=finding,
        measurements=rating,
    )


def _graphic(mark: Mapping[str, Any]) -> tuple[GraphicTypeValues, np.ndarray]:
    """Shape and points (column, row): DICOM counts from the corner of the first pixel, we from its centre.

    An ellipse is given by the ends of its longer axis, then of its shorter one (PS3.3 section C.18.6.1.2).
    """
    centre = np.array([mark["x"], mark["y"]]) + 0.5
    if mark["shape"] == "point":
        return GraphicTypeValues.POINT, centre[None]
    angle = np.deg2rad(mark["angle"])
    along = mark["radius_x"] * np.array([np.cos(angle), np.sin(angle)])
    across = mark["radius_y"] * np.array([-np.sin(angle), np.cos(angle)])
    longer, shorter = (along, across) if mark["radius_x"] >= mark["radius_y"] else (across, along)
    return GraphicTypeValues.ELLIPSE, np.stack([centre - longer, centre + longer, centre - shorter, centre + shorter])


def _common(occasion: Occasion, name: str, target: str, sites: Sequence[FindingSite]) -> dict[str, Any]:
    reading = occasion.reading
    place = (reading.reader, reading.session, reading.position)
    return {
        "tracking_identifier": TrackingIdentifier(_uid(occasion.head, *place, name, target), f"{name} ({target})"),
        "finding_sites": sites,
        "session": str(reading.session),
    }


def _measurements(question: Any, concept: CodedConcept, value: Any) -> Iterator[Measurement]:
    if isinstance(question, Likert):
        yield _number(concept, value)
    elif isinstance(question, Items):
        for item, level in value.items():
            yield _number(_own(item, question.items[item]), level)
    elif isinstance(question, YesNo | RealOrGenerated) and isinstance(value, Mapping):
        for name in sorted(set(value) & set(_SCALES)):
            yield _number(_SCALES[name], value[name])


def _evaluations(question: Any, concept: CodedConcept, value: Any) -> Iterator[QualitativeEvaluation]:
    if isinstance(question, YesNo | RealOrGenerated):
        yield QualitativeEvaluation(concept, _WORDS[value["answer"] if isinstance(value, Mapping) else value])
    elif isinstance(question, Category):
        labels = dict(zip(question.categories, question.labels or question.categories, strict=True))
        yield QualitativeEvaluation(concept, _own(value, labels[value]))
    elif isinstance(question, Marks):
        yield QualitativeEvaluation(concept, _NONE)


def _site(target: str, images: Sequence[Dataset]) -> list[FindingSite]:
    """The breast, with its side where the answer is about one."""
    sides = {target} if target in _LATERALITY else {text_of(each, "ImageLaterality") for each in _shown(target, images)}
    return [FindingSite(codes.SCT.Breast, _LATERALITY.get(sides.pop()) if len(sides) == 1 else None)]


def _shown(target: str, images: Sequence[Dataset]) -> Sequence[Dataset]:
    """The images that an answer is about."""
    if target.isdecimal():
        return [images[int(target) - 1]]
    return [
        each for each in images if target not in _LATERALITY or text_of(each, "ImageLaterality") == target
    ] or images


def _number(name: CodedConcept | Code, value: float) -> Measurement:
    return Measurement(name, value, codes.UCUM.NoUnits)


def _own(name: str, title: str) -> CodedConcept:
    """A concept that no standard has: the protocol's word is its code, its title the meaning."""
    meaning = " ".join(title.replace("\\", "/").split())[:_LONGEST_MEANING].strip()
    return CodedConcept(name, _OWN_SCHEME, meaning or name)


def _date(dataset: Dataset, at: datetime) -> None:
    """Date a report by its last answer, by the server's clock in UTC."""
    for keyword in ("Content", "Series", "InstanceCreation"):
        setattr(dataset, f"{keyword}Date", at.strftime("%Y%m%d"))
        setattr(dataset, f"{keyword}Time", at.strftime("%H%M%S"))
    dataset.ObservationDateTime = at.strftime("%Y%m%d%H%M%S%z")


def _uid(*words: object) -> str:
    """The UID that stands for these words (PS3.5 section B.2), always the same one."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '|'.join(map(str, words))).int}"
