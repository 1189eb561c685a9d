"""Synthesis of files and folders: every image that can be used is done, every other one is reported with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammosynth.dicom.attributes import integer_of, text_of
from mammosynth.dicom.bounded import open_regular, parse_instance
from mammosynth.dicom.compress import compress_instance
from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.generated import synthesized_uid
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.dicom.write import new_uid, write_instance
from mammosynth.errors import InvalidParameterError, MammoSynthError, OutputError, UnreadableImageError
from mammosynth.files import mask_as_first_class, read_image, read_label_map, write_image, write_label_map
from mammosynth.files.formats import ENDINGS, FileFormat, ending_of, format_of_file, stem_of
from mammosynth.journey import Given, Order, Work, perform
from mammosynth.label_map import LabelMap
from mammosynth.synthesis.result import Result
from mammosynth.task import IMAGE, Output, Placement, Slot, SlotKind

SAME = "same"
ENDING_OF_FORMAT = {"dicom": ".dcm", "png": ".png", "tiff": ".tif", "nrrd": ".nrrd", "nifti": ".nii.gz"}
FILE_FORMATS = (SAME, *ENDING_OF_FORMAT)


@dataclass(frozen=True)
class FileOptions:
    """How files are read and written.

    Attributes:
        file_format: "same" (JPEG becomes PNG, which holds 16 bits), "dicom", "png", "tiff", "nrrd" or "nifti"
            (.nii.gz).
        skip_existing: Whether results that are there already are left as they are.
        compress: Whether DICOM is written lossless compressed.
        accept_modalities: Modalities of mammograms that are accepted beside MG, for example CR.
    """

    file_format: str = SAME
    skip_existing: bool = False
    compress: bool = False
    accept_modalities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown format."""
        if self.file_format not in FILE_FORMATS:
            raise InvalidParameterError(
                f"file_format is {self.file_format!r}, expected one of {', '.join(FILE_FORMATS)}"
            )


@dataclass(frozen=True)
class BatchReport:
    """What became of every file.

    Attributes:
        written: The results, in the order of the inputs.
        refused: (name, message) of inputs that could not be used; names are relative to the folder they were found in.
        skipped: How many files in folders are hidden or no images.
        notes: (name, message) of results that are not quite what was asked for.
        warnings: (name, message) of what had to be assumed about an input.
        kept: How many results were there already.
    """

    written: tuple[Path, ...]
    refused: tuple[tuple[str, str], ...]
    skipped: int
    notes: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...] = ()
    kept: int = 0


@dataclass(frozen=True)
class FoundImage:
    """A file that is, or by its name should be, an image.

    Attributes:
        path: Where it is.
        name: Relative to the folder that was asked for; the file's name for files that were named themselves.
    """

    path: Path
    name: Path


def synthesize_files(
    inputs: Sequence[Path],
    output: Path,
    order: Order,
    *,
    others: Mapping[str, Path] | None = None,
    options: FileOptions | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> BatchReport:
    """Synthesize from files and folders into a folder, keeping matrix, geometry and subfolders.

    The files that are named fill the first slot of the task. Results are named `<stem>_<task>` with the ending of their
    format, what belongs to them `<stem>_<task>_<role>`; of two results of one name the second gets `_2`. No input is
    ever overwritten; results of an earlier run are. The output folder is not searched for inputs. The DICOM instances
    of one view of one source series make one new series. An image that is there twice is done once.

    Args:
        inputs: Files, and folders, which are searched through.
        output: Where results go; made if missing.
        order: Model, settings and parameters, the same for every file.
        others: Of the other slots by role: a file for all inputs, or a folder with one of the same stem for each.
        options: How files are read and written.
        progress: Called with (files done, files in all, name) after each file.

    Returns:
        What was written and what was refused.

    Raises:
        InvalidParameterError: If a role of `others` is unknown, or the model refuses a parameter.
        OutputError: If the output folder cannot be made, or is full.
    """
    chosen = options or FileOptions()
    first = order.bundle.slots[0]
    slots = {slot.role: slot for slot in order.bundle.slots[1:]}
    if unknown := sorted(set(others or {}) - set(slots)):
        raise InvalidParameterError(f"input {unknown[0]!r} is unknown, expected {', '.join(slots) or 'none'}")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{output.name}: the output folder cannot be made ({error.strerror}); choose another."
        ) from error
    found, skipped = find_images(inputs, output)
    sink = _Files(output, chosen, {item.path.resolve() for item in found})
    refused: list[tuple[str, str]] = []
    done_before: dict[str, str] = {}
    for done, item in enumerate(found, start=1):
        sink.item = item
        uid = _sop_instance_uid(item.path)
        try:
            if same := done_before.get(uid):
                sink.notes.append((item.name.as_posix(), f"the same image as {same}; synthesized once"))
            else:
                named = {slots[role]: _file_for(path, item, slots[role]) for role, path in (others or {}).items()}
                missing = [slot.role for slot, path in named.items() if path is None]
                sink.notes += [(item.name.as_posix(), f"no file for {role}; made without") for role in missing]
                perform(order, _given({first: item.path, **_there(named)}, order, chosen), sink)
                done_before |= {uid: item.name.as_posix()} if uid else {}
        except MammoSynthError as error:
            refused.append((item.name.as_posix(), str(error)))
        if progress is not None:
            progress(done, len(found), item.name.as_posix())
    return BatchReport(tuple(sink.written), tuple(refused), skipped, tuple(sink.notes), tuple(sink.warnings), sink.kept)


