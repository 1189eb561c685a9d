"""`derive_instances`: a result as DICOM instances that nobody can take for acquired ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammosynth.dicom.attributes import SYNTHETIC_DATA, coded, integer_of, text_of, texts_of, value_of
from mammosynth.dicom.compress import compress_instance
from mammosynth.dicom.description import series_description
from mammosynth.dicom.generated import GENERATED_DESCRIPTION, MANUFACTURER
from mammosynth.dicom.labels import segment_label_map
from mammosynth.dicom.mark import MARK, burn_in_mark
from mammosynth.dicom.placement import Identify, place
from mammosynth.dicom.provenance_element import write_provenance
from mammosynth.dicom.window import breast_window, uncertainty_window
from mammosynth.dicom.write import BITS_STORED, IMPLEMENTATION_CLASS_UID, STORED_MAXIMUM, to_stored_values
from mammosynth.errors import OutputError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance
from mammosynth.task import IMAGE, LABELS, UNCERTAINTY, Output, Placement
from mammosynth.terms import PresentationIntentType

_SERIES_NUMBERS = {IMAGE: 1000, UNCERTAINTY: 2000, LABELS: 4000}  # plus the source's; 3000 are drawings of people
_OTHER_SERIES_NUMBERS = 5000
_MEANING_OF_UNCERTAINTY = (
    f"Standard deviation of every pixel of an image, {STORED_MAXIMUM} is its whole grey scale; of a model that is "
    "calibrated, 1.645 of it either side are the 90 % interval."
)


def derive_instances(
    outputs: Sequence[Output],
    provenance: Provenance,
    placement: Placement,
    source: Mammogram | None,
    *,
    identify: Identify,
    burned_in_mark: bool = True,
    several_views: bool = False,
    instance_number: int | None = None,
    compress: bool = False,
) -> tuple[Dataset, ...]:
    """DICOM instances of a result: For Presentation MG images, and a Segmentation for every label map.

    On the source: its patient, study, frame of reference and geometry. In the same study: its patient and study, but a
    frame of reference, view and geometry of their own. A new study: of a fictitious patient, whose UIDs lie under the
    root of what is synthesized.

    Images are MONOCHROME2 with 16 bits stored and one linear window over the values of the breast; there is no VOI LUT
    Function, which some viewers (OHIF 3.13) fail on. There is no Derivation Code Sequence: no code of CID 7203 means
    synthesis by a learnt model, and a near one would be wrong. Label maps refer to the image of the same result, or to
    the source that they lie on if there is none. The whole provenance is in a private element; see
    `provenance_element`.

    Args:
        outputs: Of one result. Label maps have the matrix of its image.
        provenance: What made it. Every source that has a SOP Instance UID is referred to.
        placement: Where it belongs.
        source: The image that the result is named after; None only for a new study.
        identify: Gives UIDs, by kind and role.
        burned_in_mark: Whether the pixels carry the mark, too. Turn it off in blinded studies only.
        several_views: Whether the new series hold other views, too. What they say of themselves is then true of all.
        instance_number: In the new series, to be distinct there; by default the source's, else 1.
        compress: Whether images are lossless compressed; see `compress_instance`.

    Returns:
        One dataset per output, in their order, with file meta information, ready for `write_instance` or STOW-RS.

    Raises:
        OutputError: If the source has no DICOM header or lacks the UIDs to refer to it, and the result belongs into its
            study; or if a label map lies on no image.
        ValueError: If the shape of an output does not fit, or the UID of a new study is no synthesized one.
    """
    if placement is Placement.ON_SOURCE and source is not None:
        for output in outputs:
            pixels = output.value.labels if isinstance(output.value, LabelMap) else output.value.pixels
            _check_shape(output.role, pixels.shape, source.pixels.shape, "its source has")
    header = None if source is None else source.header
    if instance_number is None:
        instance_number = (integer_of(header, "InstanceNumber") if header is not None else None) or 1
    mammograms = {output.role: output.value for output in outputs if isinstance(output.value, Mammogram)}
    lead = mammograms.get(IMAGE) or next(iter(mammograms.values()), source)
    derivation = _Derivation(
        provenance, placement, source, lead, identify, burned_in_mark, several_views, instance_number
    )
    images = {role: derivation.image(role, mammogram) for role, mammogram in mammograms.items()}
    labels = {
        output.role: derivation.labels(output.role, output.value, images)
        for output in outputs
        if isinstance(output.value, LabelMap)
    }
    if compress:
        images = {role: compress_instance(image) for role, image in images.items()}
    return tuple({**images, **labels}[output.role] for output in outputs)


def _check_shape(role: str, found: tuple[int, ...], expected: tuple[int, ...], of: str) -> None:
    if found != expected:
        raise ValueError(f"{role} has shape {found}, {of} {expected}")


@dataclass(frozen=True, eq=False)
class _Derivation:
    """What all instances of one result share; see `derive_instances`."""

    provenance: Provenance
    placement: Placement
    source: Mammogram | None
    lead: Mammogram | None
    identify: Identify
    burned_in_mark: bool
    several_views: bool
    instance_number: int

    @property
    def source_header(self) -> Dataset | None:
        return None if self.source is None else self.source.header

    def image(self, role: str, image: Mammogram) -> Dataset:
        dataset = place(self.placement, image, self.source, self.provenance, self.identify)
        _set_identity(dataset, self.identify("instance", role))
        dataset.ImageType = ["DERIVED", "SECONDARY", "", GENERATED_DESCRIPTION]
        dataset.ContentQualification = "RESEARCH"
        had_annotation = self.source_header is not None and text_of(self.source_header, "BurnedInAnnotation") == "YES"
        dataset.BurnedInAnnotation = "YES" if self.burned_in_mark or had_annotation else "NO"
        self._set_pixels(dataset, image, is_uncertainty=role == UNCERTAINTY)
        beginning = _MEANING_OF_UNCERTAINTY if role == UNCERTAINTY else ""
        self._finish(dataset, role, image, beginning)
        return dataset

    def labels(self, role: str, labels: LabelMap, images: Mapping[str, Dataset]) -> Dataset:
        shown = images.get(IMAGE) or next(iter(images.values()), None)
        if shown is None and self.placement is Placement.ON_SOURCE:
            shown = self.source_header
        if shown is None:
            raise OutputError(
                f"{role}: a label map that lies on no image has no place in DICOM; write PNG, NRRD or NIfTI instead."
            )
        _check_shape(role, labels.labels.shape, (int(shown.Rows), int(shown.Columns)), "its image has")
        dataset = segment_label_map(
            labels,
            shown,
            sop_instance_uid=self.identify("instance", role),
            series_instance_uid=self.identify("series", role),
            model_name=self.provenance.bundle,
            model_version=self.provenance.bundle_version,
            software_version=self.provenance.software_version,
        )
        organization = self.identify("dimension organization", role)  # random, as highdicom has it
        for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
            item.DimensionOrganizationUID = organization
        self._finish(dataset, role, self.lead, "")
        return dataset

    def _set_pixels(self, dataset: Dataset, image: Mammogram, *, is_uncertainty: bool) -> None:
        """The image pixel, modality LUT and VOI LUT modules; the window does not see what is burned in."""
        stored_values = to_stored_values(image.pixels)
        window = uncertainty_window() if is_uncertainty else breast_window(stored_values)
        if self.burned_in_mark:
            beside = self.source if self.placement is Placement.ON_SOURCE and self.source is not None else image
            stored_values = to_stored_values(burn_in_mark(image.pixels, beside))
        dataset.Rows, dataset.Columns = stored_values.shape
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = 16
        dataset.BitsStored, dataset.HighBit = BITS_STORED, BITS_STORED - 1
        dataset.PixelRepresentation = 0
        dataset.PixelIntensityRelationship = "LOG"  # type 1 in MG, LIN or LOG; as For Presentation images have it
        dataset.PixelIntensityRelationshipSign = -1
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
        dataset.WindowCenter, dataset.WindowWidth = (str(value) for value in window)
        dataset.PresentationLUTShape = "IDENTITY"
        if texts_of(dataset, "LossyImageCompression") != ("01",):
            dataset.LossyImageCompression = "00"
        dataset.PixelData = stored_values.astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"

    def _finish(self, dataset: Dataset, role: str, view: Mammogram | LabelMap | None, beginning: str) -> None:
        """Series, dates, sources, and everything that says: generated, by what, not for diagnosis."""
        number = _SERIES_NUMBERS.get(role, _OTHER_SERIES_NUMBERS)
        header = self.source_header
        dataset.SeriesInstanceUID = self.identify("series", role)
        dataset.SeriesNumber = number + ((integer_of(header, "SeriesNumber") or 0) if header is not None else 0)
        dataset.InstanceNumber = self.instance_number
        dataset.SeriesDescription = series_description(self.provenance, role, None if self.several_views else view)
        dataset.DerivationDescription = self.provenance.describe(beginning)
        dataset.ImageComments = MARK
        dataset.add_new(SYNTHETIC_DATA, "CS", "YES")
        _set_dates(dataset, self.provenance.created)
        if self.several_views:
            del dataset.SeriesDate, dataset.SeriesTime
        _set_equipment(dataset, self.provenance)
        dataset.SourceImageSequence = _references(self.provenance, header, self.placement)
        if not dataset.SourceImageSequence:
            del dataset.SourceImageSequence
        write_provenance(dataset, self.provenance, role)


def _set_identity(dataset: Dataset, sop_instance_uid: str) -> None:
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.Modality = "MG"
    dataset.PresentationIntentType = str(PresentationIntentType.FOR_PRESENTATION)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = sop_instance_uid
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = "MAMMOSYNTH"


def _set_dates(dataset: Dataset, created: datetime) -> None:
    """All dates of the new instance and series, in the time zone that the header states."""
    created = created.astimezone(_timezone(dataset))
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


def _set_equipment(dataset: Dataset, provenance: Provenance) -> None:
    equipment = Dataset()
    for each in (dataset, equipment):
        each.Manufacturer = MANUFACTURER
        each.ManufacturerModelName = provenance.bundle[:64]
        each.SoftwareVersions = [provenance.software_version, provenance.bundle_version]
    equipment.ContributionDateTime = provenance.created.strftime("%Y%m%d%H%M%S.%f%z")
    equipment.ContributionDescription = f"Image synthesis, weights sha256 {provenance.weights_sha256}"
    equipment.PurposeOfReferenceCodeSequence = [coded(codes.DCM.ProcessingEquipment)]
    dataset.ContributingEquipmentSequence = [equipment]
    dataset.InstanceCreatorUID = IMPLEMENTATION_CLASS_UID


def _references(provenance: Provenance, header: Dataset | None, placement: Placement) -> list[Dataset]:
    """Items of Source Image Sequence: the source first, then whatever else has a SOP Instance UID; each once."""
    lead = () if header is None else ((value_of(header, "SOPInstanceUID"), value_of(header, "SOPClassUID")),)
    others = ((source.sop_instance_uid, source.sop_class_uid) for source in provenance.sources)
    known = {str(uid): str(sop_class) for uid, sop_class in (*others, *lead) if uid and sop_class}
    ordered = sorted(known, key=lambda uid: not lead or uid != str(lead[0][0]))
    return [_reference(uid, known[uid], "YES" if placement is Placement.ON_SOURCE else "NO") for uid in ordered]


def _reference(sop_instance_uid: str, sop_class_uid: str, spatial_locations_preserved: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = sop_class_uid
    reference.ReferencedSOPInstanceUID = sop_instance_uid
    reference.SpatialLocationsPreserved = spatial_locations_preserved  # PS3.3 C.12.4.1.3.1
    reference.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
    return reference
