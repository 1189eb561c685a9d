"""`imports_that_stay`: many modules imported in half the time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
