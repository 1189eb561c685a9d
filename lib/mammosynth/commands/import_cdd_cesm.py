"""`mammosynth import-cdd-cesm`: the published archive as pairs to train and evaluate on."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError
from mammosynth.printable import printable
from mammosynth.progress import counted


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "import-cdd-cesm",
        help="prepare the CDD-CESM archive for training and evaluation",
        description="Turn the CDD-CESM archive, as its authors published it (doi 10.7937/29kw-ae92, CC BY 4.0), into "
        "the folder that train and evaluate read: 512 x 512 pixels, one mask per image, registration, splits by "
        "patient. What is refused does not stop the rest; everything refused or odd is listed in import.json.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="holds images and tables, anywhere below")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="absent or empty")
    parser.add_argument(
        "--split-seed",
        type=int,
        metavar="N",
        help="spread patients outside the fixed split over train, val and test (default: they get the split 'other')",
    )
    parser.add_argument(
        "--pathology", action="append", default=[], metavar="NAME", help="malignant, benign or normal (default: all)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from mammosynth.preprocessing.cdd_cesm.import_archive import REPORT, import_cdd_cesm

    if args.workers < 1:
        raise InvalidParameterError(f"--workers is {args.workers}, expected 1 or more")
    with counted("import", "pair") as progress:
        report = import_cdd_cesm(
            args.source,
            args.output,
            split_seed=args.split_seed,
            pathologies=args.pathology,
            workers=args.workers,
            progress=progress,
        )
    found = ", ".join(f"{count} {split}" for split, count in report.pairs.items())
    print(
        f"{count_of(sum(report.pairs.values()), 'pair')} ({found}), "
        f"{count_of(report.breasts, 'breast')} with both views in {args.output}"
    )
    print(f"{len(report.refused)} refused, {len(report.odd)} odd; all are listed in {REPORT}")
    print("Whoever uses these data must repeat the citations in dataset_citation.txt.")
    for message in (*report.refused, *report.odd):
        print(f"  {printable(message)}", file=sys.stderr)
    return 1 if report.refused else 0
