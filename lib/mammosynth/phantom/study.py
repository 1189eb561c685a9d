"""A phantom's exam as DICOM files: the acquired images of the demo, four views, For Presentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from mammosynth.dicom.atomic import atomic_path
from mammosynth.dicom.attributes import coded
from mammosynth.dicom.view import VIEW_CODES
from mammosynth.phantom.breast import Breast, generate_breast
from mammosynth.phantom.project import PhantomView, project
from mammosynth.terms import ImageLaterality, ViewPosition

STUDY_DESCRIPTION = "Computer-generated phantom"
IMAGE_COMMENTS = "Computer-generated phantom, no patient; for tests and demonstration only."
GENERATOR_VERSION = "1"  # raise when the same seed gives other pixels: it makes other UIDs

_VIEWS = tuple((side, view) for view in ViewPosition for side in (ImageLaterality.RIGHT, ImageLaterality.LEFT))
_BITS_STORED = 12
_LOW_ENERGY, _RECOMBINED = "low energy", "recombined"
_PATIENT_ORIENTATION = {  # of rows and columns; PS3.3 C.7.6.1.1.1
    (ImageLaterality.RIGHT, ViewPosition.CC): ["P", "L"],
    (ImageLaterality.LEFT, ViewPosition.CC): ["A", "R"],
    (ImageLaterality.RIGHT, ViewPosition.MLO): ["P", "FL"],
    (ImageLaterality.LEFT, ViewPosition.MLO): ["A", "FR"],
}
_DATE, _TIME = "20260101", "100000"  # fixed, so that a seed gives the same files


@dataclass(frozen=True)
class _Exam:
    """What all images of one exam share; everything of it makes the UIDs."""

    seed: int
    rows: int
    patient_id: str
    include_recombined: bool
    one_series: bool

    def uid(self, *of: str) -> str:
        return str(generate_uid(entropy_srcs=["MammoSynth phantom", GENERATOR_VERSION, repr(self), *of]))


def write_study(
    folder: Path,
    *,
    seed: int,
    rows: int = 2294,
    patient_id: str | None = None,
    include_recombined: bool = False,
    one_series: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> list[Path]:
    """Write R CC, L CC, R MLO and L MLO of a phantom patient as 12-bit Digital Mammography X-Ray Images.

    They are marked as computer-generated in Study Description, Image Comments and the patient's name, but they are the
    demo's acquired images: they do not carry the marks of synthesized ones, which no reader accepts as a source.

    Args:
        folder: Created if absent; files of the same name are replaced.
        seed: The two breasts are drawn from `2 * seed` and `2 * seed + 1`. With the other arguments it makes the UIDs.
        rows: Height in pixels; 2294 gives 0.094 mm pixels.
        patient_id: `PHANTOM-<seed>` by default.
        include_recombined: Also write the contrast image of each view.
        one_series: Put all low-energy images into one series (and all recombined ones into another).
        progress: Called after each image with the finished fraction and the name of the file.

    Returns:
        The files, view by view, the recombined image after its low-energy image.

    Raises:
        OutputError: If a file cannot be written.
        ValueError: If seed or rows are out of range.
    """
    exam = _Exam(seed, rows, patient_id or f"PHANTOM-{seed}", include_recombined, one_series)
    breasts = {ImageLaterality.RIGHT: generate_breast(2 * seed), ImageLaterality.LEFT: generate_breast(2 * seed + 1)}
    total = len(_VIEWS) * (2 if include_recombined else 1)
    paths: list[Path] = []
    for dataset, name in _images(exam, breasts):
        path = folder / name
        with atomic_path(path) as temporary:
            dataset.save_as(temporary, write_like_original=False)
        paths.append(path)
        if progress is not None:
            progress(len(paths) / total, name)
    return paths


def _images(exam: _Exam, breasts: dict[ImageLaterality, Breast]) -> Iterator[tuple[FileDataset, str]]:
    for number, (side, position) in enumerate(_VIEWS, start=1):
        view = project(breasts[side], position, side, rows=exam.rows)
        for kind in (_LOW_ENERGY, _RECOMBINED) if exam.include_recombined else (_LOW_ENERGY,):
            dataset = _new_file(exam.uid("instance", side, position, kind))
            _describe_exam(dataset, exam)
            _describe_series(dataset, exam, number, f"{side} {position}", kind)
            _describe_acquisition(dataset, breasts[side], side, position)
            _describe_image(dataset, view, kind)
            yield dataset, f"{side}-{position}-{kind.replace(' ', '-')}.dcm"


def _new_file(sop_instance_uid: str) -> FileDataset:
    dataset = FileDataset("", Dataset(), preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _describe_exam(dataset: Dataset, exam: _Exam) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = f"PHANTOM^{exam.seed}"
    dataset.PatientID = exam.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = "", "F"
    dataset.StudyInstanceUID = exam.uid("study")
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = _DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = _TIME
    dataset.StudyDescription = STUDY_DESCRIPTION
    dataset.ImageComments = IMAGE_COMMENTS
    dataset.Manufacturer, dataset.ManufacturerModelName = "MammoSynth", "Phantom"
    dataset.SoftwareVersions = GENERATOR_VERSION


def _describe_series(dataset: Dataset, exam: _Exam, number: int, view: str, kind: str) -> None:
    is_recombined = kind == _RECOMBINED
    dataset.Modality, dataset.PresentationIntentType = "MG", "FOR PRESENTATION"
    dataset.SeriesInstanceUID = exam.uid("series", kind, "all" if exam.one_series else view)
    dataset.SeriesDescription = f"Four views {kind}" if exam.one_series else f"{view} {kind}"
    dataset.SeriesNumber = (1 if exam.one_series else number) + 100 * is_recombined
    dataset.InstanceNumber = number if exam.one_series else 1
    dataset.ImageType = ["DERIVED", "PRIMARY", "", "RECOMBINED"] if is_recombined else ["ORIGINAL", "PRIMARY", ""]
    if is_recombined:
        dataset.DerivationDescription = "Recombined contrast image of the computer-generated phantom"


def _describe_acquisition(dataset: Dataset, breast: Breast, side: ImageLaterality, position: ViewPosition) -> None:
    dataset.ImageLaterality, dataset.ViewPosition = str(side), str(position)
    dataset.PatientOrientation = _PATIENT_ORIENTATION[side, position]
    view = coded(VIEW_CODES[position])
    view.ViewModifierCodeSequence = Sequence()
    dataset.ViewCodeSequence = Sequence([view])
    dataset.AnatomicRegionSequence = Sequence([coded(codes.SCT.Breast)])
    dataset.BodyPartExamined, dataset.OrganExposed = "BREAST", "BREAST"
    dataset.BreastImplantPresent, dataset.PartialView = "NO", "NO"
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.PositionerPrimaryAngle = {ViewPosition.CC: 0, ViewPosition.MLO: 45}[position] * (
        -1 if side is ImageLaterality.RIGHT else 1
    )
    dataset.BodyPartThickness = round(breast.thickness_mm, 1)
    dataset.CompressionForce, dataset.KVP = 100, 29
    dataset.AnodeTargetMaterial, dataset.FilterMaterial = "RHODIUM", "RHODIUM"
    dataset.DetectorType, dataset.DetectorID = "SCINTILLATOR", "PHANTOM"
    dataset.AcquisitionContextSequence = Sequence()


def _describe_image(dataset: Dataset, view: PhantomView, kind: str) -> None:
    pixels = view.recombined if kind == _RECOMBINED else view.low_energy
    largest = 2**_BITS_STORED - 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, _BITS_STORED, _BITS_STORED - 1
    dataset.PixelRepresentation = 0
    dataset.ImagerPixelSpacing = [round(spacing, 6) for spacing in view.pixel_spacing_mm]
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.WindowCenter, dataset.WindowWidth = (largest + 1) // 2, largest + 1
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.PixelData = np.rint(pixels * largest).astype("<u2").tobytes()
