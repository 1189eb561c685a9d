"""A disk without space, for this process: a real one would have to be mounted, which only root can."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def full_disk(after: int = 0) -> Iterator[None]:
    """No file of this process can grow beyond some bytes: every such write fails, as it does on a full disk.

    The system then says "File too large" instead of "No space left on device".
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
