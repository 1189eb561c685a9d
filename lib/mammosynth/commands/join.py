"""`mammosynth join`: one model of several that were trained on the same data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "join",
        help="make one model of several that were trained on the same data",
        description="Join bundles that see the same input and learned from the same data, but differ by their seed "
        "or their network, into an ensemble: its image is their mean, and where they disagree is its uncertainty.",
    )
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="folders that training wrote")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the new bundle")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from mammosynth.training.ensemble import join_members

    join_members(args.bundles, args.output)
    print(f"Wrote {args.output}: {len(args.bundles)} bundles joined")
    return 0
