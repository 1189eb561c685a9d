"""Measures in a process of its own, on two threads: imports and peak memory of one do not count for the next."""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

Measured = dict[str, Any]


def measured_apart(
    doc: str | None, names: Sequence[str], measure: Callable[[str, int], Measured], *, repeat: int
) -> dict[str, Measured]:
    """What was measured, by name; in the process of one name it is printed, and never returned.

    Args:
        doc: Of the script that calls, for its help.
        names: What is measured, each in a process of its own: the script, called again with `--of NAME`.
        measure: From a name and a number of syntheses after the first to JSON values; `peak_mib` is added to them.
        repeat: That number, where the command line does not say it.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--repeat", type=int, default=repeat, help="syntheses of each after the first")
    parser.add_argument("--of", choices=names, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.of:
        return {name: _in_own_process(name, args.repeat) for name in names}
    found = measure(args.of, args.repeat)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**found, "peak_mib": peak_mib}))
    raise SystemExit


def _in_own_process(name: str, repeat: int) -> Measured:
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    command = [sys.executable, sys.argv[0], "--of", name, "--repeat", str(repeat)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])
