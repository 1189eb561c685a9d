"""Progress bars at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from mammosynth.printable import printable


@contextmanager
def counted(description: str, unit: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar of things done: call with how many are done, how many there are, and the name of the last."""
    with tqdm(desc=description, unit=unit) as bar:

        def progress(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.set_postfix_str(printable(name))
            bar.update(done - bar.n)

        yield progress


@contextmanager
def measured(description: str, **options: Any) -> Iterator[Callable[[float, str], None]]:
    """A bar of a fraction: call with what is done, from 0 to 1, and what happens."""
    layout = "{l_bar}{bar}| {elapsed}<{remaining} {postfix}"
    with tqdm(total=1.0, desc=description, bar_format=layout, **options) as bar:

        def progress(fraction: float, message: str) -> None:
            bar.set_postfix_str(message)
            bar.update(fraction - bar.n)

        yield progress
