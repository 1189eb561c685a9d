"""What damaged files, kill -9 and load do to `mammosynth serve`: one table each, and status 1 if a goal is missed.

Run: `.venv/bin/python benchmarks/weather.py mutants|kills|load|latency|infer [--count N] [--seconds S]`. A server is
started over a phantom study in a temporary folder, on a free loopback port; everything is bounded in number or time.
Absolute times depend on the machine, and the clients share it with the server. The figures of a run, and against whom
they are, stand in docs/concepts/security.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks.storm.setting import one_thread


def main() -> int:
    """Let loose what is asked for; the exit status."""
    args = _parser().parse_args()
    return 0 if args.storm(args) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="STORM")

    mutants = _command(commands, "mutants", _mutants, "damaged and hostile files, in process and over HTTP")
    mutants.add_argument("--count", type=int, default=1500, help="mutants in process (default: %(default)s)")
    mutants.add_argument("--http-count", type=int, help="mutants over HTTP (default: a fifth)")
    mutants.add_argument("--file-count", type=int, help="picture and volume files (default: a 25th, at least 12)")

    kills = _command(commands, "kills", _kills, "kill -9 over STOW, jobs, segmentations and training, by turns")
    kills.add_argument("--count", type=int, default=200, help="kills (default: %(default)s, about an hour)")
    kills.add_argument("--seed", type=int, default=1, help="of the moments (default: %(default)s)")

    load = _command(commands, "load", _load, "many clients while a synthesis runs, then many /infer at once")
    load.add_argument("--clients", type=int, default=50)
    load.add_argument("--seconds", type=float, default=60.0)
    load.add_argument("--pause-s", type=float, default=1.0, help="average between two requests of a client")
    load.add_argument("--count", type=int, default=50, help="/infer at once (default: %(default)s)")

    latency = _command(commands, "latency", _latency, "small requests over one kept-alive connection")
    latency.add_argument("--count", type=int, default=200, help="requests of each kind (default: %(default)s)")

    infer = _command(commands, "infer", _infer, "/infer beyond its network, and a cold start")
    infer.add_argument("--count", type=int, default=5, help="repeats (default: %(default)s)")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    storm: Callable[[argparse.Namespace], bool],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--pixel-mm", type=float, default=0.1, help="of the phantom study (default: %(default)s)")
    command.set_defaults(storm=storm)
    return command


def _mutants(args: argparse.Namespace) -> bool:
    from benchmarks.storm import mutants

    one_thread()
    return mutants.storm(
        count=args.count,
        http_count=args.count // 5 if args.http_count is None else args.http_count,
        file_count=max(12, args.count // 25) if args.file_count is None else args.file_count,
        pixel_mm=args.pixel_mm,
    )


def _kills(args: argparse.Namespace) -> bool:
    from benchmarks.storm import kills

    one_thread()
    return kills.storm(count=args.count, seed=args.seed, pixel_mm=args.pixel_mm)


def _load(args: argparse.Namespace) -> bool:
    from benchmarks.storm import load

    return load.storm(
        clients=args.clients, seconds=args.seconds, pause_s=args.pause_s, burst=args.count, pixel_mm=args.pixel_mm
    )


def _latency(args: argparse.Namespace) -> bool:
    from benchmarks.storm import speed

    return speed.latency(count=args.count, pixel_mm=args.pixel_mm)


def _infer(args: argparse.Namespace) -> bool:
    from benchmarks.storm import speed

    return speed.infer(repeats=args.count, pixel_mm=args.pixel_mm)


if __name__ == "__main__":
    raise SystemExit(main())
