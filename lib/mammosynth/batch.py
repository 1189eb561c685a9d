"""Synthesis of files and folders: every image that can be used is done, every other one is reported with its reason."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from mammosynth.dicom.attributes import integer_of, items_of, text_of
from mammosynth.dicom.bounded import open_regular, parse_instance
from mammosynth.dicom.compress import compress_instance
from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.generated import synthesized_uid
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.dicom.write import new_uid, write_instance
from mammosynth.errors import InvalidParameterError, MammoSynthError, OutputError, UnreadableImageError
from mammosynth.files import mask_as_first_class, read_image, read_label_map, write_image, write_label_map
from mammosynth.files.find import FoundImage, find_images, real_path
from mammosynth.files.formats import ENDINGS, FileFormat, ending_of, format_of_file, stem_of
from mammosynth.journey import SEEDS, Given, Order, Work, perform
from mammosynth.label_map import LabelMap
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
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
        remarks: (name, sentence) of what is told of inputs that change no image.
    """

    written: tuple[Path, ...]
    refused: tuple[tuple[str, str], ...]
    skipped: int
    notes: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...] = ()
    kept: int = 0
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Run:
    """What tells the results of one run from those of another; in the same run the same order gives the same bytes.

    Attributes:
        uid: New UIDs follow from it.
        created: When it began; every result says so.
    """

    uid: str = field(default_factory=new_uid)
    created: datetime = field(default_factory=lambda: datetime.now().astimezone())


