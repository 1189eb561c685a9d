"""`mammosynth phantom`: phantom patients with known truth."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import Any

from mammosynth.commands.options import add_device, add_engine, check_device, chosen_engine, list_of
from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError
from mammosynth.imports import imports_that_stay
from mammosynth.progress import counted
from mammosynth.terms import ImageLaterality, ViewPosition


def add(commands: Any) -> None:
    """Declare the command."""
    from mammosynth.phantom.parameters import Density, LesionKind, ParenchymalEnhancement, Vendor

    parser = commands.add_parser(
        "phantom",
        help="generate phantom patients with known truth",
        description="Computer-generated patients: low-energy, high-energy and recombined images as DICOM, the truth as "
        "DICOM SEG, and a manifest that reproduces every pixel on CPU. What is not given is drawn from the seed. "
        "Finished cases are kept: after an interruption the same command goes on.",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--cases", type=int, default=1, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the others follow (default: 0)")
    parser.add_argument("--density", choices=[str(d) for d in Density], help="BI-RADS category")
    parser.add_argument(
        "--bpe", choices=[str(b) for b in ParenchymalEnhancement], help="background parenchymal enhancement"
    )
    parser.add_argument("--views", type=list_of(ViewPosition), default="CC,MLO", metavar="CC,MLO")
    parser.add_argument("--sides", type=list_of(ImageLaterality), default="R,L", metavar="R,L")
    parser.add_argument("--pixel-mm", type=float, default=0.4, metavar="0.1|0.4|1.0", help="(default: %(default)s)")
    parser.add_argument(
        "--lesion",
        action="append",
        choices=[*map(str, LesionKind), "none"],
        help="may be given more than once; none: no lesion",
    )
    parser.add_argument("--halo", type=float, default=0.5, metavar="0..1", help="bright rim (default: %(default)s)")
    parser.add_argument("--iodine-in-low-energy", choices=("yes", "no"), default="yes", help="(default: %(default)s)")
    parser.add_argument("--vendor", choices=[str(v) for v in Vendor], help="beams and detector")
    parser.add_argument("--maps", action="store_true", help="write path lengths and true iodine, too (.npz)")
    add_engine(parser, workers="one per core")
    add_device(parser)
    parser.add_argument(
        "--reproduce", type=Path, metavar="MANIFEST", help="make these cases again and compare every pixel"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    check_device(args.device)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read when numpy and torch load: sums over several threads depend on their number
    with imports_that_stay():
        from mammosynth.phantom.clinic.cohort import reproduce_cohort, write_cohort

    if args.cases < 1:
        raise InvalidParameterError(f"--cases is {args.cases}, expected 1 or more")
    engine = chosen_engine(args, workers=None if args.device == "cpu" else 1)
    with counted("phantoms", "case") as progress:
        if args.reproduce:
            found = reproduce_cohort(args.reproduce, args.out, engine=engine, progress=progress)
        else:
            seeds = range(args.seed, args.seed + args.cases)
            manifest = write_cohort(args.out, _cohort_settings(args), seeds, engine=engine, progress=progress)
    if not args.reproduce:
        print(f"{count_of(len(manifest['cases']), 'case')} in {args.out}")
        return 0
    print("\n  ".join(["Not reproduced:", *found]) if found else "Reproduced: every pixel of every file is equal.")
    return 1 if found else 0


def _cohort_settings(args: argparse.Namespace) -> Any:
    from mammosynth.phantom.clinic.case import describe_case
    from mammosynth.phantom.clinic.manifest import CohortSettings, case_parameters

    lesions = args.lesion
    if lesions and "none" in lesions:
        if len(lesions) > 1:
            raise InvalidParameterError(f"--lesion is {', '.join(lesions)}, expected none alone, or kinds of lesions")
        lesions = []
    try:
        parameters = case_parameters(
            {
                "seed": args.seed,
                "density": args.density,
                "lesions": lesions,
                "parenchymal_enhancement": args.bpe,
                "vendor": args.vendor,
                "halo": args.halo,
                "iodine_in_low_energy": args.iodine_in_low_energy == "yes",
                "views": args.views,
                "sides": args.sides,
                "pixel_mm": args.pixel_mm,
            }
        )
        describe_case(parameters)  # refuses what a case passes on
    except ValueError as error:
        raise InvalidParameterError(str(error)) from error
    return CohortSettings(dataclasses.replace(parameters, seed=0), args.maps, args.device)
