"""Where the images of a study come from, by the names that its protocol gives them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mammosynth.errors import NotFoundError
from mammosynth.files.formats import stem_of
from mammosynth.files.read import read_image
from mammosynth.mammogram import Mammogram

Read = Callable[[str], Mammogram]
"""Gives the image that a protocol names."""


def image_folder(folder: Path) -> Read:
    """The images of a folder, by their names, with or without ending.

    Raises:
        NotFoundError: From what is returned: if no file of the folder, or more than one, has that name.
    """
    by_name: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        for name in {path.name, stem_of(path)} if path.is_file() else ():
            by_name.setdefault(name, []).append(path)

    def read(source: str) -> Mammogram:
        found = by_name.get(source, [])
        if len(found) != 1:
            raise NotFoundError(
                f"{source}: {len(found)} files of {folder.name} have that name, expected one; add or rename them"
            )
        return read_image(found[0], accept_generated=True)

    return read
