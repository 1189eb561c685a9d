"""Reading a mammogram from DICOM: what can be used becomes a `Mammogram`, everything else an error in words."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from mammosynth.dicom.attributes import integer_of, label_of, numbers_of, text_of, texts_of, value_of
from mammosynth.dicom.bounded import open_regular, parse_instance
from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of
from mammosynth.dicom.display import padding_mask, presentation_display, processing_display
from mammosynth.dicom.generated import generated_mark_of, is_phantom_uid
from mammosynth.dicom.stored import read_stored_values
from mammosynth.dicom.view import read_view
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.terms import ImageLaterality, PresentationIntentType, ViewPosition

_PREAMBLE_BYTES = 128
_SNIFFED_BYTES = 256
_PIXEL_DATA_GROUP = 0x7FE0
_PIXEL_GROUPS = (0x0028, _PIXEL_DATA_GROUP)
_TOMOSYNTHESIS = (
    BreastTomosynthesisImageStorage,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
)
_INTENT_OF_CLASS = {
    DigitalMammographyXRayImageStorageForPresentation: PresentationIntentType.FOR_PRESENTATION,
    DigitalMammographyXRayImageStorageForProcessing: PresentationIntentType.FOR_PROCESSING,
}
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_UNUSUAL_IMAGE_TYPES = {  # values of Image Type (0008,0008) of images that models are not made for
    "GENERATED_2D": "a 2-D view reconstructed from a tomosynthesis",
    "TOMOSYNTHESIS": "made from a tomosynthesis",
    "TOMO_PROJ": "a projection of a tomosynthesis",
    "TOMO_2D": "a 2-D view reconstructed from a tomosynthesis",
}
_UNUSUAL_FLAGS = {
    "BreastImplantPresent": "a breast with an implant",
    "PartialView": "a part of the breast",
    "QualityControlImage": "a quality control image",
}
_ACCEPTED_IF_ASKED_FOR = {  # modalities that mammograms may have beside MG, and what such an image is
    "CR": "computed radiography",
    "DX": "a digital radiograph",
    "RG": "a film, digitised",
    "SC": "a secondary capture, of a film or a screen",
    "OT": "of no stated modality",
}
_SUSPICIOUS_WORDS = {  # in what people write of an image: what it may be
    "a test or quality control image": re.compile(
        r"\b(test|qc|quality.control|phantom|chart|calibration|flat.?field|cdmam)\b", re.IGNORECASE
    ),
    "a spot or magnification view": re.compile(r"\b(spot|magnification|mag|magnified)\b", re.IGNORECASE),
}
_WHERE_PEOPLE_WRITE = ("StudyDescription", "SeriesDescription", "ProtocolName", "PatientName", "ImageComments")


def read_mammogram(
    source: Path | BinaryIO | Dataset,
    *,
    source_name: str | None = None,
    view_position: ViewPosition | None = None,
    image_laterality: ImageLaterality | None = None,
    accept_modalities: Collection[str] = (),
    accept_generated: bool = False,
) -> Mammogram:
    """A mammogram as display values, from a file, an open file or a dataset.

    For Presentation: modality LUT or rescale, then the first VOI LUT, else the first window (LINEAR, LINEAR_EXACT,
    SIGMOID), else a robust range; MONOCHROME1 is inverted. For Processing: see `display.processing_display`. Padding is
    0 and not valid. Vendors' small mistakes are settled and reported in `Mammogram.warnings`.

    Args:
        source: What to read. A dataset is not changed.
        source_name: How messages name the image; by default the name of the file, else the SOP Instance UID.
        view_position: Overrides the header; also accepts views that are refused otherwise.
        image_laterality: Overrides the header.
        accept_modalities: Of mammograms beside MG: CR, DX, RG, SC or OT, in any case. What is assumed of them is a
            warning.
        accept_generated: Whether an image that is marked as generated may be read: by whom it is known to be one.

    Returns:
        The mammogram, in the orientation in which it is stored. View and laterality are None if nobody says.

    Raises:
        UnreadableImageError: If the source is no DICOM, or is truncated or damaged.
        UnsupportedImageError: If it is no single-frame grey-scale mammogram, another view, or generated and not
            accepted.
    """
    accepted = _Accepted(frozenset(modality.upper() for modality in accept_modalities), accept_generated)
    dataset, name = _open(source, source_name, accepted)
    _refuse_what_cannot_be_shown(dataset, name)
    view = read_view(dataset, name, view_position=view_position, image_laterality=image_laterality)
    stored = read_stored_values(dataset, name)
    valid = padding_mask(stored, dataset)
    intent, intent_warnings = _presentation_intent_type(dataset, name)
    display = processing_display if intent is PresentationIntentType.FOR_PROCESSING else presentation_display
    pixels, display_warnings = display(stored, dataset, valid, name)
    spacing, spacing_warnings = _pixel_spacing_mm(dataset, name)
    return Mammogram(
        pixels=pixels,
        source_name=name,
        view_position=view.view_position,
        image_laterality=view.image_laterality,
        pixel_spacing_mm=spacing,
        presentation_intent_type=intent,
        valid=valid,
        header=_without_pixels(dataset),
        warnings=(
            *_unusual(dataset, name),
            *view.warnings,
            *stored.warnings,
            *intent_warnings,
            *display_warnings,
            *spacing_warnings,
        ),
    )


def looks_like_dicom(start: bytes) -> bool:
    """Whether the first bytes of a file (132 or more) are a DICOM preamble, or a dataset that lacks one."""
    if start[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == b"DICM":
        return True
    # Without preamble: group 0002 or 0008, little endian, an element as low as identification has, a VR or a length.
    group, element = start[:2], start[2:4]
    if group not in (b"\x02\x00", b"\x08\x00") or len(start) < 16 or element > b"\xff\x30":
        return False
    explicit = start[4:6] in (b"UL", b"UI", b"CS", b"DA", b"TM", b"SH", b"LO", b"OB")
    return explicit or int.from_bytes(start[4:8], "little") <= 64


def refuse_generated(dataset: Dataset, name: str) -> None:
    """Refuse an instance that carries a mark of generated images; they never are sources again.

    Raises:
        UnsupportedImageError: If Synthetic Data (0008,001C), Image Type or Series Description says so, unless it is
            an exposure of a phantom; see `mammosynth.dicom.generated`.
    """
    if found := generated_mark_of(dataset):
        raise UnsupportedImageError(f"{name}: {found}: a generated image, expected an acquired one; choose its source.")


@dataclass(frozen=True)
class _Accepted:
    """What is read beside acquired mammograms of modality MG."""

    modalities: frozenset[str]
    generated: bool


def _open(source: Path | BinaryIO | Dataset, source_name: str | None, accepted: _Accepted) -> tuple[Dataset, str]:
    """The instance, which belongs to us, and how messages name it."""
    if isinstance(source, Dataset):
        dataset, name = copy.deepcopy(source), source_name or text_of(source, "SOPInstanceUID") or "the image"
        _convert_values(dataset, name)
        _refuse_other_images(dataset, name, accepted)
    elif isinstance(source, Path):
        name = source_name or source.name
        try:
            with open_regular(source) as file:
                dataset = _parse(file, name, accepted)
        except OSError as error:
            raise UnreadableImageError(
                f"{name}: cannot be read ({error.strerror}); check that the file is there."
            ) from error
    else:
        dataset = _parse(io.BytesIO(source.read()), source_name or "the image", accepted)
        name = source_name or text_of(dataset, "SOPInstanceUID") or "the image"
    _complete_file_meta(dataset)
    return dataset, name


def _parse(file: BinaryIO, name: str, accepted: _Accepted) -> Dataset:
    """The whole instance; a tomosynthesis of gigabytes is refused by its header."""
    if not looks_like_dicom(file.read(_SNIFFED_BYTES)):
        raise UnreadableImageError(f"{name}: not a DICOM file, expected a preamble with 'DICM'; choose another file.")
    _refuse_other_images(_parse_elements(file, name, stop_before_pixels=True), name, accepted)
    return _parse_elements(file, name, stop_before_pixels=False)


def _parse_elements(file: BinaryIO, name: str, *, stop_before_pixels: bool) -> Dataset:
    dataset = parse_instance(file, name, stop_before_pixels=stop_before_pixels)
    _convert_values(dataset, name)
    return dataset


def _convert_values(dataset: Dataset, name: str, *, in_item: bool = False) -> None:
    """Convert every value now, so that nobody stumbles over a malformed one later: it is left out.

    One that says how the pixels of the image are stored is an error.
    """
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except Exception as error:  # a damaged element fails in any way that pydicom's parsers know
            if tag.group in _PIXEL_GROUPS and not in_item:
                raise UnreadableImageError(
                    f"{name}: {tag} cannot be read ({error}); the file is truncated or damaged, fetch it again."
                ) from error
            del dataset[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                _convert_values(item, name, in_item=True)


def _complete_file_meta(dataset: Dataset) -> None:
    """Give a dataset that was read or built without file meta information the transfer syntax that it has."""
    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    if dataset.is_little_endian is None:
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
    if not getattr(dataset.file_meta, "TransferSyntaxUID", None):
        little_endian = ImplicitVRLittleEndian if dataset.is_implicit_VR else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = little_endian if dataset.is_little_endian else ExplicitVRBigEndian


def _refuse_other_images(dataset: Dataset, name: str, accepted: _Accepted) -> None:
    """Refuse what is no acquired 2-D mammogram by its header."""
    if not accepted.generated:
        refuse_generated(dataset, name)
    sop_class, modality = text_of(dataset, "SOPClassUID"), text_of(dataset, "Modality")
    frames = integer_of(dataset, "NumberOfFrames")
    if sop_class in _TOMOSYNTHESIS or (frames is not None and frames > 1):
        raise UnsupportedImageError(
            f"{name}: a tomosynthesis or multi-frame image ({label_of('NumberOfFrames')} is {frames}), expected a "
            "single 2-D mammogram; choose the 2-D image of the study."
        )
    if modality == "MG" or (not modality and sop_class in _INTENT_OF_CLASS):
        return
    if modality not in _ACCEPTED_IF_ASKED_FOR:
        raise UnsupportedImageError(f"{name}: {label_of('Modality')} is '{modality}', expected MG; choose a mammogram.")
    if modality not in accepted.modalities:
        raise UnsupportedImageError(
            f"{name}: {label_of('Modality')} is '{modality}', expected MG; choose a mammogram, or if this is one, "
            f"accept it with --accept-modality {modality}."
        )
    if (part := text_of(dataset, "BodyPartExamined")) not in ("", "BREAST"):
        raise UnsupportedImageError(
            f"{name}: {label_of('BodyPartExamined')} is '{part}', expected BREAST; choose a mammogram."
        )


def _refuse_what_cannot_be_shown(dataset: Dataset, name: str) -> None:
    """Refuse instances without image, and colour."""
    if not any(keyword in dataset for keyword in _PIXEL_KEYWORDS):
        raise UnsupportedImageError(
            f"{name}: no (7FE0,0010) Pixel Data, expected an image; choose one, or fetch this again if it is cut off."
        )
    samples, photometric = integer_of(dataset, "SamplesPerPixel"), text_of(dataset, "PhotometricInterpretation")
    if samples not in (None, 1) or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedImageError(
            f"{name}: {label_of('PhotometricInterpretation')} is '{photometric}' with {samples} samples per pixel, "
            "expected MONOCHROME1 or MONOCHROME2 with one; choose a grey-scale image."
        )


def _presentation_intent_type(dataset: Dataset, name: str) -> tuple[PresentationIntentType, tuple[str, ...]]:
    """From the SOP class, which no anonymiser mangles, else from the attribute, else For Presentation."""
    stated = text_of(dataset, "PresentationIntentType")
    intent = _INTENT_OF_CLASS.get(text_of(dataset, "SOPClassUID"))
    if intent is None:
        intent = (
            PresentationIntentType(stated)
            if stated in set(PresentationIntentType)
            else PresentationIntentType.FOR_PRESENTATION
        )
    if stated == intent:
        return intent, ()
    return intent, (f"{name}: {label_of('PresentationIntentType')} is '{stated}'; taken for {intent}.",)


def _pixel_spacing_mm(dataset: Dataset, name: str) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(row, column) spacing at the detector plane."""
    for keyword in ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing"):
        spacing = numbers_of(dataset, keyword)
        if len(spacing) == 2 and min(spacing) > 0:
            warning = f"{name}: {label_of('ImagerPixelSpacing')} is missing; {label_of(keyword)} is used."
            return (spacing[0], spacing[1]), () if keyword == "ImagerPixelSpacing" else (warning,)
    return None, (f"{name}: no pixel spacing in the header; sizes in millimetres are unknown.",)


