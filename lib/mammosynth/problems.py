"""`Problems`: everything that is wrong is told at once, so that nobody repairs a folder one file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mammosynth.errors import DataError, MammoSynthError


class Problems:
    """Sentences about what is wrong, each told once, in the order in which they were found.

    Example:
        problems = Problems()
        for path in paths:
            with problems.catching(OSError, DataError, about=path.name):
                images.append(read(path))
        problems.raise_if_any(f"{len(problems)} of {len(paths)} images cannot be used; repair or remove them:")
    """

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def add(self, *sentences: str) -> None:
        """Note what is wrong; the same sentence again changes nothing."""
        self._found.update(dict.fromkeys(sentences))

    @contextmanager
    def catching(self, *kinds: type[Exception], about: str = "") -> Iterator[None]:
        """Note an exception of these kinds instead of raising it; the block ends there.

        Args:
            kinds: Of exceptions; others are raised.
            about: What the sentence begins with, where the exception's own does not say which file it is about.
        """
        try:
            yield
        except kinds as error:
            self.add(f"{about}: {error}" if about else str(error))

    def raise_if_any(self, heading: str = "", *, kind: type[MammoSynthError] = DataError) -> None:
        """Raise one error with all of them, if there are any.

        Args:
            heading: The line above them; without one, they stand alone.
            kind: Of the error.

        Raises:
            MammoSynthError: Of the kind asked for.
        """
        if self._found:
            raise kind("\n  ".join([heading, *self._found]) if heading else "\n".join(self._found))
