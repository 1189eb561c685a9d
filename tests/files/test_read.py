"""Every accepted format is read; everything else is refused in words."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from mammosynth.errors import UnreadableImageError, UnsupportedImageError
from mammosynth.files import read_image
from mammosynth.files.formats import FileFormat, ending_of, format_of_file, stem_of
from mammosynth.files.names import view_from_name
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.instances import as_file, breast_values, build_instance

VALUES_8 = (breast_values(bits=8)).astype(np.uint8)
VALUES_16 = breast_values(bits=16)


def write_volume(path: Path, values: np.ndarray, spacing: tuple[float, ...] = (0.07, 0.1, 1.0)) -> Path:
    volume = sitk.GetImageFromArray(values)
    volume.SetSpacing(spacing[: volume.GetDimension()])
    sitk.WriteImage(volume, str(path))
    return path


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_8_bit_pictures_are_divided_by_255(name: str, tmp_path: Path) -> None:
    Image.fromarray(VALUES_8).save(tmp_path / name, quality=100)
    mammogram = read_image(tmp_path / name)
    np.testing.assert_allclose(mammogram.pixels, VALUES_8 / 255, atol=0.03 if name == "a.jpg" else 1e-6)
    assert mammogram.pixels.dtype == np.float32
    assert (mammogram.source_name, mammogram.header, mammogram.pixel_spacing_mm) == (name, None, None)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.nrrd", "a.nii", "a.nii.gz"])
def test_16_bits_are_read_in_every_format_that_has_them(name: str, tmp_path: Path) -> None:
    if name in ("a.png", "a.tif"):
        Image.fromarray(VALUES_16).save(tmp_path / name)
    else:
        write_volume(tmp_path / name, VALUES_16)
    mammogram = read_image(tmp_path / name)
    np.testing.assert_allclose(mammogram.pixels, VALUES_16 / 65535, atol=1e-6)
    assert mammogram.warnings == ()


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_16_are_taken_for_what_they_are(bits: int, tmp_path: Path) -> None:
    values = breast_values(bits=bits)
    Image.fromarray(values).save(tmp_path / "a.png")
    mammogram = read_image(tmp_path / "a.png")
    np.testing.assert_allclose(mammogram.pixels, values / ((1 << bits) - 1), atol=1e-6)
    assert f"taken for a {bits}-bit image" in mammogram.warnings[0]


def test_white_is_zero_tiff_is_inverted(tmp_path: Path) -> None:
    Image.fromarray(65535 - VALUES_16).save(tmp_path / "a.tif", tiffinfo={262: 0})
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").pixels, VALUES_16 / 65535, atol=1e-6)
    Image.fromarray(VALUES_8).save(tmp_path / "b.tif", tiffinfo={262: 0})  # Pillow inverts on both ways for 8 bits
    np.testing.assert_allclose(read_image(tmp_path / "b.tif").pixels, VALUES_8 / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(48, 40), (1, 48, 40)])
def test_volumes_may_have_two_axes_or_a_single_slice(shape: tuple[int, ...], tmp_path: Path) -> None:
    mammogram = read_image(write_volume(tmp_path / "a.nrrd", VALUES_16.reshape(shape)))
    np.testing.assert_allclose(mammogram.pixels, VALUES_16 / 65535, atol=1e-6)
    assert mammogram.pixel_spacing_mm == pytest.approx((0.1, 0.07))


def test_a_spacing_of_one_is_no_spacing(tmp_path: Path) -> None:
    assert read_image(write_volume(tmp_path / "a.nrrd", VALUES_16, (1, 1))).pixel_spacing_mm is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.linspace(0, 1, 64, dtype=np.float32), np.linspace(0, 1, 64)),
        (np.linspace(0, 4095, 64, dtype=np.float32), np.linspace(0, 1, 64)),
        (np.linspace(-1, 3, 64, dtype=np.float32), np.linspace(0, 1, 64)),
        (np.arange(-32, 32, dtype=np.int16), np.linspace(0, 1, 64)),
        (np.arange(64, dtype=np.int16) * 64, np.arange(64) * 64 / 4095),
    ],
)
def test_floats_and_signed_integers_are_scaled_as_documented(
    values: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    mammogram = read_image(write_volume(tmp_path / "a.nrrd", values.reshape(8, 8)))
    np.testing.assert_allclose(mammogram.pixels.ravel(), expected, atol=1e-5)


def test_colour_is_accepted_where_it_is_grey(tmp_path: Path) -> None:
    Image.fromarray(np.stack([VALUES_8] * 3, axis=-1)).save(tmp_path / "grey.png")
    np.testing.assert_allclose(read_image(tmp_path / "grey.png").pixels, VALUES_8 / 255, atol=1e-6)
    Image.fromarray(np.stack([VALUES_8, VALUES_8, VALUES_8 // 2], axis=-1)).save(tmp_path / "colour.png")
    with pytest.raises(UnsupportedImageError, match=r"colour\.png: a RGB image, expected grey-scale"):
        read_image(tmp_path / "colour.png")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    values = np.zeros((8, 8), np.float32)
    values[3, 3] = value
    with pytest.raises(UnsupportedImageError, match="no finite numbers"):
        read_image(write_volume(tmp_path / "a.nrrd", values))


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 3, 8, 8), (1, 1, 8)])
def test_volumes_of_several_slices_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    volume = sitk.GetImageFromArray(np.zeros(shape, np.uint16), isVector=False)
    sitk.WriteImage(volume, str(tmp_path / "a.nrrd"))
    with pytest.raises(UnsupportedImageError, match=r"a\.nrrd: size .* expected one grey-scale slice"):
        read_image(tmp_path / "a.nrrd")


def test_a_multi_page_tiff_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(VALUES_8), Image.fromarray(VALUES_8)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(UnsupportedImageError, match="several pages, expected one"):
        read_image(tmp_path / "a.tif")


def test_an_nrrd_header_that_points_to_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(128))
    header = "NRRD0004\ntype: uint16\ndimension: 2\nsizes: 8 8\nencoding: raw\nendian: little\ndata file: secret.raw\n"
    (tmp_path / "a.nrrd").write_text(header)
    with pytest.raises(UnsupportedImageError, match="pixels are in another file"):
        read_image(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("NRRD0004\ntype: uint8\ndimension: 16\nsizes: " + "2 " * 16 + "\nencoding: raw\n\n", "16 axes"),
        ("NRRD0004\n" + "# comment\n" * 7000 + "data file: secret.raw\n\n", "does not end within 65536 bytes"),
    ],
)
def test_headers_that_itk_must_not_see_are_refused(header: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_text(header)
    with pytest.raises(UnsupportedImageError, match=reason):
        read_image(tmp_path / "a.nrrd")


def test_hostile_sizes_are_refused_before_pixels_are_read(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: uint16\ndimension: 2\nsizes: 90000 90000\nencoding: raw\nendian: little\n\n"
    (tmp_path / "a.nrrd").write_text(header)
    with pytest.raises(UnsupportedImageError, match="at most 60 megapixels"):
        read_image(tmp_path / "a.nrrd")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.nrrd", "a.nii", "a.nii.gz"])
def test_a_file_cut_off_gives_an_error_in_words(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 40)).astype(np.uint8)
    if name.endswith(("png", "jpg", "tif")):
        Image.fromarray(noise).save(tmp_path / name)
    else:
        write_volume(tmp_path / name, noise.astype(np.uint16))
    content = (tmp_path / name).read_bytes()
    for length in (0, 3, 20, 200, 400, len(content) // 2, len(content) - 50):
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises((UnreadableImageError, UnsupportedImageError), match=name):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"not an image" * 50), bytes(2000)],
    ids=["nothing", "text", "gzip of something else", "zeros"],
)
def test_what_is_no_image_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=r"a\.bin: of no known format, expected DICOM, PNG"):
        read_image(tmp_path / "a.bin")


def test_a_missing_file_is_refused_by_name_only(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"^gone\.png: cannot be read"):
        read_image(tmp_path / "gone.png")


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(as_file(build_instance()).getvalue())
    assert read_image(tmp_path / "a.png").header.Modality == "MG"
    Image.fromarray(VALUES_8).save(tmp_path / "b.tmp", format="PNG")
    (tmp_path / "b.tmp").rename(tmp_path / "b.dcm")
    assert read_image(tmp_path / "b.dcm").header is None


@pytest.mark.parametrize(
    ("stem", "view", "laterality"),
    [
        ("P1_L_DM_CC", "CC", "L"),
        ("R-MLO", "MLO", "R"),
        ("left cc", "CC", "L"),
        ("patient7.RMLO", "MLO", "R"),
        ("RCC_2", "CC", "R"),
        ("L_and_R_CC", "CC", None),
        ("L_CC_MLO", None, "L"),
        ("L_CC_MAG", None, "L"),
        ("R_XCCL", None, "R"),
        ("ACCLAIM", None, None),
        ("L1_CC2", None, None),
        ("", None, None),
    ],
)
def test_view_and_side_come_from_words_of_the_name(stem: str, view: str | None, laterality: str | None) -> None:
    assert view_from_name(stem) == (view, laterality)


def test_the_caller_s_view_and_side_win_over_the_name(tmp_path: Path) -> None:
    Image.fromarray(VALUES_8).save(tmp_path / "L_CC.png")
    named = read_image(tmp_path / "L_CC.png")
    assert (named.view_position, named.image_laterality) == ("CC", "L")
    told = read_image(tmp_path / "L_CC.png", view_position=ViewPosition.MLO, image_laterality=ImageLaterality.RIGHT)
    assert (told.view_position, told.image_laterality) == ("MLO", "R")


def test_endings_are_known_and_uids_have_none() -> None:
    assert (ending_of(Path("a.nii.gz")), stem_of(Path("a.b.nii.gz"))) == (".nii.gz", "a.b")
    assert (ending_of(Path("1.2.840.10")), stem_of(Path("1.2.840.10"))) == ("", "1.2.840.10")
    assert ending_of(Path("A.DCM")) == ".dcm"


def test_a_dicom_file_with_a_tiff_in_its_preamble_is_dicom(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"II*\0" + bytes(124) + b"DICM" + bytes(200))
    assert format_of_file(tmp_path / "a") is FileFormat.DICOM
