"""The images in folders, also behind links; what cannot be read is found as well, so that it is reported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammosynth.files.formats import ending_of, format_of_file


@dataclass(frozen=True)
class FoundImage:
    """A file that is, or by its name should be, an image.

    Attributes:
        path: Where it is.
        name: Relative to the folder that was asked for; the file's name for files that were named themselves.
    """

    path: Path
    name: Path


def find_images(inputs: Sequence[Path], output: Path) -> tuple[list[FoundImage], int]:
    """Every input once, in the order asked for; and how many files in folders are hidden or no images.

    Links to files and folders are followed. One that leads nowhere counts if its name is an image's, and a folder that
    may not be read counts always: reading it says why.

    Args:
        inputs: Files, and folders, which are searched through.
        output: Folder for the results, in which none is looked for.
    """
    found: dict[Path, FoundImage] = {}
    skipped = 0
    results = real_path(output)
    for asked in inputs:
        if not asked.is_dir():
            found.setdefault(real_path(asked), FoundImage(asked, Path(asked.name)))
            continue
        searched = real_path(asked)
        # A folder in that of the results was asked for, whatever the output is.
        are_left_out = results not in (searched, *searched.parents)
        for path in _below(asked):
            real = real_path(path)
            if are_left_out and results in real.parents:
                continue
            name = path.relative_to(asked)
            if _is_hidden(name) or not _is_image(path):
                skipped += 1
            else:
                found.setdefault(real, FoundImage(path, name))
    return list(found.values()), skipped


def real_path(path: Path) -> Path:
    """The path without links; of a link that leads to itself, that link. `Path.resolve` raises there."""
    return Path(os.path.realpath(path))


def _below(asked: Path) -> Iterator[Path]:
    """All below a folder but folders, sorted; then what is behind links to folders, of which none is walked twice."""
    closed: list[OSError] = []
    waiting, walked = [asked], set()
    while waiting:
        paths: list[Path] = []
        links: list[Path] = []
        for folder, folders, files in os.walk(waiting.pop(0), onerror=closed.append):
            here = Path(folder)
            if real_path(here) in walked:
                folders.clear()
                continue
            if not _is_hidden(here.relative_to(asked)):
                walked.add(real_path(here))
                links += [here / name for name in folders if (here / name).is_symlink()]
            paths += [here / name for name in files]
        yield from sorted(paths)
        waiting += sorted(links)
    yield from (Path(error.filename) for error in closed)


def _is_hidden(name: Path) -> bool:
    return any(part.startswith(".") for part in name.parts)


def _is_image(path: Path) -> bool:
    """Whether a file is, or by its name should be, an image; unreadable ones count, so that they are reported."""
    if ending_of(path):
        return True
    try:
        return format_of_file(path) is not None
    except OSError:
        return path.is_file() or path.is_dir()
