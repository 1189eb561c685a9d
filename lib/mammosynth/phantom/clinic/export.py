"""A phantom's views as DICOM Digital Mammography X-Ray Images, acquired by a device that does not exist.

Five images of a view can be written: low and high energy For Processing (the detector's signal), low energy and
recombined For Presentation (what a reader sees), and recombined For Processing, whose pixels are calibrated iodine.
All say that they are generated; see `mammosynth.dicom.generated` for why they may be sources all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
)

from mammosynth import __version__
from mammosynth.dicom.attributes import SYNTHETIC_DATA, coded
from mammosynth.dicom.generated import GENERATED_DESCRIPTION, phantom_uid
from mammosynth.dicom.view import VIEW_CODES
from mammosynth.phantom.clinic.case import PhantomView
from mammosynth.phantom.imaging.beams import SETTINGS, Energy, imaging_system
from mammosynth.phantom.imaging.projection import SOURCE_TO_DETECTOR_MM
from mammosynth.phantom.parameters import DETECTOR_MM, CaseParameters, patient_id_of
from mammosynth.terms import ImageLaterality, PresentationIntentType, ViewPosition

GENERATOR_VERSION = "3"  # raise when the same parameters give other pixels: it makes other UIDs
STUDY_DESCRIPTION = "SYNTHETIC PHANTOM exam"
IMAGE_COMMENTS = (
    "SYNTHETIC PHANTOM - NOT FOR DIAGNOSIS. Computer-generated from a parametric breast and simulated X-ray physics; "
    "there is no patient."
)
IODINE_OFFSET = 1000  # pixel value of no iodine
IODINE_SLOPE = 37  # pixel values per mg/cm2; 30 to 43 were measured on devices (SPIE 11595, 115952B)
_DATE, _TIME = "20260101", "100000"  # fixed, so that the same parameters give the same files


class ImageKind(StrEnum):
    """The images of a view; the value stands in Series Description and names the file."""

    LOW_ENERGY = "low energy"
    RECOMBINED = "recombined"
    LOW_ENERGY_PROCESSING = "low energy for processing"
    HIGH_ENERGY_PROCESSING = "high energy for processing"
    RECOMBINED_PROCESSING = "recombined for processing"


@dataclass(frozen=True)
class _Format:
    """How a kind of image is stored. Pixel Intensity Relationship Sign is -1 where more X-rays give lower values."""

    image_type: tuple[str, ...]
    intent: PresentationIntentType
    bits: int
    relationship: str
    sign: int
    exposures: tuple[int, ...]  # 0 low energy, 1 high energy


_FORMATS = {
    ImageKind.LOW_ENERGY: _Format(
        ("ORIGINAL", "PRIMARY", "", "LOW_ENERGY"), PresentationIntentType.FOR_PRESENTATION, 12, "LOG", -1, (0,)
    ),
    ImageKind.RECOMBINED: _Format(
        ("DERIVED", "PRIMARY", "", "RECOMBINED"), PresentationIntentType.FOR_PRESENTATION, 12, "LOG", -1, (0, 1)
    ),
    ImageKind.LOW_ENERGY_PROCESSING: _Format(
        ("ORIGINAL", "PRIMARY", "", "LOW_ENERGY"), PresentationIntentType.FOR_PROCESSING, 14, "LIN", 1, (0,)
    ),
    ImageKind.HIGH_ENERGY_PROCESSING: _Format(
        ("ORIGINAL", "PRIMARY", "", "HIGH_ENERGY"), PresentationIntentType.FOR_PROCESSING, 14, "LIN", 1, (1,)
    ),
    ImageKind.RECOMBINED_PROCESSING: _Format(
        ("DERIVED", "PRIMARY", "", "RECOMBINED"), PresentationIntentType.FOR_PROCESSING, 12, "LOG", -1, (0, 1)
    ),
}
_STORAGE = {
    PresentationIntentType.FOR_PRESENTATION: DigitalMammographyXRayImageStorageForPresentation,
    PresentationIntentType.FOR_PROCESSING: DigitalMammographyXRayImageStorageForProcessing,
}
_PATIENT_ORIENTATION = {  # of rows and columns; PS3.3 C.7.6.1.1.1
    (ImageLaterality.RIGHT, ViewPosition.CC): ["P", "L"],
    (ImageLaterality.LEFT, ViewPosition.CC): ["A", "R"],
    (ImageLaterality.RIGHT, ViewPosition.MLO): ["P", "FL"],
    (ImageLaterality.LEFT, ViewPosition.MLO): ["A", "FR"],
}
_MATERIALS = {"Rh": "RHODIUM", "W": "TUNGSTEN", "Cu": "COPPER"}  # Defined Terms of PS3.3 C.8.11.7 and C.8.7.10
_DETECTOR_TYPES = {"caesium_iodide": "SCINTILLATOR", "selenium": "DIRECT"}
_VIEW_NUMBER = {
    (side, view): number
    for number, (view, side) in enumerate(((v, s) for v in ViewPosition for s in reversed(ImageLaterality)), start=1)
}


@dataclass(frozen=True)
class PhantomExam:
    """What all images of one exam share; everything of it makes the UIDs.

    Attributes:
        parameters: The whole case, whichever of its views are written.
        patient_id: `PHANTOM-<seed>` if empty.
        one_series: All images of a kind in one series, instead of a series per view.
    """

    parameters: CaseParameters
    patient_id: str = ""
    one_series: bool = False

    def uid(self, *of: object) -> str:
        """A UID that is always the same for the same exam, generator and words."""
        return phantom_uid("exam", GENERATOR_VERSION, json.dumps(asdict(self), sort_keys=True), *of)

    def view_uid(self, view: PhantomView, of: str) -> str:
        """A UID of something of one view; twins of the view have another one."""
        made = (asdict(view.breast), asdict(view.imaging))
        return self.uid(of, view.image_laterality, view.view_position, json.dumps(made, sort_keys=True))


def build_images(view: PhantomView, exam: PhantomExam, kinds: Sequence[ImageKind]) -> Iterator[Dataset]:
    """The wanted images of a view, ready for `mammosynth.dicom.write.write_instance`.

    Args:
        view: What was generated.
        exam: What it belongs to.
        kinds: Which images, in this order.
    """
    for kind in kinds:
        dataset = _new_instance(_STORAGE[_FORMATS[kind].intent], exam.view_uid(view, kind))
        describe_exam(dataset, exam)
        _describe_series(dataset, exam, view, kind)
        _describe_acquisition(dataset, view, kind)
        _describe_image(dataset, view, kind)
        if kind in (ImageKind.RECOMBINED, ImageKind.RECOMBINED_PROCESSING):
            _describe_derivation(dataset, exam, view)
        yield dataset


def image_name(side: ImageLaterality, position: ViewPosition, kind: str) -> str:
    """Name of the file of an image or segmentation of a view: `R-CC-low-energy.dcm`."""
    return f"{side}-{position}-{kind.replace(' ', '-')}.dcm"


def describe_exam(dataset: Dataset, exam: PhantomExam) -> None:
    """Set patient, study, equipment and every mark that says: generated."""
    seed = exam.parameters.seed
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID = f"PHANTOM^{seed}", exam.patient_id or patient_id_of(seed)
    dataset.PatientBirthDate, dataset.PatientSex = "", "F"
    dataset.StudyInstanceUID = exam.uid("study")
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "1", "", ""
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = _DATE
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = _TIME
    dataset.StudyDescription = STUDY_DESCRIPTION
    dataset.Manufacturer, dataset.ManufacturerModelName = "MammoSynth", "Phantom"
    dataset.SoftwareVersions = [__version__, GENERATOR_VERSION]
    dataset.ContentQualification = "RESEARCH"
    dataset.add_new(SYNTHETIC_DATA, "CS", "YES")


def set_series(dataset: Dataset, exam: PhantomExam, view: PhantomView, kind: str, number: int) -> None:
    """Set the series of an image or segmentation of a view.

    Args:
        dataset: To be changed.
        exam: What the view belongs to.
        view: Of which view.
        kind: What of it.
        number: Distinguishes kinds: series of a kind are numbered from 10 times it.
    """
    which = f"{view.image_laterality} {view.view_position}"
    view_number = _VIEW_NUMBER[view.image_laterality, view.view_position]
    shared = exam.one_series
    dataset.SeriesInstanceUID = exam.uid("series", kind, "all") if shared else exam.view_uid(view, f"series {kind}")
    dataset.SeriesDescription = f"{GENERATED_DESCRIPTION} PHANTOM {'all views' if shared else which} {kind}"
    dataset.SeriesNumber = 10 * number + (1 if shared else view_number)
    dataset.InstanceNumber = view_number if shared else 1


def _new_instance(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    dataset = Dataset()
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class_uid, sop_instance_uid
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _describe_series(dataset: Dataset, exam: PhantomExam, view: PhantomView, kind: ImageKind) -> None:
    dataset.Modality = "MG"
    dataset.PresentationIntentType = str(_FORMATS[kind].intent)
    set_series(dataset, exam, view, kind, list(ImageKind).index(kind))
    dataset.ImageType = list(_FORMATS[kind].image_type)
    dataset.ImageComments = IMAGE_COMMENTS


def _describe_acquisition(dataset: Dataset, view: PhantomView, kind: ImageKind) -> None:
    side, position = view.image_laterality, view.view_position
    dataset.ImageLaterality, dataset.ViewPosition = str(side), str(position)
    dataset.PatientOrientation = _PATIENT_ORIENTATION[side, position]
    code = coded(VIEW_CODES[position])
    code.ViewModifierCodeSequence = []
    dataset.ViewCodeSequence = [code]
    dataset.AnatomicRegionSequence = [coded(codes.SCT.Breast)]
    dataset.BodyPartExamined = dataset.OrganExposed = "BREAST"
    dataset.BreastImplantPresent, dataset.PartialView = "NO", "NO"
    dataset.PositionerType = "MAMMOGRAPHIC"
    angle = {ViewPosition.CC: 0, ViewPosition.MLO: 45}[position]
    dataset.PositionerPrimaryAngle = -angle if side is ImageLaterality.RIGHT else angle
    dataset.AcquisitionDate, dataset.AcquisitionTime = _DATE, _TIME
    dataset.AcquisitionContextSequence = []
    _describe_technique(dataset, view, _FORMATS[kind].exposures)


def _describe_technique(dataset: Dataset, view: PhantomView, exposures: tuple[int, ...]) -> None:
    """What the simulation used; of two exposures, which have no common value, what they share."""
    vendor = view.imaging.vendor
    dataset.AnodeTargetMaterial = _MATERIALS[SETTINGS[vendor, Energy.LOW].anode]
    dataset.DetectorType = _DETECTOR_TYPES[imaging_system(vendor).detector.material]
    dataset.DetectorID = f"PHANTOM {vendor}"
    dataset.DetectorActiveDimensions = list(DETECTOR_MM)
    dataset.DistanceSourceToDetector = SOURCE_TO_DETECTOR_MM
    dataset.BodyPartThickness = round(view.paths.compressed_thickness_mm, 1)
    if len(exposures) == 1:
        beam = SETTINGS[vendor, tuple(Energy)[exposures[0]]]
        dataset.FilterMaterial = _MATERIALS[beam.filter_material]
        dataset.FilterThicknessMinimum = dataset.FilterThicknessMaximum = beam.filter_mm
        dataset.KVP = round(view.kvp[exposures[0]], 1)
        dataset.Exposure = round(view.exposure_mas[exposures[0]])
        dataset.ExposureInuAs = round(1000 * view.exposure_mas[exposures[0]])
    if view.imaging.iodine_in_low_energy or 1 in exposures:
        dataset.ContrastBolusAgent = "Iodinated contrast medium (simulated)"


def _describe_image(dataset: Dataset, view: PhantomView, kind: ImageKind) -> None:
    layout = _FORMATS[kind]
    stored = _stored_values(view, kind)
    is_raw = layout.relationship == "LIN"  # air is bright
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if is_raw else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, layout.bits, layout.bits - 1
    dataset.PixelRepresentation = 0
    dataset.ImagerPixelSpacing = [round(view.pixel_mm, 6)] * 2
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = layout.relationship, layout.sign
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.PresentationLUTShape = "INVERSE" if is_raw else "IDENTITY"
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    if layout.intent is PresentationIntentType.FOR_PRESENTATION:
        dataset.WindowCenter, dataset.WindowWidth = 1 << (layout.bits - 1), 1 << layout.bits
    if kind is ImageKind.RECOMBINED_PROCESSING:
        _describe_calibration(dataset)
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _stored_values(view: PhantomView, kind: ImageKind) -> np.ndarray:
    """(H, W) uint16."""
    largest = (1 << _FORMATS[kind].bits) - 1
    if kind is ImageKind.LOW_ENERGY_PROCESSING:
        return view.low_energy_processing
    if kind is ImageKind.HIGH_ENERGY_PROCESSING:
        return view.high_energy_processing
    if kind is ImageKind.RECOMBINED_PROCESSING:
        values = np.clip(np.rint(IODINE_OFFSET + IODINE_SLOPE * view.recombined_mg_cm2), 1, largest)
        return np.where(view.paths.breast_mask, values, 0).astype(np.uint16)
    pixels = view.recombined if kind is ImageKind.RECOMBINED else view.low_energy
    return np.rint(pixels * largest).astype(np.uint16)


def _describe_calibration(dataset: Dataset) -> None:
    """Real World Value Mapping (PS3.3 C.7.6.16.2.11): pixel values to iodine; air is 0 and has none."""
    item = Dataset()
    item.LUTExplanation, item.LUTLabel = "Iodine mass per area", "IODINE"
    item.RealWorldValueSlope, item.RealWorldValueIntercept = 1 / IODINE_SLOPE, -IODINE_OFFSET / IODINE_SLOPE
    item.add_new("RealWorldValueFirstValueMapped", "US", 1)
    item.add_new("RealWorldValueLastValueMapped", "US", 4095)
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "mg/cm2", "UCUM", "mg/cm2"
    item.MeasurementUnitsCodeSequence = [unit]
    dataset.RealWorldValueMappingSequence = [item]
    dataset.PixelPaddingValue = 0


def _describe_derivation(dataset: Dataset, exam: PhantomExam, view: PhantomView) -> None:
    """Recombined from two exposures; the low-energy one is not written if it is shown as if before injection."""
    dataset.DerivationDescription = "Recombined from low and high energy, calibrated in iodine (simulated)"
    sources = []
    written = [ImageKind.LOW_ENERGY_PROCESSING] if view.imaging.iodine_in_low_energy else []
    for kind in (*written, ImageKind.HIGH_ENERGY_PROCESSING):
        reference = Dataset()
        reference.ReferencedSOPClassUID = _STORAGE[_FORMATS[kind].intent]
        reference.ReferencedSOPInstanceUID = exam.view_uid(view, kind)
        reference.SpatialLocationsPreserved = "YES"
        reference.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
        sources.append(reference)
    dataset.SourceImageSequence = sources
