"""`give_to_owner_of`: what root makes for a server is given to the account that the server runs by."""

from __future__ import annotations

import os
from pathlib import Path


def give_to_owner_of(place: Path, made: int | Path) -> None:
    """Give a file to who owns another one; nothing happens unless root runs this, since nobody else can.

    Args:
        place: A file or folder of the account that is to have it.
        made: Path or open descriptor of what is given away.
    """
    if os.geteuid() == 0:
        owner = place.stat()
        os.chown(made, owner.st_uid, owner.st_gid)
