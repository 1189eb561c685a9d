"""`mammosynth serve`: synthesis for OHIF and 3D Slicer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammosynth.commands.options import add_device
from mammosynth.errors import DatabaseError
from mammosynth.imports import imports_that_stay


def add(commands: Any) -> None:
    """Declare the command."""
    description = "Archive, MONAI Label app, gateway and viewer in one foreground process."
    parser = commands.add_parser("serve", help="serve synthesis to OHIF and 3D Slicer", description=description)
    add_server_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    with imports_that_stay():
        from monailabel_app.serve import parse_options, serve

    return serve(parse_options(args))


def add_places(parser: argparse.ArgumentParser) -> None:
    """Where a server keeps what it must not lose."""
    parser.add_argument("--data-dir", type=Path, default=Path("mammosynth-data"), help="jobs, caches, trained models")
    parser.add_argument(
        "--reader-studies",
        type=_place,
        metavar="PLACE",
        help="their store: a SQLite file, or postgresql://USER:PASSWORD@HOST/NAME (default: a file in --data-dir)",
    )
    parser.add_argument(
        "--jobs",
        type=_place,
        metavar="PLACE",
        help="the same for jobs; servers with the same postgresql:// share one queue (default: a file in --data-dir)",
    )


def _place(text: str) -> str | Path:
    from mammosynth.database import place_of

    try:
        return place_of(text)
    except DatabaseError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that starts a server."""
    parser.add_argument(
        "--studies",
        metavar="DIR|URL",
        help="folder of DICOM files, or of PNG/NRRD/NIfTI images, or the DICOMweb root of an archive such as "
        "http://127.0.0.1:8042/dicom-web (default: DATA_DIR/studies)",
    )
    add_places(parser)
    parser.add_argument(
        "--leave",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="go on for so long after being told to stop, while /ready already says no (default: %(default)g)",
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="of the log on the terminal")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="who may sign in; mammosynth token makes it (default: everybody on this machine)",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME[:PORT]",
        help="further name under which users reach this server, for instance behind a reverse proxy",
    )
    parser.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="run networks in workers on this Ray cluster, as many jobs at once (default: one at a time, here)",
    )
    parser.add_argument(
        "--ray-workers",
        type=int,
        metavar="N",
        help="how many (default: one per CPU of the cluster; per GPU with --device cuda, of which each keeps one)",
    )
    add_archive_user(parser, "--studies")
    add_device(parser)


def add_archive_user(parser: argparse.ArgumentParser, url_option: str) -> None:
    """As whom an archive is asked."""
    parser.add_argument(
        "--archive-user",
        metavar="USER",
        help=f"user of the archive at {url_option} URL; its password is "
        "read from the environment variable MAMMOSYNTH_ARCHIVE_PASSWORD",
    )