def _there(files: Mapping[Slot, Path | None]) -> dict[Slot, Path]:
    return {slot: path for slot, path in files.items() if path is not None}


def _given(files: Mapping[Slot, Path], order: Order, options: FileOptions) -> dict[str, Given]:
    return {slot.role: Given(path.name, _reader(slot, path, order, options)) for slot, path in files.items()}


def _reader(slot: Slot, path: Path, order: Order, options: FileOptions) -> Callable[[Mapping[str, Any]], Any]:
    settings = order.settings
    if slot.kind is SlotKind.IMAGE:
        return lambda _: read_image(
            path,
            view_position=settings.view_position,
            image_laterality=settings.image_laterality,
            accept_modalities=options.accept_modalities,
        )
    if slot.kind is SlotKind.LABEL_MAP and slot.on is not None:
        on = slot.on
        return lambda read: mask_as_first_class(read_label_map(path, image=read.get(on), classes=slot.classes))
    if slot.kind is SlotKind.LABEL_MAP:
        return lambda _: read_label_map(path, classes=slot.classes)
    return lambda _: _read_json(path)


def _read_json(path: Path) -> Any:
    try:
        with open_regular(path) as file:
            return json.loads(file.read())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidParameterError(f"{path.name}: is no readable JSON ({error}); repair it") from error


def _file_for(path: Path, item: FoundImage, slot: Slot) -> Path | None:
    """The file of another slot that belongs to an input; None if a folder has none and it is not required."""
    if not path.is_dir():
        return path
    stem = stem_of(item.path)
    files = sorted(each for each in path.iterdir() if stem in (stem_of(each), each.stem))
    if not files and not slot.required:
        return None
    if not files:
        raise InvalidParameterError(
            f"input '{slot.role}': {path.name} holds no file named {stem}, expected one for each input; add it"
        )
    return files[0]


def find_images(inputs: Sequence[Path], output: Path) -> tuple[list[FoundImage], int]:
    """Every input once, in the order asked for; and how many files in folders are hidden or no images.

    Args:
        inputs: Files, and folders, which are searched through.
        output: Folder for the results, in which none is looked for.
    """
    found: dict[Path, FoundImage] = {}
    skipped = 0
    for asked in inputs:
        if not asked.is_dir():
            found.setdefault(asked.resolve(), FoundImage(asked, Path(asked.name)))
            continue
        for path in sorted(asked.rglob("*")):
            if not path.is_file() or output.resolve() in path.resolve().parents and not _is_within(asked, output):
                continue
            name = path.relative_to(asked)
            if any(part.startswith(".") for part in name.parts) or not _is_image(path):
                skipped += 1
            else:
                found.setdefault(path.resolve(), FoundImage(path, name))
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


def _sop_instance_uid(path: Path) -> str:
    """Of a DICOM file; "" of others, and of one that cannot be read: reading all of it says why."""
    try:
        if format_of_file(path) is not FileFormat.DICOM:
            return ""
        with open_regular(path) as file:
            return text_of(parse_instance(file, path.name, stop_before_pixels=True), "SOPInstanceUID")
    except (OSError, UnreadableImageError):
        return ""


