"""Pages of evaluations: whatever a report or a file is called, the page shows it and runs none of it."""

import base64
import io

import numpy as np
from PIL import Image

from mammosynth.evaluation.page import N_FIRST, gallery_page, png_url

EVIL = "<script>alert(1)</script>"


def test_pictures_are_reduced_and_inline() -> None:
    url = png_url(np.zeros((20, 10), np.uint8), reduction=2)
    assert Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))).size == (5, 10)


def test_a_gallery_shows_the_first_cases_apart_and_escapes_names() -> None:
    values = {"models": {"model": {"name": EVIL, "version": "1"}}, "task": "mask", "split": "val"}
    cases = [(f"case {number} {EVIL}", [("real", np.zeros((4, 4), np.uint8))]) for number in range(N_FIRST + 2)]
    parts = ["a paragraph", [["measure", "reached"], ["AUC", "no"]]]
    page = gallery_page(values, parts, cases, first="Worst", why_first="Most wrong.", legend=[("skin", "#ff0000")])
    first, others = page.split("<h2>All others</h2>")
    assert first.count("<img") == N_FIRST
    assert others.count("<img") == 2
    assert '<td class="answer">no</td>' in first
    assert "skin" in first
    assert "<script" not in page
