"""What several commands ask for, declared and read once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from mammosynth.atomic import write_json
from mammosynth.errors import InvalidParameterError
from mammosynth.parallel.engine import Engine
from mammosynth.parallel.local import LocalEngine
from mammosynth.task import TaskSpec, tasks


def add_task(parser: argparse.ArgumentParser) -> None:
    """The task, by its name."""
    parser.add_argument("task", choices=list(tasks()))


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where networks run."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: %(default)s)")


def check_device(device: str | None) -> None:
    """Refuse a device that this machine has not, before anything else is done.

    Raises:
        InvalidParameterError: With those that it has.
    """
    if device in (None, "cpu"):
        return
    import torch  # takes a second

    known = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    known += [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if device not in known:
        raise InvalidParameterError(f"--device {device}: this machine has {', '.join(known)}; choose one of these")


def add_engine(parser: argparse.ArgumentParser, *flags: str, workers: str) -> None:
    """Where the work is done.

    Args:
        parser: Of the command.
        *flags: Other names of --workers.
        workers: What help says of the number without Ray.
    """
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="in processes here, or on Ray (default: local)"
    )
    parser.add_argument(
        "--ray-address", metavar="ADDRESS", help="with --engine ray: of a running cluster (default: start one here)"
    )
    parser.add_argument(
        "--workers", *flags, type=int, metavar="N", help=f"at once (default: {workers}; with Ray one per CPU)"
    )


def chosen_engine(args: argparse.Namespace, *, workers: int | None) -> Engine:
    """Where the work is done, as was asked for.

    Args:
        args: Of a command with `add_engine`.
        workers: Without Ray, if their number was not given; None: one per core.

    Raises:
        InvalidParameterError: If the options contradict each other, or Ray is not installed.
    """
    if args.workers is not None and args.workers < 1:
        raise InvalidParameterError(f"--workers is {args.workers}, expected 1 or more")
    if args.engine == "local":
        if args.ray_address:
            raise InvalidParameterError(f"--ray-address {args.ray_address} without --engine ray: give both or neither")
        return LocalEngine(args.workers or workers)
    try:
        from mammosynth.parallel.on_ray import RayEngine
    except ImportError as error:
        raise InvalidParameterError(f"--engine ray: {error}; install mammosynth[ray]") from error
    return RayEngine(args.ray_address, args.workers, gpus=int(getattr(args, "device", "cpu") != "cpu"))


def add_set(parser: argparse.ArgumentParser, flag: str, what: str) -> None:
    """A setting as NAME=VALUE, which may be repeated."""
    parser.add_argument(flag, action="append", default=[], metavar="NAME=VALUE", help=f"{what}; repeatable")


def named_texts(texts: list[str], flag: str) -> dict[str, str]:
    """Texts NAME=VALUE by name.

    Raises:
        InvalidParameterError: If one has no name or no "=".
    """
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise InvalidParameterError(f"{flag} {text}: expected NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def list_of(kind: type[StrEnum]) -> Callable[[str], list[str]]:
    """A parser of words of an enumeration, joined by commas."""

    def parse(text: str) -> list[str]:
        words = list(dict.fromkeys(text.upper().split(",")))
        if unknown := set(words) - set(kind):
            raise argparse.ArgumentTypeError(f"{unknown.pop()!r} is unknown, expected {','.join(kind)} or one of them")
        return words

    return parse


def bundle_folder(name: str | None, task: TaskSpec) -> Path:
    """The folder of a bundle that was named, or of the task's default."""
    from mammosynth.bundle import default_bundle, find_bundle

    return find_bundle(name) if name else default_bundle(task.name)


def open_bundle(name: str | None, task: TaskSpec, device: str) -> Any:
    """The model that was named, or the task's default, on a device.

    Raises:
        BundleError: If it cannot be loaded.
        InvalidParameterError: If it is of another task.
    """
    from mammosynth.bundle import load_bundle

    bundle = load_bundle(bundle_folder(name, task), device=device)
    if bundle.task.name != task.name:
        raise InvalidParameterError(f"bundle {name} is for {bundle.task.name}, expected one for {task.name}")
    return bundle


def write_report(path: Path | None, report: Mapping[str, Any]) -> None:
    """Write JSON values where an option says, if it was given."""
    if path:
        write_json(path, report, indent=2)
