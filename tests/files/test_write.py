"""Results lie on their sources, in 16 bits, whatever the format."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from mammosynth.errors import OutputError, UnsupportedImageError
from mammosynth.files import read_image, to_nrrd_bytes, write_image
from mammosynth.mammogram import Mammogram
from tests.support.instances import as_file, breast_values, build_instance

RESULT = np.random.default_rng(0).random((48, 40)).astype(np.float32)
STORED = np.rint(RESULT.astype(np.float64) * 65535).astype(np.uint16)
ENDINGS = ["png", "tif", "tiff", "nrrd", "nii", "nii.gz"]
OBLIQUE = (0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0)


def dicom_source(folder: Path, **attributes: object) -> Path:
    path = folder / "source.dcm"
    path.write_bytes(as_file(build_instance(**attributes)).getvalue())
    return path


def volume_source(path: Path) -> Path:
    volume = sitk.GetImageFromArray(breast_values()[None])
    volume.SetSpacing((0.07, 0.1, 2.5))
    volume.SetOrigin((-3.0, 4.0, 5.5))
    volume.SetDirection(OBLIQUE)
    sitk.WriteImage(volume, str(path))
    return path


def stored_in(path: Path) -> np.ndarray:
    if path.suffix in (".png", ".tif", ".tiff"):
        with Image.open(path) as image:
            return np.asarray(image)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).squeeze()


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_holds_16_bits_exactly(ending: str, tmp_path: Path) -> None:
    like = Mammogram(np.zeros((48, 40), np.float32), "a.png")
    path = tmp_path / "new folder" / f"a.{ending}"
    write_image(path, RESULT, like, None)
    assert stored_in(path).dtype == np.uint16
    np.testing.assert_array_equal(stored_in(path), STORED)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_generated_file_is_never_read_as_a_source(ending: str, tmp_path: Path) -> None:
    write_image(tmp_path / f"a.{ending}", RESULT, Mammogram(np.zeros((48, 40), np.float32), "a.png"), None)
    with pytest.raises(UnsupportedImageError, match="SYNTHETIC - NOT FOR DIAGNOSIS"):
        read_image(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("source_ending", ["nrrd", "nii", "nii.gz"])
@pytest.mark.parametrize("ending", ["nrrd", "nii.gz"])
def test_volumes_keep_spacing_origin_and_direction(source_ending: str, ending: str, tmp_path: Path) -> None:
    source_path = volume_source(tmp_path / f"s.{source_ending}")
    write_image(tmp_path / f"r.{ending}", RESULT, read_image(source_path), source_path)
    source, result = sitk.ReadImage(str(source_path)), sitk.ReadImage(str(tmp_path / f"r.{ending}"))
    assert result.GetSize() == source.GetSize()
    assert result.GetSpacing() == pytest.approx(source.GetSpacing())
    assert result.GetOrigin() == pytest.approx(source.GetOrigin())
    assert result.GetDirection() == pytest.approx(source.GetDirection(), abs=1e-6)


def test_a_two_dimensional_volume_stays_two_dimensional(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(breast_values()), str(tmp_path / "s.nrrd"))
    write_image(tmp_path / "r.nrrd", RESULT, read_image(tmp_path / "s.nrrd"), tmp_path / "s.nrrd")
    assert sitk.ReadImage(str(tmp_path / "r.nrrd")).GetSize() == (40, 48)


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz"])
@pytest.mark.parametrize(
    "position",
    [{}, {"ImagePositionPatient": [5, 6, 7], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}],
    ids=["without orientation", "with orientation"],
)
def test_a_result_from_dicom_has_the_geometry_that_itk_gives_the_dicom(
    ending: str, position: dict[str, object], tmp_path: Path
) -> None:
    source_path = dicom_source(tmp_path, **position)
    write_image(tmp_path / f"r.{ending}", RESULT, read_image(source_path), source_path)
    source, result = sitk.ReadImage(str(source_path)), sitk.ReadImage(str(tmp_path / f"r.{ending}"))
    assert result.GetSize() == source.GetSize() == (40, 48, 1)
    assert result.GetSpacing() == pytest.approx(source.GetSpacing())
    assert result.GetSpacing()[:2] == pytest.approx((0.07, 0.1))  # x is the distance of columns
    assert result.GetOrigin() == pytest.approx(source.GetOrigin())
    assert result.GetDirection() == pytest.approx(source.GetDirection(), abs=1e-6)


def test_nibabel_agrees_with_the_nifti(tmp_path: Path) -> None:
    source_path = dicom_source(tmp_path)
    write_image(tmp_path / "r.nii.gz", RESULT, read_image(source_path), source_path)
    image = nibabel.load(tmp_path / "r.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, 0].T, STORED)
    assert image.header.get_zooms()[:2] == pytest.approx((0.07, 0.1))


def test_only_gz_is_compressed(tmp_path: Path) -> None:
    like = Mammogram(np.zeros((48, 40), np.float32), "a.png")
    for ending in ("nrrd", "nii", "nii.gz"):
        write_image(tmp_path / f"a.{ending}", np.zeros_like(RESULT), like, None)
    assert (tmp_path / "a.nrrd").stat().st_size > 48 * 40 * 2
    assert (tmp_path / "a.nii").stat().st_size > 48 * 40 * 2
    assert (tmp_path / "a.nii.gz").stat().st_size < 1000


def test_nrrd_bytes_are_an_uncompressed_file(tmp_path: Path) -> None:
    like = read_image(dicom_source(tmp_path))
    content = to_nrrd_bytes(RESULT, like)
    assert content.startswith(b"NRRD")
    assert b"encoding: raw" in content
    (tmp_path / "a.nrrd").write_bytes(content)
    volume = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(volume)[0], STORED)
    assert volume.GetSpacing() == pytest.approx((0.07, 0.1, 1.0))


def test_nrrd_bytes_lie_on_a_volume(tmp_path: Path) -> None:
    source_path = volume_source(tmp_path / "s.nii.gz")
    (tmp_path / "a.nrrd").write_bytes(to_nrrd_bytes(RESULT, read_image(source_path), source_path))
    assert sitk.ReadImage(str(tmp_path / "a.nrrd")).GetOrigin() == pytest.approx((-3, 4, 5.5))


def test_the_resolution_of_a_picture_is_kept(tmp_path: Path) -> None:
    Image.fromarray(breast_values()).save(tmp_path / "s.png", dpi=(254, 254))
    write_image(tmp_path / "r.tif", RESULT, read_image(tmp_path / "s.png"), tmp_path / "s.png")
    with Image.open(tmp_path / "r.tif") as image:
        assert image.info["dpi"] == pytest.approx((254, 254), abs=0.1)


@pytest.mark.parametrize("name", ["a.jpg", "a.dcm", "a.bmp", "a"])
def test_formats_without_16_bits_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"^{name}: the ending is .*expected .png"):
        write_image(tmp_path / name, RESULT, Mammogram(np.zeros((48, 40), np.float32), "a.png"), None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["png", "nrrd"])
def test_a_failed_write_leaves_no_remainder(ending: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    like = Mammogram(np.zeros((48, 40), np.float32), "a.png")
    with pytest.raises(OutputError, match=f"a.{ending}: cannot be written"):
        write_image(tmp_path / "file" / f"a.{ending}", RESULT, like, None)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_result_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shape"):
        write_image(tmp_path / "a.png", RESULT[:5], Mammogram(np.zeros((48, 40), np.float32), "a.png"), None)
