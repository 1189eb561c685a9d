"""`mammosynth labels`: label maps of images, or drawn anew."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mammosynth.errors import InvalidParameterError
from mammosynth.preprocessing.look import DENSITIES
from mammosynth.printable import printable
from mammosynth.progress import counted
from mammosynth.tasks.mask.classes import LESION_CLASSES
from mammosynth.terms import ViewPosition

_FORMATS = ("png", "nifti", "nrrd", "seg")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "labels",
        help="make label maps of the breast, of images or new ones",
        description="Label maps with 0 background, 1 adipose, 2 fibroglandular, 3 skin, 4 pectoral muscle, 5 nipple, "
        "6 benign lesion, 7 malignant lesion, 8 calcification; smooth, as a person could draw them. With images: what "
        "is in them, files named by their stems. With --draw: new breasts, of distributions fitted to real ones. A "
        "file that cannot be used does not stop the others; refusals are reported at the end, with exit status 1.",
    )
    parser.add_argument("inputs", nargs="*", type=Path, metavar="IMAGE", help="file or folder")
    parser.add_argument("--draw", type=int, metavar="N", help="draw so many new label maps instead")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--lesions",
        metavar="DIR|K",
        help="of images: folder of drawn lesions, a file of each image's stem, either the numbers 6 to 8, or a mask; "
        "with --draw: how many on each",
    )
    parser.add_argument(
        "--lesion-class",
        choices=tuple(LESION_CLASSES),
        default="malignant",
        help="of lesions in masks, over 127 of 255 (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first one drawn (default: %(default)s)")
    parser.add_argument("--density", choices=DENSITIES, help="of those drawn (default: as often as in women)")
    parser.add_argument("--view", choices=[str(v) for v in ViewPosition], help="of those drawn (default: both)")
    parser.add_argument(
        "--shape", nargs=2, type=int, default=(512, 400), metavar=("H", "W"), help="drawn: pixels (default: 512 400)"
    )
    parser.add_argument("--format", choices=_FORMATS, default="png", help="seg: of DICOM only (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    if bool(args.inputs) == (args.draw is not None):
        raise InvalidParameterError("labels: name images, or give --draw N, one of the two")
    return _draw(args) if args.draw is not None else _find(args)


def _draw(args: argparse.Namespace) -> int:
    from mammosynth.tasks.mask.labels.write import write_drawn

    if args.draw < 1 or not (args.lesions or "0").isdecimal():
        raise InvalidParameterError(
            f"--draw {args.draw} --lesions {args.lesions}: expected how many to draw, and a number of lesions on each"
        )
    with counted("draw", "map") as progress:
        paths = write_drawn(
            args.draw,
            args.seed,
            args.output,
            density=args.density,
            lesions=int(args.lesions or 0),
            view_position=ViewPosition(args.view) if args.view else None,
            shape=tuple(args.shape),
            file_format=args.format,
            progress=progress,
        )
    print(f"{len(paths)} drawn in {args.output}")
    return 0


def _find(args: argparse.Namespace) -> int:
    from mammosynth.tasks.mask.labels.write import Lesions, write_label_maps

    folder = Path(args.lesions) if args.lesions else None
    if folder is not None and not folder.is_dir():
        raise InvalidParameterError(f"--lesions {args.lesions}: no folder; name one that holds lesion masks")
    with counted("labels", "image") as progress:
        written = write_label_maps(
            args.inputs,
            args.output,
            file_format=args.format,
            lesions=Lesions(folder, LESION_CLASSES[args.lesion_class]) if folder else None,
            progress=progress,
        )
    print(
        f"{len(written.paths)} written to {args.output}, {written.with_lesions} with lesions, "
        f"{len(written.refused)} refused"
    )
    if not (written.paths or written.refused):
        print("  no image files in what was named; name files or folders that hold some", file=sys.stderr)
    for message in (*written.warnings, *written.refused):
        print(f"  {printable(message)}", file=sys.stderr)
    return 0 if written.paths and not written.refused else 1
