"""What a process of ours imports, in half the time."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

OPTIONAL_TO_MONAI = ("ignite", "matplotlib.pyplot", "mlflow", "pandas")


@contextmanager
def imports_that_stay() -> Iterator[None]:
    """Import what a process needs without looking for garbage among it, now or later.

    Of torch, MONAI and SciPy there are half a million objects, none of which goes before the process does. Python would
    look through all of them again and again while they come, and once more at the end. If anything was imported,
    whatever is alive afterwards is never looked through again.
    """
    looks, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if looks:
            gc.enable()


def import_monai() -> None:
    """Import MONAI without what is optional to it and of no use to us, which is a third of the time.

    MONAI 1.6 imports all of itself at once, and with it what it finds installed. This is for processes that are ours
    alone: MONAI goes on without these packages there. Whoever imports one of them afterwards gets it.
    """
    without = [name for name in OPTIONAL_TO_MONAI if name not in sys.modules]
    refused: dict[str, Any] = dict.fromkeys(without)
    sys.modules.update(refused)  # None is an ImportError to whoever asks, which MONAI is prepared for
    try:
        importlib.import_module("monai")
    finally:
        for name in without:
            del sys.modules[name]