class _Files:
    """Where results of files go: beside nothing that is an input or was written in this run."""

    def __init__(self, output: Path, options: FileOptions, taken: set[Path]) -> None:
        self.item: FoundImage
        self.written: list[Path] = []
        self.notes: list[tuple[str, str]] = []
        self.warnings: list[tuple[str, str]] = []
        self.kept = 0
        self._output, self._options, self._taken = output, options, taken
        self._run = new_uid()
        self._numbers: dict[str, set[int]] = {}

    def find(self, work: Work) -> list[Path] | None:
        """The results that are there already, if they are to be kept."""
        if not self._options.skip_existing:
            return None
        try:
            ending = self._ending()
        except OSError:
            return None  # reading it says why
        targets = [self._target(work.order.bundle.task.name, role, ending) for role in work.roles]
        if not all(target.is_file() for target in targets):
            return None
        self._taken.update(target.resolve() for target in targets)
        self.kept += len(targets)
        return targets

    def store(self, work: Work, result: Result) -> list[Path]:
        """Write every output as a file."""
        name = self.item.name.as_posix()
        self.warnings += [(name, warning) for warning in result.provenance.warnings]
        ending = self._ending()
        targets = [self._target(result.task.name, output.role, ending) for output in result.outputs]
        if ENDINGS[ending] is FileFormat.DICOM:
            self._write_dicom(work, result, targets)
        else:
            for output, target in zip(result.outputs, targets, strict=True):
                self._write(output, result, target, marked=work.order.settings.burned_in_mark)
        self.written += targets
        self._taken.update(target.resolve() for target in targets)
        if self._options.file_format == SAME and ENDINGS.get(ending_of(self.item.path)) is FileFormat.JPEG:
            self.notes.append((name, f"written as {targets[0].name}, because JPEG does not hold 16 bits."))
        return targets

    def _instance_number(self, series: str, header: Any) -> int:
        """The source's own, unless another instance of the new series has it."""
        taken = self._numbers.setdefault(series, set())
        wanted = (integer_of(header, "InstanceNumber") if header is not None else None) or 1
        number = wanted if wanted not in taken else max(taken) + 1
        taken.add(number)
        return number

    def _ending(self) -> str:
        """The ending of a result's name."""
        path, file_format = self.item.path, self._options.file_format
        if file_format != SAME:
            return ENDING_OF_FORMAT[file_format]
        kind = format_of_file(path)
        if kind is FileFormat.DICOM:
            return ".dcm"
        if kind is FileFormat.JPEG:
            return ".png"
        ending = ending_of(path)
        return ending if ENDINGS.get(ending) is kind else ENDING_OF_FORMAT.get(str(kind), ".png")

    def _target(self, task: str, role: str, ending: str) -> Path:
        folder = self._output / self.item.name.parent
        suffix = f"_{task}" if role == IMAGE else f"_{task}_{role}"
        number, name = 1, f"{stem_of(self.item.path)}{suffix}{ending}"
        # Some file systems ignore case.
        names = {path.name.casefold() for path in self._taken if path.parent == folder.resolve()}
        while name.casefold() in names:
            number += 1
            name = f"{stem_of(self.item.path)}{suffix}_{number}{ending}"
        return folder / name

    def _write(self, output: Output, result: Result, target: Path, *, marked: bool) -> None:
        image = result.image
        if isinstance(output.value, LabelMap):
            write_label_map(target, output.value, image)
            return
        on_source = result.task.placement is Placement.ON_SOURCE
        like = result.source if on_source and result.source is not None else output.value
        pixels = burn_in_mark(output.value.pixels, like) if marked else output.value.pixels
        write_image(target, pixels, like, self.item.path if on_source else None)

    def _write_dicom(self, work: Work, result: Result, targets: Sequence[Path]) -> None:
        source = result.source
        on_archive = source is not None and source.header is not None
        if not on_archive and result.task.placement is not Placement.NEW_STUDY:
            raise OutputError(
                f"{self.item.path.name}: no DICOM can be derived from a file without a DICOM header; choose another "
                "format."
            )
        header = source.header if source is not None else None
        series = "" if header is None else text_of(header, "SeriesInstanceUID") or text_of(header, "StudyInstanceUID")
        image = result.image
        # One series per view, because a series has one description.
        view = [series or targets[0].as_posix(), str(image.image_laterality), str(image.view_position)]

        def identify(kind: str, role: str) -> str:
            own = [targets[0].as_posix()] if kind == "instance" else []
            return synthesized_uid(self._run, kind, role, *view, *own)

        instances = derive_instances(
            result.outputs,
            result.provenance,
            result.task.placement,
            source,
            identify=identify,
            burned_in_mark=work.order.settings.burned_in_mark,
            instance_number=self._instance_number(identify("series", IMAGE), header),
        )
        for dataset, target in zip(instances, targets, strict=True):
            is_compressed = self._options.compress and dataset.Modality != "SEG"
            write_instance(compress_instance(dataset) if is_compressed else dataset, target)
