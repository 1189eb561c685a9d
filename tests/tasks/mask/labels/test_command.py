"""`mammosynth labels`: files in, label maps out, refusals told together."""

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.dicom.write import write_instance
from mammosynth.errors import InvalidParameterError, MammoSynthError
from mammosynth.files import read_image, read_label_map
from mammosynth.tasks.mask.classes import BreastClass
from mammosynth.tasks.mask.labels import command
from mammosynth.tasks.mask.labels.write import read_lesions, write_label_maps
from tests.support.breasts import breast_image
from tests.support.instances import breast_values, build_instance


def labels(*arguments: object) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    args = parser.parse_args(["labels", *map(str, arguments)])
    return args.run(args)


def picture(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return picture(tmp_path / "in" / "P1_L_CC.png", (breast_image(128, 96) * 255).astype(np.uint8))


def mask(value: int) -> np.ndarray:
    drawn = np.zeros((128, 96), np.uint8)
    drawn[60:70, 20:30] = value
    return drawn


def test_a_png_of_the_images_size_and_stem(image: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert labels(image, "--output", tmp_path / "out") == 0
    assert "1 written" in capsys.readouterr().out
    drawn = read_label_map(tmp_path / "out" / "P1_L_CC.png").labels
    assert drawn.shape == (128, 96)
    assert drawn[64, 10] in (BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR)


@pytest.mark.parametrize(("name", "ending"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_volumes_hold_the_same_numbers(image: Path, tmp_path: Path, name: str, ending: str) -> None:
    assert labels(image, "--output", tmp_path / "out") == 0
    assert labels(image, "--output", tmp_path / "out", "--format", name) == 0
    png, volume = (read_label_map(tmp_path / "out" / f"P1_L_CC{each}").labels for each in (".png", ending))
    assert (png == volume).all()


def test_a_segmentation_of_a_dicom_image_and_none_of_a_picture(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_instance(build_instance(breast_values(128, 96), ImagerPixelSpacing=[1.5, 1.5]), tmp_path / "in" / "I1.dcm")
    assert labels(tmp_path / "in", "--output", tmp_path / "out", "--format", "seg") == 1
    assert "P1_L_CC.png: no DICOM image, so no segmentation of it" in capsys.readouterr().err
    names = read_label_map(tmp_path / "out" / "I1.dcm").classes.values()
    assert {"adipose", "skin", "nipple"} <= set(names)


@pytest.mark.parametrize(
    ("value", "arguments", "expected"),
    [
        (255, [], BreastClass.MALIGNANT_LESION),
        (128, ["--lesion-class", "benign"], BreastClass.BENIGN_LESION),
        (1, ["--lesion-class", "calcification"], BreastClass.CALCIFICATION),
        (6, [], BreastClass.BENIGN_LESION),
        (8, ["--lesion-class", "benign"], BreastClass.CALCIFICATION),
    ],
)
def test_lesions_are_masks_or_numbers(
    image: Path, tmp_path: Path, value: int, arguments: list[str], expected: BreastClass
) -> None:
    picture(tmp_path / "masks" / "P1_L_CC.png", mask(value))
    assert labels(image, "--output", tmp_path / "out", "--lesions", tmp_path / "masks", *arguments) == 0
    drawn = read_label_map(tmp_path / "out" / "P1_L_CC.png").labels
    assert ((drawn == expected) == (mask(value) > 0)).all()


def test_refusals_are_told_together_and_stop_nothing(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    picture(image.with_name("dark.png"), np.zeros((64, 64), np.uint8))
    image.with_name("damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    picture(image.with_name("P2_L_CC.png"), (breast_image(128, 96) * 255).astype(np.uint8))
    picture(tmp_path / "masks" / "P2_L_CC.png", mask(50))
    picture(tmp_path / "masks" / "P1_L_CC.png", mask(255))
    assert labels(image.parent, "--output", tmp_path / "out", "--lesions", tmp_path / "masks") == 1
    told = capsys.readouterr()
    assert "1 written" in told.out
    assert "3 refused" in told.out
    for part in ("dark.png: no breast was found", "damaged.png: ", "P2_L_CC.png: values up to 50, expected classes"):
        assert part in told.err


def test_no_input_is_overwritten(image: Path, capsys: pytest.CaptureFixture) -> None:
    before = image.read_bytes()
    assert labels(image, "--output", image.parent) == 1
    assert "P1_L_CC.png is an input" in capsys.readouterr().err
    assert image.read_bytes() == before


def test_lesions_that_belong_to_no_image_are_told(image: Path, tmp_path: Path) -> None:
    picture(tmp_path / "masks" / "other.png", mask(255))
    with pytest.raises(InvalidParameterError, match="masks: holds no file of the stem of an image, P1_L_CC"):
        labels(image, "--output", tmp_path / "out", "--lesions", tmp_path / "masks")
    with pytest.raises(InvalidParameterError, match="no folder"):
        labels(image, "--output", tmp_path / "out", "--lesions", tmp_path / "none")


def test_a_mask_of_another_size_is_refused(image: Path, tmp_path: Path) -> None:
    path = picture(tmp_path / "small.png", mask(255)[:64])
    with pytest.raises(MammoSynthError, match="small.png: 64 x 96 pixels, expected 128 x 96"):
        read_lesions(path, read_image(image), BreastClass.MALIGNANT_LESION)


def test_subfolders_are_kept(image: Path, tmp_path: Path) -> None:
    image.rename(picture(image.parent / "deep" / image.name, np.zeros((2, 2), np.uint8)))
    written = write_label_maps([image.parent], tmp_path / "out")
    assert written.paths == (tmp_path / "out" / "deep" / image.name,)


def test_drawing_is_named_by_seed_side_and_view_and_repeats(tmp_path: Path) -> None:
    small = ["--shape", 128, 100, "--lesions", 1]
    assert labels("--draw", 4, "--seed", 3, "--output", tmp_path / "a", *small) == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        f"drawn-{seed:06d}_{name}.png" for seed, name in ((3, "R_MLO"), (4, "L_CC"), (5, "R_CC"), (6, "L_MLO"))
    ]
    assert labels("--draw", 1, "--seed", 5, "--view", "CC", "--output", tmp_path / "b", *small) == 0
    first, again = (read_label_map(tmp_path / folder / names[2]) for folder in "ab")
    assert (first.labels == again.labels).all()
    assert (first.view_position, first.image_laterality) == ("CC", "R")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--draw", 1, "image.png"],
        ["--draw", 0],
        ["--draw", 1, "--lesions", "many"],
        ["--draw", 1, "--format", "seg"],
    ],
)
def test_what_cannot_be_done_is_refused(arguments: list, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError):
        labels(*arguments, "--output", tmp_path)
