"""The command line: parses strings once, calls a room, prints sentences.

Commands that need the platform (`serve`, `demo`) are contributed through the entry-point group `mammosynth.commands`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mammosynth import __version__
from mammosynth.errors import InvalidParameterError, MammoSynthError
from mammosynth.terms import ImageLaterality, Task, ViewPosition

FORMATS = ("same", "dicom", "png", "tiff", "nrrd", "nifti")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if everything that was asked for was done; 1 if something was refused or failed; 2 for wrong usage.
    """
    parser = _build_parser()
    args = parser.parse_args(arguments)
    try:
        return args.run(args)
    except MammoSynthError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mammosynth",
        description="Synthesized mammograms for research. Not for diagnosis.",
    )
    parser.add_argument("--version", action="version", version=f"mammosynth {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_synthesize(commands)
    _add_train(commands)
    _add_join(commands)
    _add_evaluate(commands)
    _add_realism(commands)
    _add_phantom(commands)
    _add_import(commands)
    for point in entry_points(group="mammosynth.commands"):
        point.load()(commands)
    return parser


def _add_synthesize(commands: Any) -> None:
    parser = commands.add_parser(
        "synthesize",
        help="synthesize images from files or folders",
        description="Synthesize from DICOM, PNG, JPEG, TIFF, NRRD or NIfTI files of any size. A file that cannot be "
        "used does not stop the others; all refusals are reported at the end, with exit status 1.",
    )
    parser.add_argument("task", choices=[str(task) for task in Task])
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="file or folder")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument("--bundle", metavar="NAME", help="model bundle, a name in the model zoo or a folder (./NAME)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="of the model, may be repeated; for example uncertainty=true, where the model is an ensemble",
    )
    parser.add_argument("--format", choices=FORMATS, default="same", help="(default: %(default)s)")
    parser.add_argument(
        "--view-position", choices=[str(v) for v in ViewPosition], help="for files that do not say their view"
    )
    parser.add_argument(
        "--image-laterality", choices=[str(v) for v in ImageLaterality], help="for files that do not say their side"
    )
    parser.add_argument("--no-mark", action="store_true", help="leave out the burned-in mark (blinded studies only)")
    parser.set_defaults(run=_synthesize)


