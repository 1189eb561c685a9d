"""`mammosynth realism`: how well phantoms are told from real images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mammosynth.commands.options import add_engine, chosen_engine, write_report
from mammosynth.errors import InvalidParameterError


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "realism",
        help="measure how well phantoms are told from real images",
        description="Six statistics of low-energy CC views, of phantoms and of the real images of a folder laid out "
        "like CDD-CESM (full/cc_index.csv), and the AUC of classifiers that see them: 0.5 if nothing tells them apart.",
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--split", required=True, action="append", metavar="NAME", help="a value of the column 'split'; repeatable"
    )
    parser.add_argument("--cases", type=int, default=80, metavar="N", help="phantoms (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first phantom (default: %(default)s)")
    add_engine(parser, workers="1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from mammosynth.evaluation.realism import format_realism, phantom_statistics, read_real, realism_report

    engine = chosen_engine(args, workers=1)
    print("Reading the real images ...", flush=True)
    real = read_real(args.data)
    chosen = [image for image in real if image.split in args.split]
    if unknown := set(args.split) - {image.split for image in real}:
        raise InvalidParameterError(
            f"--split is {', '.join(sorted(unknown))}, expected of {', '.join(sorted({i.split for i in real}))}"
        )
    phantoms = list(
        tqdm(phantom_statistics(args.cases, seed=args.seed, engine=engine), "phantoms", args.cases, unit="case")
    )
    reports = {"chosen": realism_report(chosen, phantoms, seed=args.seed)}
    if len(chosen) < len(real):
        reports["all"] = realism_report(real, phantoms, seed=args.seed)
    for name, report in reports.items():
        print(f"\nSplits {', '.join(args.split) if name == 'chosen' else 'all'}: {format_realism(report)}")
    write_report(args.json, reports)
    return 0
