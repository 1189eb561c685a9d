"""The commands that need the platform, for the entry-point group `mammosynth.commands`.

Only their options stand here: the platform takes seconds to import, and `mammosynth --help` must not wait for it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_serve(subparsers: Any) -> None:
    """Contribute `serve`."""
    description = "Archive, MONAI Label app, gateway and viewer in one foreground process."
    parser = subparsers.add_parser("serve", help="serve synthesis to OHIF and 3D Slicer", description=description)
    _add_server_options(parser)
    parser.set_defaults(run=_serve)


def add_demo(subparsers: Any) -> None:
    """Contribute `demo`."""
    description = "A generated exam, a server over it, one synthesis through the server, and the address that shows it."
    parser = subparsers.add_parser("demo", help="the main job on a generated exam", description=description)
    _add_server_options(parser)
    parser.add_argument("--once", action="store_true", help="stop after the synthesis instead of serving until Ctrl-C")
    parser.add_argument(
        "--pixel-mm", type=float, default=0.1, help="pixel spacing of the demo images (default: %(default)s)"
    )
    parser.set_defaults(run=_demo, data_dir=Path(".demo"))


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that starts a server."""
    parser.add_argument(
        "--studies",
        metavar="DIR|URL",
        help="folder of DICOM files, or of PNG/NRRD/NIfTI images, or the DICOMweb root of an archive such as "
        "http://127.0.0.1:8042/dicom-web (default: DATA_DIR/studies)",
    )
    parser.add_argument("--data-dir", type=Path, default=Path("mammosynth-data"), help="jobs, caches, trained models")
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
        "--archive-user",
        metavar="USER",
        help="user of the archive at --studies URL; its password is "
        "read from the environment variable MAMMOSYNTH_ARCHIVE_PASSWORD",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")


def _serve(args: argparse.Namespace) -> int:
    from monailabel_app.serve import parse_options, serve

    return serve(parse_options(args))


def _demo(args: argparse.Namespace) -> int:
    from monailabel_app.demo import run_demo

    return run_demo(args)
