"""`mammosynth backup` and `mammosynth restore`: jobs and reader studies of a server, in one file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from mammosynth.counts import count_of
from monailabel_app.commands.serve import add_places

_NOT_IN_IT = (
    "Not in it: images (the archive has its own backup), pixels of blinded copies (`mammosynth study blind STUDY` "
    "makes the same again), trained models, tokens and the audit log (copy these files)."
)


def add(commands: Any) -> None:
    """Declare both commands."""
    backup = commands.add_parser(
        "backup", help="write jobs and reader studies of a server into one file", description=_NOT_IN_IT
    )
    backup.add_argument("--output", type=Path, required=True, metavar="FILE", help="where to write")
    restore = commands.add_parser("restore", help="put a backup into a server's databases", description=_NOT_IN_IT)
    restore.add_argument("file", type=Path, metavar="FILE", help="of mammosynth backup")
    for parser, run in ((backup, _back_up), (restore, _restore)):
        add_places(parser)
        parser.set_defaults(run=run)


def _back_up(args: argparse.Namespace) -> int:
    from monailabel_app.backup import back_up, is_there
    from monailabel_app.ownership import own_files

    jobs, studies = _databases(args)
    with own_files():
        counts = back_up(jobs, studies, args.output)
    _say("Wrote", args.output, counts)
    if not is_there(studies):
        sys.stdout.write(f"There is no {studies}: if the server has --reader-studies, name them here, too.\n")
    return 0


def _restore(args: argparse.Namespace) -> int:
    from monailabel_app.backup import restore
    from monailabel_app.ownership import give_to_owner_of, own_files
    from monailabel_app.serve import locked

    args.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with own_files(), locked(args.data_dir):
        counts = restore(args.file, *_databases(args))
        for path in args.data_dir.iterdir():
            give_to_owner_of(args.data_dir, path)
    _say("Restored", args.file, counts)
    return 0


def _databases(args: argparse.Namespace) -> tuple[Path | str, Path | str]:
    return args.jobs or args.data_dir / "jobs.sqlite", args.reader_studies or args.data_dir / "studies.sqlite"


def _say(what: str, file: Path, counts: tuple[int, int]) -> None:
    jobs, studies = counts
    held = f"{count_of(jobs, 'job')}, {count_of(studies, 'reader study', 'reader studies')}"
    sys.stdout.write(f"{what} {file}: {held}\n{_NOT_IN_IT}\n")
