"""`printable`: what files and headers say, for a terminal, which obeys control characters."""

from __future__ import annotations

import unicodedata

_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, direction of writing, bytes that are no text, ends of lines


def printable(text: str) -> str:
    """A text on one line whose control characters are told by number, as Python does; all else is kept."""
    return "".join(_escaped(each) if unicodedata.category(each) in _OBEYED else each for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
