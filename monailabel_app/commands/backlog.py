"""`mammosynth synthesize TASK --archive URL --query QUERY --store`: what waits in an archive."""

from __future__ import annotations

import argparse
import sys

from mammosynth.commands.options import check_device, chosen_engine
from mammosynth.commands.synthesize import order_of, refuse_others
from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError
from mammosynth.progress import counted
from monailabel_app.commands.serve import add_archive_user

_OF_SOURCES = ("rendering", "parameter", "view_position", "image_laterality", "no_mark")


def add(parser: argparse.ArgumentParser) -> None:
    """Add options to `synthesize`, and take over where an archive is named."""
    parser.add_argument("--archive", metavar="URL", help="DICOMweb root of an archive, instead of files")
    parser.add_argument(
        "--query",
        metavar="QUERY",
        help="with --archive: which studies, such as 'ModalitiesInStudy=MG&StudyDate=20260101-'",
    )
    parser.add_argument(
        "--store",
        action="store_true",
        help="with --archive: store the results in their studies; without it, only count what would be made",
    )
    add_archive_user(parser, "--archive")
    of_files = parser.get_default("run")
    parser.set_defaults(run=lambda args: run(args) if args.archive else _refuse_alone(args) or of_files(args))


def _refuse_alone(args: argparse.Namespace) -> None:
    if args.query or args.store or args.archive_user:
        raise InvalidParameterError("--query, --store and --archive-user are about an archive; name it: --archive URL")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    from monailabel_app.backlog import parse_query, synthesize_archive
    from monailabel_app.options import archive_credentials
    from monailabel_app.studies import DicomWebStudies

    refuse_others(args, "--archive", "leave out what is about files", _OF_SOURCES)
    if args.output or args.cases is not None or args.spec:
        raise InvalidParameterError("--archive with --output, --cases or --spec: leave these out")
    if not args.archive.startswith(("http://", "https://")):
        raise InvalidParameterError("--archive is no address, expected the DICOMweb root of an archive, http(s)://...")
    if args.query is None:
        raise InvalidParameterError("--archive needs --query, such as 'ModalitiesInStudy=MG&StudyDate=20260101-'")
    filters, credentials = parse_query(args.query), archive_credentials(args.archive_user)
    check_device(args.device)
    archive = DicomWebStudies(args.archive, credentials)
    archive.check()
    order, engine = order_of(args), chosen_engine(args, workers=1)
    with counted(args.task, "study") as progress:
        totals = synthesize_archive(
            archive, order, filters, store=args.store, refuse=_say, progress=progress, engine=engine
        )
    made = "made and stored" if args.store else "would be made (--store makes them)"
    sys.stdout.write(
        f"{count_of(totals.studies, 'study', 'studies')}: {totals.made} {made}, {totals.kept} were there, "
        f"{totals.refused} refused, {totals.passed_over} passed over, from which {args.task} does not start\n"
    )
    if totals.left:
        sys.stderr.write(
            f"Stopped, because the archive failed again and again, with {count_of(totals.left, 'study', 'studies')} "
            "left; the same command goes on\n"
        )
    return 1 if totals.refused or totals.left else 0


def _say(uid: str, reason: str) -> None:
    """At once, so that a run of days that is killed has told it, and needs no memory for it."""
    from tqdm import tqdm

    tqdm.write(f"  {reason if uid in reason else f'{uid}: {reason}'}", file=sys.stderr)
