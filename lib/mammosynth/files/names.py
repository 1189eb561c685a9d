"""View and laterality from file names, for formats without a header that states them."""

from __future__ import annotations

import re

from mammosynth.terms import ImageLaterality, ViewPosition

_OTHER_VIEWS = frozenset(
    ("ML", "LM", "LMO", "SIO", "ISO", "XCC", "XCCL", "XCCM", "FB", "AT", "CV", "TAN", "RL", "RM", "SPOT", "MAG")
)
_LATERALITIES = {
    "L": ImageLaterality.LEFT,
    "LEFT": ImageLaterality.LEFT,
    "R": ImageLaterality.RIGHT,
    "RIGHT": ImageLaterality.RIGHT,
}


def view_from_name(stem: str) -> tuple[ViewPosition | None, ImageLaterality | None]:
    """What the words of a file name say, as in `P1_L_DM_CC`, `left-mlo`, `RCC 2`.

    Words are what stands between anything that is neither letter nor digit; upper and lower case are equal. A view or a
    side counts only if exactly one is named, and no view counts beside a word for another view (`L_CC_MAG`).

    Args:
        stem: File name without its ending; no folders, whose names say nothing about one image.

    Returns:
        View and laterality, each None if the name does not say it or says two.
    """
    spaced = re.sub(r"[^A-Z0-9]+", " ", stem.upper())
    words = re.sub(r"\b([LR])(CC|MLO)\b", r"\1 \2", spaced).split()
    views = {ViewPosition(word) for word in words if word in set(ViewPosition)}
    sides = {_LATERALITIES[word] for word in words if word in _LATERALITIES}
    if _OTHER_VIEWS.intersection(words):
        views = set()
    return views.pop() if len(views) == 1 else None, sides.pop() if len(sides) == 1 else None
