"""Label maps of many images, or of none, as files; what cannot be used is told, and stops nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mammosynth import __version__
from mammosynth.dicom.labels import segment_label_map
from mammosynth.dicom.write import new_uid, write_instance
from mammosynth.errors import InvalidParameterError, MammoSynthError, OutputError, UnsupportedImageError
from mammosynth.files import read_image, read_label_map, write_label_map
from mammosynth.files.find import find_images, real_path
from mammosynth.files.formats import ending_of, stem_of
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.look import Density
from mammosynth.problems import Problems
from mammosynth.tasks.mask.classes import LESION_CLASSES, LESIONS, BreastClass
from mammosynth.tasks.mask.labels.draw import draw_label_map
from mammosynth.tasks.mask.labels.from_image import label_map_of
from mammosynth.terms import ImageLaterality, ViewPosition

ENDING_OF_FORMAT = {"png": ".png", "nifti": ".nii.gz", "nrrd": ".nrrd", "seg": ".dcm"}
_OVER = 127
_MODEL = "Label map"


@dataclass(frozen=True)
class Lesions:
    """Where drawn lesions are.

    Attributes:
        folder: A file for each image, of its stem; images without one have no lesions.
        kind: Of those in files that are masks.
    """

    folder: Path
    kind: BreastClass = BreastClass.MALIGNANT_LESION


@dataclass(frozen=True)
class Written:
    """What became of everything.

    Attributes:
        paths: Of the label maps.
        with_lesions: How many of them hold lesions.
        refused: Sentences.
        warnings: What was assumed of images that were used.
    """

    paths: tuple[Path, ...]
    with_lesions: int
    refused: Problems
    warnings: Problems


def write_label_maps(
    inputs: Sequence[Path],
    output: Path,
    *,
    file_format: str = "png",
    lesions: Lesions | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Written:
    """The label map of every image in files and folders, named by its stem; subfolders are kept.

    Args:
        inputs: Images, or folders in which hidden files and those that are no images are passed over.
        output: Folder for the label maps; no input is ever overwritten.
        file_format: Of `ENDING_OF_FORMAT`; "seg" needs DICOM images.
        lesions: Drawn on the images.
        progress: Called with done, total and name.

    Raises:
        InvalidParameterError: If lesions are named and none of them belongs to an image.
    """
    found, _ = find_images(inputs, output)
    taken = {real_path(image.path) for image in found}
    files = _by_stem(lesions.folder) if lesions else {}
    paths: list[Path] = []
    refused, warnings, matched, drawn = Problems(), Problems(), 0, 0
    for done, item in enumerate(found, start=1):
        path, name = item.path, item.name
        with refused.catching(MammoSynthError):
            image = read_image(path)
            target = output / name.parent / f"{stem_of(path)}{ENDING_OF_FORMAT[file_format]}"
            if real_path(target) in taken:
                raise OutputError(
                    f"{name.as_posix()}: {target.name} is an input, or the label map of another one; choose another "
                    "folder, or rename one of the images"
                )
            file = files.get(stem_of(path))
            masks = read_lesions(file, image, lesions.kind) if lesions and file else {}
            matched += file is not None
            labels = label_map_of(image, masks)
            _write(target, labels, image, file_format)
            taken.add(real_path(target))
            paths.append(target)
            drawn += bool(masks)
            warnings.add(*image.warnings)
        if progress is not None:
            progress(done, len(found), name.as_posix())
    if lesions and found and not matched and not refused:
        raise InvalidParameterError(
            f"{lesions.folder.name}: holds no file of the stem of an image, {stem_of(found[0].path)} for example; name "
            "lesion masks as their images"
        )
    return Written(tuple(paths), drawn, refused, warnings)


def write_drawn(
    count: int,
    seed: int,
    output: Path,
    *,
    density: Density | None = None,
    lesions: int = 0,
    view_position: ViewPosition | None = None,
    shape: tuple[int, int],
    file_format: str = "png",
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[Path, ...]:
    """New label maps, seeds from `seed` on, left and right breasts in turn.

    Args:
        count: How many.
        seed: Of the first.
        output: Folder; a label map of the same seed, side and view is replaced.
        density: See `draw_label_map`, like `lesions` and `shape`.
        lesions: On each.
        view_position: None: pairs of CC, then pairs of MLO.
        shape: (H, W).
        file_format: Of `ENDING_OF_FORMAT`, but "seg".
        progress: Called with done, total and name.

    Raises:
        InvalidParameterError: If a value is out of its range.
    """
    if file_format == "seg":
        raise InvalidParameterError("--format seg: drawn label maps lie on no DICOM image; choose png, nifti or nrrd")
    paths = []
    for number in range(seed, seed + count):
        side = ImageLaterality.RIGHT if number % 2 else ImageLaterality.LEFT
        view = view_position or (ViewPosition.MLO if number // 2 % 2 else ViewPosition.CC)
        drawn = draw_label_map(
            number, density=density, lesions=lesions, view_position=view, image_laterality=side, shape=shape
        )
        path = output / f"drawn-{number:06d}_{side}_{view}{ENDING_OF_FORMAT[file_format]}"
        image = Mammogram(np.zeros(shape, np.float32), drawn.source_name, view, side)
        _write(path, drawn, image, file_format)
        paths.append(path)
        if progress is not None:
            progress(len(paths), count, path.name)
    return tuple(paths)


def read_lesions(path: Path, image: Mammogram, kind: BreastClass) -> Mapping[BreastClass, np.ndarray]:
    """(H, W) bool for each class of lesion that a file holds.

    A DICOM Segmentation says its classes. A file of no other numbers than 0, 6, 7 and 8 holds classes. Any other is a
    mask: all of `kind`, where it is over 127, or 1 in a file of 0 and 1.

    Args:
        path: What `read_label_map` reads, or JPEG.
        image: What it is drawn on.
        kind: Of the lesions in a mask.

    Raises:
        UnreadableImageError: If the file is damaged.
        UnsupportedImageError: If it has another matrix than the image, or holds neither classes nor a mask.
    """
    named = {int(number): name for name, number in LESION_CLASSES.items()}
    labels = read_label_map(path, image=image, classes=named).labels
    if labels.shape != image.pixels.shape:
        raise UnsupportedImageError(
            f"{path.name}: {labels.shape[0]} x {labels.shape[1]} pixels, expected {image.pixels.shape[0]} x "
            f"{image.pixels.shape[1]} as {image.source_name} has; draw on the image itself"
        )
    values = set(np.unique(labels).tolist()) - {0}
    if values <= set(map(int, LESIONS)):
        return {each: labels == each for each in LESIONS if each in values}
    if values != {1} and max(values) <= _OVER:
        raise UnsupportedImageError(
            f"{path.name}: values up to {max(values)}, expected classes (6 benign, 7 malignant, 8 calcification) or a "
            "mask of 0 and 255"
        )
    return {kind: labels > (_OVER if values != {1} else 0)}


def _write(path: Path, drawn: LabelMap, image: Mammogram, file_format: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if file_format != "seg":
        write_label_map(path, drawn, image)
        return
    if image.header is None:
        raise OutputError(f"{image.source_name}: no DICOM image, so no segmentation of it; choose another format")
    dataset = segment_label_map(
        replace(drawn, header=None),
        image.header,
        sop_instance_uid=new_uid(),
        series_instance_uid=new_uid(),
        model_name=_MODEL,
        model_version=__version__,
        software_version=__version__,
    )
    write_instance(dataset, path)


def _by_stem(folder: Path) -> dict[str, Path]:
    """The first file of every stem."""
    return {stem_of(path): path for path in sorted(folder.iterdir(), reverse=True) if ending_of(path)}
