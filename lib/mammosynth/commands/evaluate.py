"""`mammosynth evaluate`: a model beside its floors and ceilings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mammosynth.atomic import write_bytes
from mammosynth.commands.options import (
    add_device,
    add_engine,
    add_set,
    add_task,
    bundle_folder,
    check_device,
    chosen_engine,
    named_texts,
    open_bundle,
    write_report,
)
from mammosynth.imports import import_monai, imports_that_stay
from mammosynth.progress import measured
from mammosynth.task import task_named


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model beside its floors and ceilings",
        description="Metrics with 95 %% intervals, floors and ceilings, on a split of a folder that the task reads: of "
        "phantoms (manifest.json), or for contrast one laid out like CDD-CESM (pairs.csv).",
    )
    add_task(parser)
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--split", required=True, metavar="NAME", help="one of the folder's splits: val, test, ...")
    parser.add_argument(
        "--bundle", action="append", metavar="NAME", help="repeatable: others are compared with the first"
    )
    add_device(parser)
    add_engine(parser, workers="1")
    add_set(parser, "--set", "an option of the task's own evaluation, for contrast regions=DIR or bootstrap=N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots and all images here, too")
    parser.add_argument(
        "--record", action="store_true", help="write the scores into each bundle: viewers show them beside the model"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    check_device(args.device)
    task = task_named(args.task)
    with imports_that_stay():
        import_monai()
        evaluation = task.load("evaluation")
    options = evaluation.options(**evaluation.options.from_text(named_texts(args.set, "--set")))
    bundles = [open_bundle(name, task, args.device) for name in args.bundle or [None]]
    with measured(f"evaluate {args.split}") as progress:
        report = evaluation(
            args.data,
            args.split,
            bundles,
            options=options,
            with_page=bool(args.html),
            engine=chosen_engine(args, workers=1),
            progress=progress,
        )
    print(report.text)
    write_report(args.json, report.values)
    if args.html and report.page:
        write_bytes(args.html, report.page.encode())
    if args.record:
        from mammosynth.evaluation.record import record_scores

        for index, name in enumerate(args.bundle or [None]):
            record_scores(bundle_folder(name, task), bundles[index], report, index)
    return 0
