"""What a reader gets from vendors' headers: orientation, polarity, padding, spacing; and what is refused."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import BreastTomosynthesisImageStorage, ImplicitVRLittleEndian, SecondaryCaptureImageStorage

from mammosynth.dicom.generated import phantom_uid
from mammosynth.dicom.read import looks_like_dicom, read_mammogram
from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.terms import ImageLaterality, PresentationIntentType, ViewPosition
from tests.support.instances import as_file, breast_values, build_instance, build_raw_instance

VALUES = breast_values()
EXPECTED = (VALUES / 4095).astype(np.float32)  # the full-range window of 12 bits: 0 to 0, 4095 to 1


def warnings_of(**attributes: Any) -> str:
    return " ".join(read_mammogram(build_instance(**attributes)).warnings)


@pytest.mark.parametrize("laterality", ["L", "R"])
@pytest.mark.parametrize("view", ["CC", "MLO"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_pixels_keep_their_stored_orientation_and_become_monochrome2(
    laterality: str, view: str, photometric: str
) -> None:
    shown = VALUES if laterality == "L" else VALUES[:, ::-1]
    stored = shown if photometric == "MONOCHROME2" else 4095 - shown
    mammogram = read_mammogram(
        build_instance(
            stored,
            ImageLaterality=laterality,
            ViewPosition=view,
            ViewCodeSequence=None,
            PhotometricInterpretation=photometric,
            PresentationLUTShape="IDENTITY" if photometric == "MONOCHROME2" else "INVERSE",
        )
    )
    expected = EXPECTED if laterality == "L" else EXPECTED[:, ::-1]
    np.testing.assert_allclose(mammogram.pixels, expected, atol=1e-6)
    assert mammogram.pixels.dtype == np.float32
    assert (mammogram.image_laterality, mammogram.view_position) == (laterality, view)
    assert mammogram.warnings == ()


def test_a_presentation_lut_shape_that_contradicts_does_not_invert_twice() -> None:
    mammogram = read_mammogram(build_instance(PresentationLUTShape="INVERSE"))
    np.testing.assert_allclose(mammogram.pixels, EXPECTED, atol=1e-6)
    assert "Presentation LUT Shape is 'INVERSE' with MONOCHROME2" in mammogram.warnings[0]


def test_padding_is_black_and_not_valid() -> None:
    values = VALUES.copy()
    values[:5] = 4000
    mammogram = read_mammogram(build_instance(values, PixelPaddingValue=4000))
    assert not mammogram.valid[:5].any()
    assert mammogram.valid[5:].all()
    assert mammogram.pixels[:5].max() == 0


def test_padding_may_be_a_range() -> None:
    mammogram = read_mammogram(build_instance(PixelPaddingValue=0, PixelPaddingRangeLimit=30))
    np.testing.assert_array_equal(mammogram.valid, VALUES > 30)


def test_padding_of_an_inverted_image_is_black_too() -> None:
    mammogram = read_mammogram(
        build_instance(4095 - VALUES, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4095)
    )
    assert mammogram.pixels[VALUES == 0].max() == 0


def test_padding_that_no_pixel_has_leaves_every_pixel_valid() -> None:
    assert read_mammogram(build_instance(PixelPaddingValue=4000)).valid is None


def test_padding_of_signed_pixels_is_found_although_it_is_read_as_unsigned() -> None:
    dataset = build_instance(VALUES.astype(int) - 2048, signed=True, WindowCenter="0")
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2048)
    np.testing.assert_array_equal(read_mammogram(dataset).valid, VALUES > 0)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ({}, (0.1, 0.07)),
        ({"PixelSpacing": [0.2, 0.3]}, (0.1, 0.07)),
        ({"ImagerPixelSpacing": None, "PixelSpacing": [0.2, 0.3]}, (0.2, 0.3)),
        ({"ImagerPixelSpacing": [0, 0], "PixelSpacing": [0.2, 0.3]}, (0.2, 0.3)),
        ({"ImagerPixelSpacing": None}, None),
    ],
)
def test_spacing_is_that_of_the_detector_else_the_calibrated_one(spacing: dict[str, Any], expected: object) -> None:
    assert read_mammogram(build_instance(**spacing)).pixel_spacing_mm == expected


@pytest.mark.parametrize(
    ("attributes", "intent"),
    [
        ({}, PresentationIntentType.FOR_PRESENTATION),
        ({"PresentationIntentType": None}, PresentationIntentType.FOR_PRESENTATION),
        ({"PresentationIntentType": "FOR FUN"}, PresentationIntentType.FOR_PRESENTATION),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "PresentationIntentType": "FOR PROCESSING"}, "FOR PROCESSING"),
    ],
)
def test_presentation_intent_is_the_class_s_else_the_attribute_s(attributes: dict[str, Any], intent: str) -> None:
    assert read_mammogram(build_instance(**attributes)).presentation_intent_type == intent


def test_a_for_processing_class_counts_without_the_attribute() -> None:
    mammogram = read_mammogram(build_raw_instance(16000 - 3 * VALUES.astype(int), PresentationIntentType=None))
    assert mammogram.presentation_intent_type is PresentationIntentType.FOR_PROCESSING


@pytest.mark.parametrize(
    ("attributes", "warning"),
    [
        ({"BreastImplantPresent": "YES"}, "a breast with an implant"),
        ({"PartialView": "YES"}, "a part of the breast"),
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}, "reconstructed from a tomosynthesis"),
        ({"ImageType": ["DERIVED", "PRIMARY", "", "RECOMBINED"]}, "a recombined image of contrast-enhanced"),
        ({"EstimatedRadiographicMagnificationFactor": "1.8"}, "is 1.8; models are made for contact views"),
        ({"ImagerPixelSpacing": None}, "no pixel spacing"),
        ({"QualityControlImage": "YES"}, "a quality control image"),
        (
            {"StudyDescription": "Test support of spacing"},
            "Study Description says 'test', so this may be a test",
        ),
        ({"SeriesDescription": "ACR_PHANTOM"}, "Series Description says 'phantom'"),
        ({"PatientName": "QC^Daily"}, "Patient's Name says 'qc'"),
        ({"ProtocolName": "R CC Spot"}, "Protocol Name says 'spot', so this may be a spot or magnification view"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "is 'MG', a secondary capture, of a film or a screen"),
        ({"ConversionType": "DF"}, "is 'MG', a film, digitised; it is taken for one breast"),
    ],
)
def test_what_models_are_not_made_for_is_a_warning(attributes: dict[str, Any], warning: str) -> None:
    assert warning in warnings_of(**attributes)


def test_ordinary_words_are_no_warning() -> None:
    assert warnings_of(StudyDescription="Screening, contest", PatientName="Spottiswoode^Maggie") == ""


def test_a_phantom_s_own_words_are_no_warning() -> None:
    assert warnings_of(SOPInstanceUID=phantom_uid("a"), SeriesDescription="PHANTOM L CC", PatientName="PHANTOM^1") == ""


@pytest.mark.parametrize(
    ("modality", "kind"),
    [("CR", "computed radiography"), ("RG", "a film"), ("SC", "a secondary capture"), ("OT", "no stated modality")],
)
def test_another_modality_passes_only_if_it_is_accepted_and_says_what_is_assumed(modality: str, kind: str) -> None:
    image = build_instance(Modality=modality, SOPClassUID=SecondaryCaptureImageStorage)
    with pytest.raises(UnsupportedImageError, match=f"'{modality}', expected MG.*--accept-modality {modality}"):
        read_mammogram(image)
    mammogram = read_mammogram(as_file(image), accept_modalities=[modality.lower()])
    assert any(f"Modality is '{modality}'" in each and kind in each for each in mammogram.warnings)
    np.testing.assert_array_equal(mammogram.pixels, read_mammogram(build_instance()).pixels)


def test_what_is_no_mammogram_stays_refused_whatever_is_accepted() -> None:
    with pytest.raises(UnsupportedImageError, match="'CT', expected MG; choose a mammogram"):
        read_mammogram(build_instance(Modality="CT"), accept_modalities=["CT"])
    with pytest.raises(UnsupportedImageError, match="Body Part Examined is 'HAND', expected BREAST"):
        read_mammogram(build_instance(Modality="CR", BodyPartExamined="HAND"), accept_modalities=["CR"])
    with pytest.raises(UnsupportedImageError, match="multi-frame"):
        read_mammogram(build_instance(Modality="SC", NumberOfFrames=3), accept_modalities=["SC"])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"Modality": "CT"}, r"\(0008,0060\) Modality is 'CT', expected MG"),
        ({"Modality": None, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "Modality is '', expected MG"),
        ({"NumberOfFrames": 45}, r"multi-frame image \(\(0028,0008\) Number of Frames is 45\)"),
        ({"SOPClassUID": BreastTomosynthesisImageStorage}, "a tomosynthesis"),
        (
            {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
            "is 'RGB' with 3 samples per pixel, expected MONO",
        ),
        ({"PixelData": None}, r"no \(7FE0,0010\) Pixel Data"),
        ({"ImageType": ["DERIVED", "SECONDARY", "", "SYNTHETIC"]}, "Image Type has the value 'SYNTHETIC'.*generated"),
        ({"SeriesDescription": "SYNTHETIC contrast L CC"}, "Series Description starts with 'SYNTHETIC'.*generated"),
        ({"ImageLaterality": "B"}, "Image Laterality is 'B'"),
    ],
)
def test_what_is_no_acquired_mammogram_is_refused_in_words(attributes: dict[str, Any], message: str) -> None:
    dataset = build_instance(**{key: value for key, value in attributes.items() if key != "PixelData"})
    if "PixelData" in attributes:
        del dataset.PixelData
    with pytest.raises(UnsupportedImageError, match=message):
        read_mammogram(dataset, source_name="IM1")


def test_synthetic_data_are_refused_by_their_tag() -> None:
    dataset = build_instance()
    dataset.add_new(0x0008001C, "CS", "YES")
    with pytest.raises(UnsupportedImageError, match=r"\(0008,001C\) Synthetic Data is 'YES'"):
        read_mammogram(as_file(dataset))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(400), bytes(1000), b"\x08\x00\x05\x00" * 3]
)
def test_what_is_no_dicom_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "no.dcm"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"no\.dcm: not a DICOM file"):
        read_mammogram(path)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"^gone\.dcm: cannot be read"):
        read_mammogram(tmp_path / "gone.dcm")


@pytest.mark.parametrize("implicit", [True, False])
def test_a_dataset_without_preamble_and_file_meta_is_read(implicit: bool) -> None:
    dataset = build_instance()
    dataset.is_implicit_VR = implicit
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else "1.2.840.10008.1.2.1"
    content = io.BytesIO()
    del dataset.file_meta
    pydicom.dcmwrite(content, dataset, write_like_original=True)
    assert content.getvalue()[128:132] != b"DICM"
    content.seek(0)
    np.testing.assert_allclose(read_mammogram(content).pixels, EXPECTED, atol=1e-6)


def test_path_open_file_and_dataset_give_the_same_image(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(as_file(build_instance()).getvalue())
    from_path, from_file = read_mammogram(path), read_mammogram(as_file(build_instance()))
    from_dataset = read_mammogram(build_instance())
    np.testing.assert_array_equal(from_path.pixels, from_file.pixels)
    np.testing.assert_array_equal(from_path.pixels, from_dataset.pixels)
    assert (from_path.source_name, from_file.source_name, from_dataset.source_name) == (
        "a.dcm",
        "1.2.3.4.5",
        "1.2.3.4.5",
    )


def test_a_dataset_that_is_read_is_not_changed() -> None:
    dataset = build_instance()
    before = dataset.to_json()
    mammogram = read_mammogram(dataset)
    assert dataset.to_json() == before
    assert "PixelData" not in mammogram.header
    assert mammogram.header.PatientName == "Muster^Mária"


@pytest.mark.parametrize(
    "keyword", ["NumberOfFrames", "SamplesPerPixel", "PixelRepresentation", "HighBit", "BitsStored"]
)
def test_an_empty_attribute_of_the_image_is_settled(keyword: str) -> None:
    dataset = build_instance(bits=16)
    setattr(dataset, keyword, None)
    assert read_mammogram(dataset).pixels.shape == VALUES.shape


def test_values_of_a_wrong_type_are_settled() -> None:
    dataset = build_instance()
    dataset.add_new("WindowCenter", "LO", " 2048 ")
    dataset.add_new("WindowWidth", "LO", "4096")
    dataset.add_new("Rows", "IS", "48")
    np.testing.assert_allclose(read_mammogram(dataset).pixels, EXPECTED, atol=1e-6)


def test_bytes_after_the_last_pixel_are_ignored() -> None:
    dataset = build_instance()
    dataset.PixelData = dataset.PixelData + bytes(6)
    np.testing.assert_allclose(read_mammogram(dataset).pixels, EXPECTED, atol=1e-6)


def test_no_preamble_is_told_from_other_files_by_its_first_element() -> None:
    assert looks_like_dicom(bytes(128) + b"DICM")
    assert looks_like_dicom(b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100")
    assert not looks_like_dicom(b"\x08\x00\x05\x00\xff\xff\xff\xffISO_IR 100")


def test_the_caller_s_view_and_side_win() -> None:
    mammogram = read_mammogram(build_instance(), view_position=ViewPosition.MLO, image_laterality=ImageLaterality.RIGHT)
    assert (mammogram.view_position, mammogram.image_laterality) == ("MLO", "R")
    assert len(mammogram.warnings) == 2


def test_nothing_of_the_patient_stands_in_warnings_and_errors() -> None:
    dataset: Dataset = build_instance(BreastImplantPresent="YES", ImagerPixelSpacing=None, Modality="MG")
    text = " ".join(read_mammogram(dataset).warnings)
    assert "Muster" not in text
    assert "P1" not in text
