"""`mammosynth train`: a model into a new bundle."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mammosynth.commands.options import add_set, add_task, check_device, named_texts
from mammosynth.errors import InvalidParameterError
from mammosynth.imports import import_monai, imports_that_stay
from mammosynth.task import task_named

_TYPES = {"integer": int, "number": float, "string": str}


def add(commands: Any) -> None:
    """Declare the command."""
    from mammosynth.training.recipe import TrainingRecipe

    parser = commands.add_parser(
        "train",
        help="train a model into a new bundle",
        description="Train a bundle anew on the splits 'train' and 'val' of a folder that the task reads: of phantoms "
        "(manifest.json), or for contrast one laid out like CDD-CESM (pairs.csv). A run that was interrupted goes on "
        "where it stopped when the same command is given again. Several GPUs or machines: "
        "torchrun --nproc-per-node N -m mammosynth train ...",
    )
    add_task(parser)
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the new bundle")
    parser.add_argument("--bundle", metavar="NAME", help="what is trained anew: a bundle (default: the task's default)")
    parser.add_argument(
        "--member", type=int, default=0, metavar="N", help="which network of an ensemble is trained (default: 0)"
    )
    parser.add_argument("--objective", metavar="NAME", help="another way of training than the bundle's own")
    parser.add_argument("--initial-weights", metavar="NAME", help="start from the weights of this bundle")
    parser.add_argument("--restart", action="store_true", help="start over instead of going on")
    add_set(parser, "--set", "a setting of this bundle's own way of training")
    parser.add_argument("--settings", action="store_true", help="print all settings of the bundle with their values")
    recipe = parser.add_argument_group("settings that every bundle has (default: the bundle's own)")
    for name, entry in TrainingRecipe.json_schema()["properties"].items():
        limits = f" ({entry['minimum']:g} to {entry['maximum']:g})" if "minimum" in entry else ""
        recipe.add_argument(
            f"--{name.replace('_', '-')}",
            type=_TYPES[entry["type"]],
            choices=entry.get("enum"),
            metavar=None if "enum" in entry else _TYPES[entry["type"]].__name__,
            help=f"{entry['description']}{limits}".replace("%", "%%"),
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    with imports_that_stay():
        import_monai()
        from mammosynth.bundle import find_bundle
        from mammosynth.training.dataset import read_splits
        from mammosynth.training.recipe import TrainingRecipe
        from mammosynth.training.template import Template
        from mammosynth.training.train import train_model

    check_device(args.device)
    task = task_named(args.task)
    template = Template.find(task, args.bundle, member=args.member, objective=args.objective)
    if args.settings:
        print(f"Settings of {template.folder.name}:\n{template.recipe_class.describe(template.values)}")
        return 0
    if args.data is None or args.output is None:
        raise InvalidParameterError("--data and --output are needed to train; give a folder for each")
    given = template.recipe_class.from_text(named_texts(args.set, "--set"))
    flags = {name: getattr(args, name) for name in TrainingRecipe.model_fields}
    recipe = template.recipe({**given, **{name: value for name, value in flags.items() if value is not None}})
    initial = find_bundle(args.initial_weights) if args.initial_weights else None
    stop = _when_interrupted()
    first = os.environ.get("RANK", "0") == "0"  # of several processes of torchrun, one speaks
    if first:
        print("Reading and checking the data ...", flush=True)
    training, validation = read_splits(task.load("dataset"), args.data)
    with _Progress(recipe, visible=first) as progress:
        result = train_model(
            training,
            validation,
            output=args.output,
            template=template,
            recipe=recipe,
            initial_weights=initial,
            resume=not args.restart,
            progress=progress,
            should_stop=stop.is_set,
        )
    if not result.completed:
        if first:
            print("Stopped; give the same command again to go on.")
        return 130
    if first:
        print(f"Wrote {args.output}: step {result.step}, {result.reason}; {result.val}")
        print(f"To serve it: mammosynth bundle install {args.output}")
    return 0


def _when_interrupted() -> threading.Event:
    """Set by Ctrl-C and by SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


class _Progress:
    """A bar at a terminal, lines in a log."""

    def __init__(self, recipe: Any, *, visible: bool) -> None:
        from mammosynth.training.log import ProgressLines

        self._lines = ProgressLines(recipe, lambda line: print(line, file=sys.stderr, flush=True))
        self._as_bar = sys.stderr.isatty()
        layout = "{l_bar}{bar}| {elapsed}<{remaining} {postfix}"
        self._bar = tqdm(total=1.0, desc="train", bar_format=layout, disable=not (visible and self._as_bar))

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, fraction: float, message: str, values: dict[str, float]) -> None:
        from mammosynth.training.log import progress_text

        if not self._as_bar:
            self._lines(fraction, message, values)
            return
        if message.startswith("warning"):
            self._bar.write(message)
        self._bar.set_postfix_str(progress_text(message, values))
        self._bar.update(fraction - self._bar.n)
