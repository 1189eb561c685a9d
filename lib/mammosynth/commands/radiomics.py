"""`mammosynth radiomics`: the features of what is drawn on an image."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammosynth.commands.options import write_report


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "radiomics",
        help="measure the radiomic features of a lesion",
        description="102 features of pyradiomics (first order, shape, GLCM, GLRLM, GLSZM, GLDM, NGTDM) of all that a "
        "mask shows on an image, at fixed pixel size and bin width.",
    )
    parser.add_argument("image", type=Path, metavar="IMAGE", help="mammogram of any format")
    parser.add_argument("mask", type=Path, metavar="MASK", help="what is drawn on it: PNG, NRRD, NIfTI, DICOM SEG")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from mammosynth.errors import UnsupportedImageError
    from mammosynth.files import read_image, read_label_map
    from mammosynth.radiomics import SETTINGS, extract_radiomics

    image = read_image(args.image, accept_generated=True)
    drawn = read_label_map(args.mask, image=image)
    try:
        features = extract_radiomics(image.pixels, drawn.labels > 0, image.pixel_spacing_mm)
    except UnsupportedImageError as error:
        raise UnsupportedImageError(f"{args.mask.name}: {error}") from None
    for name, value in features.items():
        print(f"{name:48s} {value:.6g}")
    write_report(
        args.json, {"image": args.image.name, "mask": args.mask.name, "settings": SETTINGS, "features": features}
    )
    return 0