def synthesize_files(
    inputs: Sequence[Path],
    output: Path,
    order: Order,
    *,
    others: Mapping[str, Path] | None = None,
    options: FileOptions | None = None,
    engine: Engine | None = None,
    run: Run | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> BatchReport:
    """Synthesize from files and folders into a folder, keeping matrix, geometry and subfolders.

    The files that are named fill the first slot of the task. Results are named `<stem>_<task>` with the ending of their
    format, what belongs to them `<stem>_<task>_<role>`; of two inputs of one name the second's get `_2`. No input is
    ever overwritten; results of an earlier run are. The output folder is not searched for inputs. The DICOM instances
    of one view of one source series make one new series. An image that is there twice is done once.

    Args:
        inputs: Files, and folders, which are searched through.
        output: Where results go; made if missing.
        order: Model, settings and parameters, the same for every file; but where a task starts from no image, its seed
            is that of the first file, and those that follow have the next ones.
        others: Of the other slots by role: a file for all inputs, or a folder with one of the same stem for each.
        options: How files are read and written.
        engine: Where the work is done, which must see the same folders; None: in this process.
        run: Which run it is; None: a new one.
        progress: Called with (files done, files in all, name) after each file.

    Returns:
        What was written and what was refused.

    Raises:
        InvalidParameterError: If a role of `others` is unknown, or the model refuses a parameter.
        OutputError: If the output folder cannot be made, or is full.
        DataError: If workers died.
    """
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
    of_slots = {slots[role]: path for role, path in (others or {}).items()}
    common = _Common(output, order, of_slots, options or FileOptions(), run or Run())
    outcomes: dict[int, _Outcome] = {}
    with closing((engine or LocalEngine(1)).run(partial(_synthesize, common), _plan(found, common))) as finished:
        for same, made in finished:
            for planned, outcome in zip(same, made, strict=True):
                outcomes[planned.number] = outcome
                if progress is not None:
                    progress(len(outcomes), len(found), planned.item.name.as_posix())
    return _report([outcomes[number] for number in sorted(outcomes)], skipped)


@dataclass(frozen=True, eq=False)
class _Common:
    """What all orders of a run have in common."""

    output: Path
    order: Order
    others: Mapping[Slot, Path]
    options: FileOptions
    run: Run


@dataclass(frozen=True)
class _Planned:
    """One input: its number among all, and what else depends on those before it.

    Attributes:
        number: Its place.
        item: The file.
        ending: Of the names of its results, with what keeps them from being anybody else's.
        instance_number: Of a DICOM result; no other of its source's series has it.
    """

    number: int
    item: FoundImage
    ending: str
    instance_number: int

    def target(self, output: Path, task: str, role: str) -> Path:
        """Where a result goes."""
        suffix = f"_{task}" if role == IMAGE else f"_{task}_{role}"
        return output / self.item.name.parent / f"{stem_of(self.item.path)}{suffix}{self.ending}"


@dataclass(frozen=True)
class _Outcome:
    """What became of one input; see `BatchReport`."""

    written: tuple[Path, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    kept: int = 0
    remarks: tuple[tuple[str, str], ...] = ()


def _report(outcomes: Sequence[_Outcome], skipped: int) -> BatchReport:
    def all_of(name: str) -> tuple[Any, ...]:
        return tuple(each for outcome in outcomes for each in getattr(outcome, name))

    kept = sum(outcome.kept for outcome in outcomes)
    return BatchReport(
        all_of("written"),
        all_of("refused"),
        skipped,
        all_of("notes"),
        all_of("warnings"),
        kept,
        all_of("remarks"),
    )


def _plan(found: Sequence[FoundImage], common: _Common) -> list[tuple[_Planned, ...]]:
    """Orders: each input by itself, but files of one image together, of which the first that can be used is done."""
    names, numbers = _Names(common, [item.path for item in found]), _InstanceNumbers()
    orders: dict[str, list[_Planned]] = {}
    for number, item in enumerate(found):
        header = _header(item.path)
        planned = _Planned(number, item, names.ending_for(item), numbers.number_for(header))
        orders.setdefault(text_of(header, "SOPInstanceUID") or f"file {number}", []).append(planned)
    return [tuple(same) for same in orders.values()]


def _synthesize(common: _Common, same: tuple[_Planned, ...]) -> list[_Outcome]:
    """Carry out an order: results of the first file that can be used; of every file, what became of it."""
    outcomes: list[_Outcome] = []
    done = ""
    for planned in same:
        name = planned.item.name.as_posix()
        sink = _Files(common, planned)
        try:
            if done:
                sink.notes.append(f"the same image as {done}; synthesized once")
            else:
                with one_thread():  # what a sum over several is depends on their number
                    perform(_order_for(planned, common.order), _given(planned.item, common, sink.notes), sink)
                done = name
        except MammoSynthError as error:
            outcomes.append(_Outcome(refused=((name, str(error)),), notes=sink.named(sink.notes)))
        else:
            notes, warnings, remarks = (sink.named(each) for each in (sink.notes, sink.warnings, sink.remarks))
            outcomes.append(_Outcome(tuple(sink.written), (), notes, warnings, sink.kept, remarks))
    return outcomes


def _order_for(planned: _Planned, order: Order) -> Order:
    """The order of one file; what is drawn for a source depends on its pixels, without one on the seed alone."""
    if order.bundle.task.source_role is not None:
        return order
    settings = order.settings
    return replace(order, settings=settings.changed(seed=(settings.seed + planned.number) % SEEDS))


def _given(item: FoundImage, common: _Common, notes: list[str]) -> dict[str, Given]:
    """The inputs of one image; a note for each that is missing and may be."""
    files = {common.order.bundle.slots[0]: item.path}
    for slot, path in common.others.items():
        if (file := _file_for(path, item, slot)) is not None:
            files[slot] = file
        else:
            notes.append(f"no file for {slot.role}; made without")
    return {slot.role: Given(path.name, _reader(slot, path, common)) for slot, path in files.items()}


def _reader(slot: Slot, path: Path, common: _Common) -> Callable[[Mapping[str, Any]], Any]:
    settings = common.order.settings
    if slot.kind is SlotKind.IMAGE:
        return lambda _: read_image(
            path,
            view_position=settings.view_position,
            image_laterality=settings.image_laterality,
            accept_modalities=common.options.accept_modalities,
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


def _header(path: Path) -> Dataset:
    """Of a DICOM file, without pixels; empty of others, and of one that cannot be read: reading all of it says why."""
    try:
        if format_of_file(path) is FileFormat.DICOM:
            with open_regular(path) as file:
                return parse_instance(file, path.name, stop_before_pixels=True)
    except (OSError, UnreadableImageError):
        pass
    return Dataset()


class _Names:
    """Of results: beside nothing that is an input, or the result of another one."""

    def __init__(self, common: _Common, inputs: Sequence[Path]) -> None:
        self._common = common
        self._roles = common.order.bundle.synthesizer.outputs(common.order.parameters)
        self._taken = {self._key(path) for path in inputs}

    def ending_for(self, item: FoundImage) -> str:
        """That of the format, after the first number with which no name of a result is taken."""
        try:
            ending = _ending(item.path, self._common.options)
        except OSError:
            return ""  # reading it says why
        for number in itertools.count(1):
            planned = _Planned(0, item, f"_{number}{ending}" if number > 1 else ending, 0)
            task = self._common.order.bundle.task.name
            keys = {self._key(planned.target(self._common.output, task, role)) for role in self._roles}
            if not keys & self._taken:
                self._taken |= keys
                return planned.ending
        raise AssertionError  # there is always another number

    @staticmethod
    def _key(path: Path) -> tuple[Path, str]:
        return real_path(path.parent), path.name.casefold()  # some file systems ignore case


class _InstanceNumbers:
    """Of results: the source's own, unless another of its series has it."""

    def __init__(self) -> None:
        self._taken: dict[str, set[int]] = {}

    def number_for(self, header: Dataset) -> int:
        """The number of the result of an image."""
        taken = self._taken.setdefault(_series_of(header), set())
        wanted = integer_of(header, "InstanceNumber") or 1
        number = wanted if wanted not in taken else max(taken) + 1
        taken.add(number)
        return number


def _series_of(header: Dataset) -> str:
    return text_of(header, "SeriesInstanceUID") or text_of(header, "StudyInstanceUID")


def _ending(path: Path, options: FileOptions) -> str:
    """The ending of a result's name."""
    if options.file_format != SAME:
        return ENDING_OF_FORMAT[options.file_format]
    kind = format_of_file(path)
    if kind is FileFormat.DICOM:
        return ".dcm"
    if kind is FileFormat.JPEG:
        return ".png"
    ending = ending_of(path)
    return ending if ENDINGS.get(ending) is kind else ENDING_OF_FORMAT.get(str(kind), ".png")


class _Files:
    """The sink of one input; see `journey.Sink`."""

    def __init__(self, common: _Common, planned: _Planned) -> None:
        self.written: list[Path] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        self.kept = 0
        self._common, self._planned = common, planned
        self._options, self._item = common.options, planned.item

    def named(self, messages: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Messages, each with the name of the input."""
        return tuple((self._item.name.as_posix(), message) for message in messages)

    def find(self, work: Work) -> list[Path] | None:
        """The results that are there already, if they are to be kept."""
        if not self._options.skip_existing or not self._planned.ending:
            return None
        targets = self._targets(work.roles)
        if not all(target.is_file() for target in targets):
            return None
        if self._is_of_another(targets[0]):
            raise OutputError(
                f"{targets[0].name} is there already, and was made of another image; write into another folder, or "
                "leave out --skip-existing to replace it"
            )
        self.kept += len(targets)
        return targets

    def store(self, work: Work, result: Result, known: list[Path] | None) -> list[Path]:
        """Write every output as a file, unless all are kept."""
        self.remarks += [remark.sentence for remark in result.remarks]
        if known is not None:
            return known
        run = self._common.run
        result = replace(result, provenance=replace(result.provenance, created=run.created))
        self.warnings += result.provenance.warnings
        targets = self._targets([output.role for output in result.outputs])
        if ENDINGS[ending_of(targets[0])] is FileFormat.DICOM:
            self._write_dicom(work, result, targets)
        else:
            for output, target in zip(result.outputs, targets, strict=True):
                self._write(output, result, target, marked=work.order.settings.burned_in_mark)
        self.written += targets
        if self._options.file_format == SAME and ENDINGS.get(ending_of(self._item.path)) is FileFormat.JPEG:
            self.notes.append(f"written as {targets[0].name}, because JPEG does not hold 16 bits.")
        return targets

    def _is_of_another(self, target: Path) -> bool:
        """Whether a result that is there says that it was made of another image; only DICOM says so."""
        if self._common.order.bundle.task.source_role is None:
            return False
        sources = [
            text_of(each, "ReferencedSOPInstanceUID") for each in items_of(_header(target), "SourceImageSequence")
        ]
        own = text_of(_header(self._item.path), "SOPInstanceUID") if sources else None
        return bool(own) and own not in sources

    def _targets(self, roles: Sequence[str]) -> list[Path]:
        task = self._common.order.bundle.task.name
        return [self._planned.target(self._common.output, task, role) for role in roles]

    def _write(self, output: Output, result: Result, target: Path, *, marked: bool) -> None:
        image = result.image
        if isinstance(output.value, LabelMap):
            write_label_map(target, output.value, image)
            return
        on_source = result.task.placement is Placement.ON_SOURCE
        like = result.source if on_source and result.source is not None else output.value
        pixels = burn_in_mark(output.value.pixels, like) if marked else output.value.pixels
        write_image(target, pixels, like, self._item.path if on_source else None)

    def _write_dicom(self, work: Work, result: Result, targets: Sequence[Path]) -> None:
        source = result.source
        on_archive = source is not None and source.header is not None
        if not on_archive and result.task.placement is not Placement.NEW_STUDY:
            raise OutputError(
                f"{self._item.path.name}: no DICOM can be derived from a file without a DICOM header; choose another "
                "format."
            )
        image, name = result.image, targets[0].relative_to(self._common.output).as_posix()
        series = "" if source is None or source.header is None else _series_of(source.header)
        # One series per view, because a series has one description.
        view = [series or name, str(image.image_laterality), str(image.view_position)]

        def identify(kind: str, role: str) -> str:
            own = [name] if kind == "instance" else []
            return synthesized_uid(self._common.run.uid, kind, role, *view, *own)

        instances = derive_instances(
            result.outputs,
            result.provenance,
            result.task.placement,
            source,
            identify=identify,
            burned_in_mark=work.order.settings.burned_in_mark,
            instance_number=self._planned.instance_number,
        )
        for dataset, target in zip(instances, targets, strict=True):
            is_compressed = self._options.compress and dataset.Modality != "SEG"
            write_instance(compress_instance(dataset) if is_compressed else dataset, target)
