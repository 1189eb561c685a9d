"""Synthesis of files and folders: every image that can be used is done, every other one is reported with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammosynth.dicom.attributes import text_of
from mammosynth.dicom.contrast_enhanced import refuse_wrong_exposure
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.dicom.write import derive_instance, new_uid, write_instance
from mammosynth.errors import InvalidParameterError, MammoSynthError, OutputError
from mammosynth.files import read_image, write_image
from mammosynth.files.formats import ENDINGS, FileFormat, ending_of, format_of_file, stem_of
from mammosynth.mammogram import Mammogram
from mammosynth.terms import ImageLaterality, ViewPosition

if TYPE_CHECKING:
    from mammosynth.bundle import Bundle
    from mammosynth.synthesis.result import SynthesisResult

SAME = "same"
ENDING_OF_FORMAT = {"dicom": ".dcm", "png": ".png", "tiff": ".tif", "nrrd": ".nrrd", "nifti": ".nii.gz"}
FILE_FORMATS = (SAME, *ENDING_OF_FORMAT)


@dataclass(frozen=True)
class BatchReport:
    """What became of every file.

    Attributes:
        written: The results, in the order of the inputs.
        refused: (name, message) of inputs that could not be used; names are relative to the folder they were found in.
        skipped: How many files in folders are hidden or no images.
        notes: (name, message) of results that are not quite what was asked for.
    """

    written: tuple[Path, ...]
    refused: tuple[tuple[str, str], ...]
    skipped: int
    notes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Input:
    path: Path
    name: Path
    """Relative to the folder that was asked for; the file's name for files that were named themselves."""


def synthesize_files(
    inputs: Sequence[Path],
    output: Path,
    bundle: Bundle,
    *,
    file_format: str = SAME,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
    view_position: ViewPosition | None = None,
    image_laterality: ImageLaterality | None = None,
    burned_in_mark: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
) -> BatchReport:
    """Synthesize from files and folders into a folder, keeping matrix, geometry and subfolders.

    Results are named `<stem>_<task>` with the ending of their format, uncertainties `<stem>_<task>_uncertainty`; of two
    results of one name the second gets `_2`.
    No input is ever overwritten; results of an earlier run are. The output folder is not searched for inputs. The DICOM
    instances of one view of one source series make one new series.

    Args:
        inputs: Files, and folders, which are searched through.
        output: Where results go; made if missing.
        bundle: The model.
        file_format: "same" (JPEG becomes PNG, which holds 16 bits), "dicom" (from DICOM only), "png", "tiff", "nrrd" or
            "nifti" (.nii.gz).
        parameters: The bundle's own, the same for every file.
        seed: The same for every file.
        view_position: For all files, over what they say.
        image_laterality: For all files, over what they say.
        burned_in_mark: Whether the pixels carry the mark, in every format. Turn it off in blinded studies only.
        progress: Called with (files done, files in all, name) after each file.

    Returns:
        What was written and what was refused.

    Raises:
        InvalidParameterError: If the format is none of the above, or the bundle refuses a parameter.
        OutputError: If the output folder cannot be made.
    """
    if file_format not in FILE_FORMATS:
        raise InvalidParameterError(f"file_format is {file_format!r}, expected one of {', '.join(FILE_FORMATS)}")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{output.name}: the output folder cannot be made ({error.strerror}); choose another."
        ) from error
    found, skipped = _find(inputs, output)
    taken = {item.path.resolve() for item in found}
    run = new_uid()
    written: list[Path] = []
    refused: list[tuple[str, str]] = []
    notes: list[tuple[str, str]] = []
    for done, item in enumerate(found, start=1):
        try:
            source = read_image(item.path, view_position=view_position, image_laterality=image_laterality)
            ending = _ending(item.path, source, file_format)
            refuse_wrong_exposure(source, bundle.task)
            result = bundle.synthesize(source, parameters=parameters, seed=seed)
            target = _target(output, item, f"_{bundle.task}", ending, taken)
            _write(target, result.image.pixels, result, source, item.path, run, burned_in_mark=burned_in_mark)
            targets = [target]
            if result.uncertainty is not None:
                targets.append(_target(output, item, f"_{bundle.task}_uncertainty", ending, taken))
                pixels, mark = result.uncertainty.pixels, burned_in_mark
                _write(targets[1], pixels, result, source, item.path, run, burned_in_mark=mark, is_uncertainty=True)
        except InvalidParameterError:
            raise
        except MammoSynthError as error:
            refused.append((item.name.as_posix(), str(error)))
        else:
            written += targets
            taken.update(target.resolve() for target in targets)
            if file_format == SAME and ENDINGS.get(ending_of(item.path)) is FileFormat.JPEG:
                notes.append((item.name.as_posix(), f"written as {target.name}, because JPEG does not hold 16 bits."))
        if progress is not None:
            progress(done, len(found), item.name.as_posix())
    return BatchReport(tuple(written), tuple(refused), skipped, tuple(notes))


