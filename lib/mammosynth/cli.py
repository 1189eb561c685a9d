"""The command line: finds the commands, runs one, prints sentences.

A command is a module in the entry-point group `mammosynth.commands`, so that those that need the platform are found
without this package knowing it.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from mammosynth import __version__
from mammosynth.atomic import is_of_the_disk
from mammosynth.errors import MammoSynthError
from mammosynth.imports import imports_that_stay
from mammosynth.plugins import load_point
from mammosynth.printable import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if everything that was asked for was done; 1 if something was refused or failed; 2 for wrong usage.
    """
    _print_every_name()
    try:
        with imports_that_stay():
            parser = build_parser()
        args = parser.parse_args(arguments)
        return args.run(args)
    except MammoSynthError as error:
        print(f"error: {_lines(str(error))}", file=sys.stderr)
        return 1
    except OSError as error:
        if not is_of_the_disk(error):
            raise
        print(
            f"error: {error.filename or 'the disk'}: {error.strerror}; make room, or write elsewhere", file=sys.stderr
        )
        return 1
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mammosynth"):
            raise
        print(
            f"error: {error.name} is not installed, which this command needs; it comes with the extra `server` (with "
            "`features` for pretrained networks, `ray` for clusters): pip install 'mammosynth[server]'",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _print_every_name() -> None:
    """Let no character that a terminal cannot show, or that is none, end a command when its work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _lines(text: str) -> str:
    """The lines of a message, each as a terminal may have it."""
    return "\n".join(map(printable, text.split("\n")))


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands that are installed."""
    parser = argparse.ArgumentParser(
        prog="mammosynth",
        description="Synthesized mammograms for research. Not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"mammosynth {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for point in sorted(entry_points(group="mammosynth.commands"), key=lambda point: point.name):
        load_point(point).add(commands)
    return parser
