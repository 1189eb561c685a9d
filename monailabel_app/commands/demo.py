"""`mammosynth demo`: the main job on a generated exam."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from monailabel_app.commands.serve import add_server_options


def add(commands: Any) -> None:
    """Declare the command."""
    description = "A generated exam, a server over it, one synthesis through the server, and the address that shows it."
    parser = commands.add_parser("demo", help="the main job on a generated exam", description=description)
    add_server_options(parser)
    parser.add_argument("--once", action="store_true", help="stop after the synthesis instead of serving until Ctrl-C")
    parser.add_argument(
        "--pixel-mm", type=float, default=0.1, help="pixel spacing of the demo images (default: %(default)s)"
    )
    parser.set_defaults(run=run, data_dir=Path(".demo"))


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from monailabel_app.demo import run_demo

    return run_demo(args)
