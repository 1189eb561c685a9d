"""Processes of `torchrun` on this machine, as if it were one or several."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.archives import free_port

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 120


@contextmanager
def torchrun(
    folder: Path, arguments: list[str], *, per_node: int = 2, nodes: int = 1, restarts: int = 0
) -> Iterator[list[subprocess.Popen[str]]]:
    """One `torchrun` for every node; whatever of them still runs at the end is killed.

    Args:
        folder: In which they are started; each node but one in a folder `node-N` below it.
        arguments: Of Python, such as `-m module`.
        per_node: Processes of each.
        nodes: How many.
        restarts: How often all are started again if one dies.
    """
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "test"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", str(nodes), "--nproc-per-node", str(per_node)]
    command += [*meeting, "--max-restarts", str(restarts), "--local-addr", "127.0.0.1", *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    started: list[subprocess.Popen[str]] = []
    try:
        for node in range(nodes):
            place = folder / f"node-{node}" if node else folder
            place.mkdir(exist_ok=True)
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            started.append(subprocess.Popen(command, cwd=place, env=environment, **pipes))
        yield started
    finally:
        for each in started:
            if each.poll() is None:
                for process in [*psutil.Process(each.pid).children(recursive=True), each]:
                    process.kill()
            each.communicate()


def ended(started: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Status, output and errors of every node, when all have ended."""
    said = [each.communicate(timeout=_PATIENCE_S) for each in started]
    return [(each.returncode, *texts) for each, texts in zip(started, said, strict=True)]


def process_of_rank(agent: subprocess.Popen[str], rank: int) -> psutil.Process:
    """The process of that rank which a `torchrun` has started."""
    for process in psutil.Process(agent.pid).children():
        environment: Mapping[str, str] = process.environ()
        if environment.get("RANK") == str(rank):
            return process
    raise AssertionError(f"no process has rank {rank}")
