"""`mammosynth lesions`: the contrast of drawn lesions, with the interval that a model promises."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mammosynth.atomic import write_json
from mammosynth.errors import InvalidParameterError
from mammosynth.terms import ViewPosition


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "lesions",
        help="tell the synthesized contrast of drawn lesions, with its 90 %% interval",
        description="How bright each lesion that is drawn on a low-energy image would be after recombination, lesion "
        "minus the tissue around it in grey values from 0 to 1, and the interval that holds the real value nine times "
        "of ten, on average. One that holds 0 says that the lesion may not enhance at all.",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="low-energy mammogram of any format")
    parser.add_argument("mask", type=Path, metavar="MASK", help="lesions drawn on it: PNG, NRRD, NIfTI, DICOM SEG")
    parser.add_argument("--bundle", metavar="NAME", help="contrast model (default: the first one)")
    parser.add_argument(
        "--view-position", choices=[str(v) for v in ViewPosition], help="for files that do not say their view"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from mammosynth.bundle import default_bundle, find_bundle, load_bundle
    from mammosynth.files import read_image, read_label_map
    from mammosynth.tasks.contrast.lesions.intervals import in_words
    from mammosynth.tasks.contrast.lesions.told import intervals_of
    from mammosynth.tasks.contrast.specification import CONTRAST
    from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer

    view = ViewPosition(args.view_position) if args.view_position else None
    image = read_image(args.image, view_position=view)
    drawn = read_label_map(args.mask, image=image)
    bundle = load_bundle(find_bundle(args.bundle) if args.bundle else default_bundle(CONTRAST))
    if not isinstance(bundle.synthesizer, ContrastSynthesizer):
        raise InvalidParameterError(f"--bundle {bundle.name}: promises no intervals of contrast; choose another")
    found = intervals_of(bundle.synthesizer, image, drawn)
    for each in found:
        print(in_words(each))
    if args.json:
        model = {"name": bundle.name, "version": bundle.version, "weights_sha256": bundle.weights_sha256}
        lesions = [asdict(each) for each in found]
        write_json(args.json, {"image": args.image.name, "mask": args.mask.name, "model": model, "lesions": lesions})
    return 0