def _find(inputs: Sequence[Path], output: Path) -> tuple[list[_Input], int]:
    """Every input once, in the order asked for, by name within a folder; and how many are hidden or no images."""
    found: dict[Path, _Input] = {}
    skipped = 0
    for asked in inputs:
        if not asked.is_dir():
            found.setdefault(asked.resolve(), _Input(asked, Path(asked.name)))
            continue
        for path in sorted(asked.rglob("*")):
            if not path.is_file() or output.resolve() in path.resolve().parents and not _is_within(asked, output):
                continue
            name = path.relative_to(asked)
            if any(part.startswith(".") for part in name.parts) or not _is_image(path):
                skipped += 1
            else:
                found.setdefault(path.resolve(), _Input(path, name))
    return list(found.values()), skipped


def _is_within(folder: Path, parent: Path) -> bool:
    """Whether a folder is, or lies in, another one; such an input was asked for, whatever the output is."""
    return parent.resolve() in (folder.resolve(), *folder.resolve().parents)


def _is_image(path: Path) -> bool:
    """Whether a file is, or by its name should be, an image; unreadable ones count, so that they are reported."""
    if ending_of(path):
        return True
    try:
        return format_of_file(path) is not None
    except OSError:
        return True


def _ending(path: Path, source: Mammogram, file_format: str) -> str:
    """The ending of a result's name."""
    if file_format != SAME:
        if file_format == FileFormat.DICOM and source.header is None:
            raise OutputError(
                f"{path.name}: no DICOM can be derived from a file without a DICOM header; choose another format."
            )
        return ENDING_OF_FORMAT[file_format]
    kind = format_of_file(path)
    if source.header is not None:
        return ".dcm"
    if kind is FileFormat.JPEG:
        return ".png"
    ending = ending_of(path)
    return ending if ENDINGS.get(ending) is kind else ENDING_OF_FORMAT[str(kind)]


def _target(output: Path, item: _Input, suffix: str, ending: str, taken: set[Path]) -> Path:
    """Where a result goes: beside nothing that is an input or was written in this run."""
    folder = output / item.name.parent
    number, name = 1, f"{stem_of(item.path)}{suffix}{ending}"
    names = {path.name.casefold() for path in taken if path.parent == folder.resolve()}  # some file systems ignore case
    while name.casefold() in names:
        number += 1
        name = f"{stem_of(item.path)}{suffix}_{number}{ending}"
    return folder / name


def _write(
    target: Path,
    pixels: np.ndarray,
    result: SynthesisResult,
    source: Mammogram,
    source_path: Path,
    run: str,
    *,
    burned_in_mark: bool,
    is_uncertainty: bool = False,
) -> None:
    if ENDINGS[ending_of(target)] is not FileFormat.DICOM:
        write_image(target, burn_in_mark(pixels, source) if burned_in_mark else pixels, source, source_path)
        return
    source_series = text_of(source.header, "SeriesInstanceUID") or text_of(source.header, "StudyInstanceUID")
    # One series per view, because a series has one description.
    words = [source_series, str(source.image_laterality), str(source.view_position)]
    series = new_uid(run, *words, *(["uncertainty"] if is_uncertainty else []))
    dataset = derive_instance(
        pixels,
        result.provenance,
        source,
        series_instance_uid=series,
        sop_instance_uid=new_uid(series, target.as_posix()),
        burned_in_mark=burned_in_mark,
        is_uncertainty=is_uncertainty,
    )
    write_instance(dataset, target)
