"""`mammosynth synthesize`: images from files and folders."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mammosynth.commands.options import add_device, add_set, add_task, check_device, named_texts, open_bundle
from mammosynth.errors import InvalidParameterError
from mammosynth.progress import counted
from mammosynth.task import Rendering, task_named
from mammosynth.terms import ImageLaterality, ViewPosition

FORMATS = ("same", "dicom", "png", "tiff", "nrrd", "nifti")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "synthesize",
        help="synthesize images from files or folders",
        description="Synthesize from DICOM, PNG, JPEG, TIFF, NRRD or NIfTI files of any size. A file that cannot be "
        "used does not stop the others; all refusals are reported at the end, with exit status 1.",
    )
    add_task(parser)
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="file or folder")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    add_set(parser, "--input", "what else the task starts from, ROLE=FILE for all or ROLE=DIR with a file for each")
    parser.add_argument("--bundle", metavar="NAME", help="model bundle, a name in the model zoo or a folder (./NAME)")
    add_device(parser)
    parser.add_argument("--rendering", choices=[str(r) for r in Rendering], help="(default: the model's first)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from mammosynth.batch import FileOptions, synthesize_files
    from mammosynth.journey import Order

    check_device(args.device)
    task = task_named(args.task)
    values = {name: _value(text) for name, text in named_texts(args.parameter, "--parameter").items()}
    common = {
        "rendering": args.rendering,
        "seed": args.seed,
        "burned_in_mark": not args.no_mark,
        "view_position": args.view_position,
        "image_laterality": args.image_laterality,
    }
    if twice := sorted(set(values) & set(common)):
        raise InvalidParameterError(f"--parameter {twice[0]}: give it as --{twice[0].replace('_', '-')}")
    order = Order.parse(open_bundle(args.bundle, task, args.device), {**values, **common})
    others = {role: Path(text) for role, text in named_texts(args.input, "--input").items()}
    options = FileOptions(args.format, args.skip_existing, args.compress, tuple(args.accept_modality))
    with counted(task.name, "file") as progress:
        report = synthesize_files(args.inputs, args.output, order, others=others, options=options, progress=progress)
    kept = f", {report.kept} kept" if report.kept else ""
    print(
        f"{len(report.written)} written to {args.output}{kept}, {len(report.refused)} refused, "
        f"{report.skipped} no images"
    )
    if not (report.written or report.refused or report.kept):
        print("  no image files in what was named; name files or folders that hold some", file=sys.stderr)
    for name, message in (*report.warnings, *report.notes, *report.refused):
        print(f"  {message if name in message else f'{name}: {message}'}", file=sys.stderr)
    return 0 if (report.written or report.kept) and not report.refused else 1


def _value(text: str) -> Any:
    """A value of a parameter; what is no JSON, such as a word, is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
