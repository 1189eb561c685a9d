"""Folders that are expensive to make, made once for all workers of a run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, which the first worker that asks makes and nobody changes.

    Args:
        tmp_path_factory: pytest's own, of a session.
        name: Says what is in the folder; unique in the suite.
        make: Called with a path that does not exist; makes a folder there.
    """
    of_this_worker = tmp_path_factory.getbasetemp()
    root = of_this_worker.parent if "PYTEST_XDIST_WORKER" in os.environ else of_this_worker
    folder = root / "shared" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.part")
            make(unfinished)
            unfinished.rename(folder)
    return folder
