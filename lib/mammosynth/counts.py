"""`count_of`: how many of a thing there are, as a sentence says it."""

from __future__ import annotations


def count_of(number: float, thing: str, things: str | None = None) -> str:
    """A number with its noun: '1 case', '0 cases', '1 study'.

    Args:
        number: How many; of a fraction, as many digits as `:g` shows.
        thing: The noun, or several words that end with it, for one.
        things: For any other number; without it, `thing` and an s.
    """
    shown = f"{number:g}" if isinstance(number, float) else number
    return f"{shown} {thing if number == 1 else things or f'{thing}s'}"