def _unusual(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Sentences about images that can be read but that models are not made for."""
    kinds = [kind for value, kind in _UNUSUAL_IMAGE_TYPES.items() if value in texts_of(dataset, "ImageType")]
    exposure = exposure_of(dataset)
    if exposure not in (None, Exposure.LOW_ENERGY):
        kinds.append(f"a {exposure} image of contrast-enhanced mammography")
    kinds += [kind for keyword, kind in _UNUSUAL_FLAGS.items() if text_of(dataset, keyword) == "YES"]
    says = [f"{name}: the header says {kind}; models are made for plain mammograms." for kind in kinds]
    return tuple(says + _other_modality(dataset, name) + _suspicions(dataset, name))


def _other_modality(dataset: Dataset, name: str) -> list[str]:
    """What is assumed of film and of what is no digital mammography."""
    modality, is_film = text_of(dataset, "Modality"), text_of(dataset, "ConversionType") == "DF"
    if modality not in _ACCEPTED_IF_ASKED_FOR and not is_film and not _is_secondary_capture(dataset):
        return []
    kind = "a film, digitised" if is_film else _ACCEPTED_IF_ASKED_FOR.get(modality, _ACCEPTED_IF_ASKED_FOR["SC"])
    return [
        f"{name}: {label_of('Modality')} is '{modality}', {kind}; it is taken for one breast in display values as "
        "stored, models are made for digital mammograms."
    ]


def _is_secondary_capture(dataset: Dataset) -> bool:
    return text_of(dataset, "SOPClassUID") == SecondaryCaptureImageStorage


def _suspicions(dataset: Dataset, name: str) -> list[str]:
    """What the words of people let suspect; of phantoms, which say so everywhere, nothing."""
    if is_phantom_uid(text_of(dataset, "SOPInstanceUID")):
        return []
    texts = {keyword: re.sub("[_^]", " ", str(value_of(dataset, keyword) or "")) for keyword in _WHERE_PEOPLE_WRITE}
    sentences = []
    for kind, pattern in _SUSPICIOUS_WORDS.items():
        found = [(keyword, match[0]) for keyword, text in texts.items() if (match := pattern.search(text))]
        for keyword, word in found[:1]:
            where = f"{label_of(keyword)} says '{word.casefold()}'"
            sentences.append(f"{name}: {where}, so this may be {kind}; models are not made for it.")
    return sentences


def _without_pixels(dataset: Dataset) -> Dataset:
    """The instance, which belongs to us, without its pixel data."""
    for tag in [tag for tag in dataset.keys() if tag.group == _PIXEL_DATA_GROUP]:  # noqa: SIM118 (pydicom iterates values)
        del dataset[tag]
    return dataset
