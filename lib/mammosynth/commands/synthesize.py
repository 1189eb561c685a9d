"""`mammosynth synthesize`: images from files and folders."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mammosynth.commands.options import (
    add_device,
    add_engine,
    add_set,
    add_task,
    bundle_folder,
    check_device,
    chosen_engine,
    named_texts,
    open_bundle,
)
from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError
from mammosynth.imports import import_monai, imports_that_stay
from mammosynth.plugins import load_point
from mammosynth.printable import printable
from mammosynth.progress import counted
from mammosynth.task import Rendering, SlotKind, TaskSpec, task_named
from mammosynth.terms import ImageLaterality, ViewPosition

_OF_FILES = (
    "inputs",
    "input",
    "masks",
    "rendering",
    "parameter",
    "format",
    "compress",
    "skip_existing",
    "accept_modality",
    "view_position",
    "image_laterality",
    "no_mark",
)
FORMATS = ("same", "dicom", "png", "tiff", "nrrd", "nifti")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "synthesize",
        help="synthesize images from files or folders, or whole data sets",
        description="Synthesize from DICOM, PNG, JPEG, TIFF, NRRD or NIfTI files of any size. A file that cannot be "
        "used does not stop the others; all refusals are reported at the end, with exit status 1. With --cases: a "
        "balanced data set of images that start from nothing; finished cases are kept, so the same command goes on.",
    )
    add_task(parser)
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="file or folder")
    parser.add_argument("--cases", type=int, metavar="N", help="make a data set of N cases instead")
    parser.add_argument("--spec", type=Path, metavar="FILE", help="with --cases: what it holds, YAML or JSON")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where results of files go")
    parser.add_argument(
        "--masks", type=Path, metavar="DIR", help="lesions drawn on the inputs: a file, or a folder of files by stem"
    )
    add_set(parser, "--input", "what else the task starts from, ROLE=FILE for all or ROLE=DIR with a file for each")
    parser.add_argument("--bundle", metavar="NAME", help="model bundle, a name in the model zoo or a folder (./NAME)")
    add_device(parser)
    add_engine(parser, "--jobs", workers="1, and one per core with --cases")
    parser.add_argument("--rendering", choices=[str(r) for r in Rendering], help="(default: the model's first)")
    parser.add_argument(
        "--seed",
        type=int,
        help="of everything random; of several label maps that of the first, the next one for each that follows "
        "(default: 0, or what --spec says)",
    )
    add_set(parser, "--parameter", "of the model; for example uncertainty=true, where the model is an ensemble")
    parser.add_argument("--format", choices=FORMATS, default="same", help="(default: %(default)s)")
    parser.add_argument("--compress", action="store_true", help="write DICOM lossless compressed")
    parser.add_argument("--skip-existing", action="store_true", help="leave results that are there as they are")
    parser.add_argument(
        "--accept-modality",
        action="append",
        default=[],
        metavar="MODALITY",
        help="accept mammograms of this modality, too (CR, SC, ...); repeatable",
    )
    parser.add_argument(
        "--view-position", choices=[str(v) for v in ViewPosition], help="for files that do not say their view"
    )
    parser.add_argument(
        "--image-laterality", choices=[str(v) for v in ImageLaterality], help="for files that do not say their side"
    )
    parser.add_argument("--no-mark", action="store_true", help="leave out the burned-in mark (blinded studies only)")
    defaults = {name: parser.get_default(name) for name in _OF_FILES}
    parser.set_defaults(run=run, of_files=defaults)
    for point in entry_points(group="mammosynth.synthesize"):  # other places than files, which only a platform knows
        load_point(point).add(parser)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    with imports_that_stay():
        import_monai()
        from mammosynth.batch import FileOptions, synthesize_files

    check_device(args.device)
    if args.output is None:
        raise InvalidParameterError("synthesize: --output DIR is missing; name where results go")
    if args.cases is not None:
        return _make_data_set(args)
    if not args.inputs or args.spec is not None:
        raise InvalidParameterError("synthesize: name files or folders, or give --cases N, with --spec")
    order = order_of(args)
    others = {role: Path(text) for role, text in named_texts(args.input, "--input").items()}
    if args.masks:
        others = {_drawn_on_source(order.bundle.task): args.masks, **others}
    engine = chosen_engine(args, workers=1)
    options = FileOptions(args.format, args.skip_existing, args.compress, tuple(args.accept_modality))
    with counted(args.task, "file") as progress:
        report = synthesize_files(
            args.inputs, args.output, order, others=others, options=options, engine=engine, progress=progress
        )
    kept = f", {report.kept} kept" if report.kept else ""
    print(
        f"{len(report.written)} written to {args.output}{kept}, {len(report.refused)} refused, "
        f"{report.skipped} no images"
    )
    for name, sentence in report.remarks:
        print(f"  {printable(f'{name}: {sentence}')}")
    if not (report.written or report.refused or report.kept):
        print("  no image files in what was named; name files or folders that hold some", file=sys.stderr)
    for name, message in (*report.warnings, *report.notes, *report.refused):
        print(f"  {printable(message if name in message else f'{name}: {message}')}", file=sys.stderr)
    return 0 if (report.written or report.kept) and not report.refused else 1


def order_of(args: argparse.Namespace) -> Any:
    """The `Order` that the arguments stand for.

    Raises:
        InvalidParameterError: If a value cannot be used.
    """
    from mammosynth.journey import Order

    task = task_named(args.task)
    values = {name: _value(text) for name, text in named_texts(args.parameter, "--parameter").items()}
    common = {
        "rendering": args.rendering,
        "seed": args.seed,
        "burned_in_mark": not args.no_mark,
        "view_position": args.view_position,
        "image_laterality": args.image_laterality,
    }
    if args.rendering is None:
        common["rendering"] = values.pop("rendering", None)
    if twice := sorted(set(values) & set(common)):
        raise InvalidParameterError(f"--parameter {twice[0]}: give it as --{twice[0].replace('_', '-')}")
    return Order.parse(open_bundle(args.bundle, task, args.device), {**values, **common})


def refuse_others(args: argparse.Namespace, option: str, advice: str, allowed: Collection[str] = ()) -> None:
    """Refuse what is about files beside an option that is not.

    Raises:
        InvalidParameterError: If anything of it was given.
    """
    given = [name for name, default in args.of_files.items() if getattr(args, name) not in (default, [])]
    if other := [name for name in given if name not in allowed]:
        named = ", ".join("inputs" if name == "inputs" else f"--{name.replace('_', '-')}" for name in other)
        raise InvalidParameterError(f"{option} with {named}: {advice}")


def _make_data_set(args: argparse.Namespace) -> int:
    """A data set from a specification; what is said of files stands in it, or has no meaning."""
    task = task_named(args.task)
    refuse_others(args, "--cases", "leave out what is about files, or say it in --spec")
    write = task.load("bulk")
    with counted(task.name, "case") as progress:
        written = write(
            args.output,
            args.cases,
            args.spec,
            bundle=bundle_folder(args.bundle, task),
            device=args.device,
            seed=args.seed,
            engine=chosen_engine(args, workers=None if args.device == "cpu" else 1),
            progress=progress,
        )
    kept = f", {written.kept} kept" if written.kept else ""
    print(
        f"{written.made} made in {args.output}{kept}, {len(written.refused)} refused, "
        f"{count_of(written.sheets, 'contact sheet')}"
    )
    for message in written.refused:
        print(f"  {printable(message)}", file=sys.stderr)
    return 1 if written.refused else 0


def _drawn_on_source(task: TaskSpec) -> str:
    """The role of what is drawn on the source."""
    for slot in task.slots:
        if slot.kind is SlotKind.LABEL_MAP and slot.on is not None and slot.on == task.source_role:
            return slot.role
    raise InvalidParameterError(f"--masks: nothing is drawn on the source of {task.name}; leave it out")


def _value(text: str) -> Any:
    """A value of a parameter; what is no JSON, such as a word, is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
