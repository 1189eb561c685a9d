"""Whose files are: of the server's account, also what root makes for it, and nobody else reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def own_files() -> Iterator[None]:
    """Whatever is written is for the user alone who writes it."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def give_to_owner_of(place: Path, made: int | Path) -> None:
    """Give a file to who owns another one; nothing happens unless root runs this, since nobody else can.

    Args:
        place: A file or folder of the account that is to have it.
        made: Path or open descriptor of what is given away.
    """
    if os.geteuid() == 0:
        owner = place.stat()
        os.chown(made, owner.st_uid, owner.st_gid)
