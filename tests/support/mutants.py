"""Damaged copies of a file, the same ones for a seed: what a bad disk, a cut connection or an attacker makes of it."""

from __future__ import annotations

import random
from collections.abc import Iterator

_TELLING = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)  # ends of ranges, signs, and the group of items and delimiters


def mutants(content: bytes, seed: int, count: int, *, head: int = 2048) -> Iterator[bytes]:
    """Copies with 1 to 4 bits flipped, bytes replaced, cut out, inserted or doubled, or the end cut off.

    Args:
        content: A whole file.
        seed: The same one gives the same copies.
        count: How many.
        head: Three of four damages hit this many bytes from the start, where headers are.
    """
    draw = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            _damage(damaged, draw, head)
        yield bytes(damaged)


def _damage(content: bytearray, draw: random.Random, head: int) -> None:
    if not content:
        return
    at = draw.randrange(min(head, len(content)) if draw.random() < 0.75 else len(content))
    length = draw.randint(1, 64)
    kind = draw.choice(("flip", "flip", "set", "set", "number", "cut", "insert", "double", "end"))
    if kind == "flip":
        content[at] ^= 1 << draw.randrange(8)
    elif kind == "set":
        content[at] = draw.choice(_TELLING)
    elif kind == "number":
        content[at : at + 4] = draw.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", draw.randbytes(4)))
    elif kind == "cut":
        del content[at : at + length]
    elif kind == "insert":
        content[at:at] = draw.randbytes(length)
    elif kind == "double":
        content[at:at] = content[at : at + length]
    elif draw.random() < 0.5:
        del content[at:]