def _synthesize(args: argparse.Namespace) -> int:
    from mammosynth.batch import synthesize_files

    bundle = _load_bundle(args.bundle, Task(args.task), args.device)
    with tqdm(desc=args.task, unit="file") as bar:

        def progress(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(name)
            bar.update(done - bar.n)

        report = synthesize_files(
            args.inputs,
            args.output,
            bundle,
            file_format=args.format,
            parameters=dict(args.parameter),
            seed=args.seed,
            view_position=ViewPosition(args.view_position) if args.view_position else None,
            image_laterality=ImageLaterality(args.image_laterality) if args.image_laterality else None,
            burned_in_mark=not args.no_mark,
            progress=progress,
        )
    print(f"{len(report.written)} written to {args.output}, {len(report.refused)} refused, {report.skipped} no images")
    if not report.written and not report.refused:
        print("  no image files in what was named; name files or folders that hold some", file=sys.stderr)
    for name, message in (*report.notes, *report.refused):
        print(f"  {message if name in message else f'{name}: {message}'}", file=sys.stderr)
    return 0 if report.written and not report.refused else 1


def _parameter(text: str) -> tuple[str, Any]:
    """Name and value; a value that is no JSON, such as a word, is text."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _bundle_folder(name: str | None, task: Task) -> Path:
    from mammosynth.bundle import default_bundle, find_bundle

    return find_bundle(name) if name else default_bundle(task)


def _load_bundle(name: str | None, task: Task, device: str) -> Any:
    from mammosynth.bundle import load_bundle

    bundle = load_bundle(_bundle_folder(name, task), device=device)
    if bundle.task != task:
        raise InvalidParameterError(f"bundle {name} is for {bundle.task}, expected one for {task}")
    return bundle


def _add_join(commands: Any) -> None:
    parser = commands.add_parser(
        "join",
        help="make one model of several that were trained alike",
        description="Join bundles that differ in nothing but their weights, for example by their seed, into an "
        "ensemble: its image is their mean, and where they disagree is its uncertainty.",
    )
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE", help="folders that training wrote")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the new bundle")
    parser.set_defaults(run=_join)


def _join(args: argparse.Namespace) -> int:
    from mammosynth.training.ensemble import join_members

    join_members(args.bundles, args.output)
    print(f"Wrote {args.output}: {len(args.bundles)} bundles joined")
    return 0


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure a model beside its floors and ceilings",
        description="Metrics with 95 % intervals, floors and ceilings, on a folder laid out like CDD-CESM (pairs.csv).",
    )
    parser.add_argument("task", choices=[str(task) for task in Task])
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--split", required=True, metavar="NAME", help="a value of the column 'split' of pairs.csv")
    parser.add_argument(
        "--bundle", action="append", metavar="NAME", help="repeatable: others are compared with the first"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--regions", type=Path, metavar="DIR", help="tissue drawn by hand: NAME_adipose.png, NAME_fibroglandular.png"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, too")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots and all images here, too")
    parser.add_argument(
        "--record", action="store_true", help="write the scores into each bundle: viewers show them beside the model"
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(args: argparse.Namespace) -> int:
    from mammosynth.evaluation import evaluate_contrast, format_report

    bundles = [_load_bundle(name, Task(args.task), args.device) for name in args.bundle or [None]]
    pictures = None
    if args.html:  # matplotlib takes a second to load
        from mammosynth.evaluation.contrast import name_models
        from mammosynth.evaluation.gallery import Pictures

        pictures = Pictures(list(name_models(bundles)))
        args.html.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=1.0, desc=f"evaluate {args.split}", bar_format="{l_bar}{bar}| {elapsed} {postfix}") as bar:

        def progress(fraction: float, message: str) -> None:
            bar.set_postfix_str(message)
            bar.update(fraction - bar.n)

        watch = pictures.add if pictures else None
        report = evaluate_contrast(
            args.data, args.split, *bundles, regions=args.regions, progress=progress, watch=watch
        )
    print(format_report(report))
    _write_json(args.json, report)
    if pictures:
        from mammosynth.evaluation.page import format_page

        args.html.write_text(format_page(report, pictures), encoding="utf-8")
    if args.record:
        from mammosynth.evaluation.record import record_scores

        for method, name in zip(report["models"], args.bundle or [None], strict=True):
            record_scores(_bundle_folder(name, Task(args.task)), report, method)
    return 0


def _write_json(path: Path | None, report: dict[str, Any]) -> None:
    """Where --json says, if it was given."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _add_realism(commands: Any) -> None:
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
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, too")
    parser.set_defaults(run=_realism)


def _realism(args: argparse.Namespace) -> int:
    from mammosynth.evaluation.realism import format_realism, phantom_statistics, read_real, realism_report

    print("Reading the real images ...", flush=True)
    real = read_real(args.data)
    chosen = [image for image in real if image.split in args.split]
    if unknown := set(args.split) - {image.split for image in real}:
        raise InvalidParameterError(
            f"--split is {', '.join(sorted(unknown))}, expected of {', '.join(sorted({i.split for i in real}))}"
        )
    phantoms = list(
        tqdm(phantom_statistics(args.cases, seed=args.seed, workers=args.workers), "phantoms", args.cases, unit="case")
    )
    reports = {"chosen": realism_report(chosen, phantoms, seed=args.seed)}
    if len(chosen) < len(real):
        reports["all"] = realism_report(real, phantoms, seed=args.seed)
    for name, report in reports.items():
        print(f"\nSplits {', '.join(args.split) if name == 'chosen' else 'all'}: {format_realism(report)}")
    _write_json(args.json, reports)
    return 0


def _add_phantom(commands: Any) -> None:
    from mammosynth.phantom.parameters import Density, LesionKind, ParenchymalEnhancement, Vendor

    parser = commands.add_parser(
        "phantom",
        help="generate phantom patients with known truth",
        description="Computer-generated patients: low-energy, high-energy and recombined images as DICOM, the truth as "
        "DICOM SEG, and a manifest that reproduces every pixel on CPU. What is not given is drawn from the seed. "
        "Finished cases are kept: after an interruption the same command goes on.",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--cases", type=int, default=1, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the others follow (default: 0)")
    parser.add_argument("--density", choices=[str(d) for d in Density], help="BI-RADS category")
    parser.add_argument(
        "--bpe", choices=[str(b) for b in ParenchymalEnhancement], help="background parenchymal enhancement"
    )
    parser.add_argument("--views", type=_list_of(ViewPosition), default="CC,MLO", metavar="CC,MLO")
    parser.add_argument("--sides", type=_list_of(ImageLaterality), default="R,L", metavar="R,L")
    parser.add_argument("--pixel-mm", type=float, default=0.4, metavar="0.1|0.4|1.0", help="(default: %(default)s)")
    parser.add_argument(
        "--lesion",
        action="append",
        choices=[*map(str, LesionKind), "none"],
        help="may be given more than once; none: no lesion",
    )
    parser.add_argument("--halo", type=float, default=0.5, metavar="0..1", help="bright rim (default: %(default)s)")
    parser.add_argument("--iodine-in-low-energy", choices=("yes", "no"), default="yes", help="(default: %(default)s)")
    parser.add_argument("--vendor", choices=[str(v) for v in Vendor], help="beams and detector")
    parser.add_argument("--maps", action="store_true", help="write path lengths and true iodine, too (.npz)")
    parser.add_argument("--workers", type=int, metavar="N", help="cases made at once (default: one per core)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--reproduce", type=Path, metavar="MANIFEST", help="make these cases again and compare every pixel"
    )
    parser.set_defaults(run=_phantom)


def _list_of(kind: type[StrEnum]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        words = list(dict.fromkeys(text.upper().split(",")))
        if unknown := set(words) - set(kind):
            raise argparse.ArgumentTypeError(f"{unknown.pop()!r} is unknown, expected {','.join(kind)} or one of them")
        return words

    return parse


def _phantom(args: argparse.Namespace) -> int:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # read when numpy and torch load: sums over several threads depend on their number
    from mammosynth.phantom.clinic.cohort import reproduce_cohort, write_cohort

    if args.cases < 1 or (args.workers is not None and args.workers < 1):
        raise InvalidParameterError(f"--cases is {args.cases} and --workers {args.workers}, expected 1 or more")
    workers = args.workers or (None if args.device == "cpu" else 1)
    with tqdm(desc="phantoms", unit="case") as bar:

        def progress(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(name)
            bar.update(done - bar.n)

        if args.reproduce:
            found = reproduce_cohort(args.reproduce, args.out, workers=workers, progress=progress)
        else:
            seeds = range(args.seed, args.seed + args.cases)
            manifest = write_cohort(args.out, _cohort_settings(args), seeds, workers=workers, progress=progress)
    if not args.reproduce:
        print(f"{len(manifest['cases'])} cases in {args.out}")
        return 0
    print("\n  ".join(["Not reproduced:", *found]) if found else "Reproduced: every pixel of every file is equal.")
    return 1 if found else 0


def _cohort_settings(args: argparse.Namespace) -> Any:
    from mammosynth.phantom.clinic.case import describe_case
    from mammosynth.phantom.clinic.manifest import CohortSettings, case_parameters

    lesions = args.lesion
    if lesions and "none" in lesions:
        if len(lesions) > 1:
            raise InvalidParameterError(f"--lesion is {', '.join(lesions)}, expected none alone, or kinds of lesions")
        lesions = []
    try:
        parameters = case_parameters(
            {
                "seed": args.seed,
                "density": args.density,
                "lesions": lesions,
                "parenchymal_enhancement": args.bpe,
                "vendor": args.vendor,
                "halo": args.halo,
                "iodine_in_low_energy": args.iodine_in_low_energy == "yes",
                "views": args.views,
                "sides": args.sides,
                "pixel_mm": args.pixel_mm,
            }
        )
        describe_case(parameters)  # refuses what a case passes on
    except ValueError as error:
        raise InvalidParameterError(str(error)) from error
    return CohortSettings(dataclasses.replace(parameters, seed=0), args.maps, args.device)


def _add_import(commands: Any) -> None:
    parser = commands.add_parser(
        "import-cdd-cesm",
        help="prepare the CDD-CESM archive for training and evaluation",
        description="Turn the CDD-CESM archive, as its authors published it (doi 10.7937/29kw-ae92, CC BY 4.0), into "
        "the folder that train and evaluate read: 512 x 512 pixels, one mask per image, registration, splits by "
        "patient. What is refused does not stop the rest; everything refused or odd is listed in import.json.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="holds images and tables, anywhere below")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="absent or empty")
    parser.add_argument(
        "--split-seed",
        type=int,
        metavar="N",
        help="spread patients outside the fixed split over train, val and test (default: they get the split 'other')",
    )
    parser.add_argument(
        "--pathology", action="append", default=[], metavar="NAME", help="malignant, benign or normal (default: all)"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: %(default)s)")
    parser.set_defaults(run=_import)


def _import(args: argparse.Namespace) -> int:
    from mammosynth.preprocessing.cdd_cesm.import_archive import REPORT, import_cdd_cesm

    if args.workers < 1:
        raise InvalidParameterError(f"--workers is {args.workers}, expected 1 or more")
    with tqdm(desc="import", unit="pair") as bar:

        def progress(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(name)
            bar.update(done - bar.n)

        report = import_cdd_cesm(
            args.source,
            args.output,
            split_seed=args.split_seed,
            pathologies=args.pathology,
            workers=args.workers,
            progress=progress,
        )
    counted = ", ".join(f"{count} {split}" for split, count in report.pairs.items())
    print(f"{sum(report.pairs.values())} pairs ({counted}), {report.breasts} breasts with both views in {args.output}")
    print(f"{len(report.refused)} refused, {len(report.odd)} odd; all are listed in {REPORT}")
    print("Whoever uses these data must repeat the citations in dataset_citation.txt.")
    for message in (*report.refused, *report.odd):
        print(f"  {message}", file=sys.stderr)
    return 1 if report.refused else 0


def _add_train(commands: Any) -> None:
    from mammosynth.training.recipe import TrainingRecipe

    parser = commands.add_parser(
        "train",
        help="train a model into a new bundle",
        description="Train a bundle anew on the splits 'train' and 'val' of a folder laid out like CDD-CESM "
        "(pairs.csv), or of phantoms (manifest.json). A run that was interrupted goes on where it stopped when the "
        "same command is given again. Several GPUs: torchrun --nproc-per-node N -m mammosynth train ...",
    )
    parser.add_argument("task", choices=[str(task) for task in Task])
    parser.add_argument("--data", type=Path, metavar="DIR")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of the new bundle")
    parser.add_argument("--bundle", metavar="NAME", help="what is trained anew: a bundle (default: the task's default)")
    parser.add_argument("--initial-weights", metavar="NAME", help="start from the weights of this bundle")
    parser.add_argument("--restart", action="store_true", help="start over instead of going on")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of this bundle's own way of training; repeatable",
    )
    parser.add_argument("--settings", action="store_true", help="print all settings of the bundle with their values")
    recipe = parser.add_argument_group("settings that every bundle has (default: the bundle's own)")
    for field in dataclasses.fields(TrainingRecipe):
        choices = TrainingRecipe.CHOICES.get(field.name)
        low, high = TrainingRecipe.RANGES.get(field.name, (None, None))
        recipe.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            choices=choices,
            metavar=None if choices else type(field.default).__name__,
            help=None if low is None else f"{low:g} to {high:g}",
        )
    parser.set_defaults(run=_train)


def _train(args: argparse.Namespace) -> int:
    from mammosynth.bundle import find_bundle
    from mammosynth.training.log import ProgressLines, progress_text
    from mammosynth.training.recipe import TrainingRecipe
    from mammosynth.training.template import Template
    from mammosynth.training.train import train_contrast

    template = Template.find(args.bundle)
    if args.settings:
        print(f"Settings of {template.folder.name}:\n{template.recipe_class.describe(template.values)}")
        return 0
    if args.data is None or args.output is None:
        raise InvalidParameterError("--data and --output are needed to train; give a folder for each")
    if odd := [text for text in args.set if "=" not in text]:
        raise InvalidParameterError(f"--set {odd[0]}: expected NAME=VALUE; --settings prints the names")
    given = template.recipe_class.parse(dict(text.split("=", 1) for text in args.set))
    flags = {f.name: getattr(args, f.name) for f in dataclasses.fields(TrainingRecipe)}
    recipe = template.recipe({**given, **{name: value for name, value in flags.items() if value is not None}})
    initial = find_bundle(args.initial_weights) if args.initial_weights else None
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    first = os.environ.get("RANK", "0") == "0"  # of several processes of torchrun, one speaks
    if first:
        print("Reading and checking the data ...", flush=True)
    training, validation = _read_pairs(args.data)
    layout = "{l_bar}{bar}| {elapsed}<{remaining} {postfix}"
    as_bar = sys.stderr.isatty()
    lines = ProgressLines(recipe, lambda line: print(line, file=sys.stderr, flush=True))
    with tqdm(total=1.0, desc="train", bar_format=layout, disable=not (first and as_bar)) as bar:

        def show(fraction: float, message: str, values: dict[str, float]) -> None:
            if message.startswith("warning"):
                bar.write(message)
            bar.set_postfix_str(progress_text(message, values))
            bar.update(fraction - bar.n)

        result = train_contrast(
            training,
            validation,
            output=args.output,
            recipe=recipe,
            template=template,
            initial_weights=initial,
            resume=not args.restart,
            progress=show if as_bar else lines,
            should_stop=stop.is_set,
        )
    if not result.completed:
        print("Stopped; give the same command again to go on.")
        return 130
    if first:
        print(f"Wrote {args.output}: step {result.step}, {result.reason}; {result.val}")
    return 0


def _read_pairs(folder: Path) -> Any:
    from mammosynth.training.preflight import read_splits

    if (folder / "manifest.json").is_file():  # reading these needs a DICOM library, which may be absent
        from mammosynth.phantom.clinic.read import read_phantoms as read
    else:
        from mammosynth.preprocessing.pairs import read_cdd_cesm as read
    return read_splits(lambda split: read(folder, split))
