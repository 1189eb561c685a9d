"""Self-contained HTML pages of evaluations: the frame that all have, and one of tables and cases."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from mammosynth.evaluation.evaluation import Part

N_FIRST = 6
"""Cases that are shown apart."""


def page_environment() -> Environment:
    """Templates that extend "page.html", whose blocks are `style` and `content`; text of others is escaped."""
    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        loader=PackageLoader("mammosynth.evaluation", "pages"),
    )


def gallery_page(
    values: Mapping[str, Any],
    parts: Sequence[Part],
    cases: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]],
    *,
    first: str,
    why_first: str,
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    """A page of the report's tables and of every case.

    Args:
        values: Of an evaluation: `models`, `task` and `split` make the title.
        parts: Of its report.
        cases: Name, and titles with pictures, uint8 grey or colour; the order in which they are shown.
        first: What the first six cases are.
        why_first: Why these.
        legend: Names and colours of what is drawn, if anything is.
    """
    names = ", ".join(f"{model['name']} {model['version']}" for model in values["models"].values())
    return (
        page_environment()
        .get_template("gallery.html")
        .render(
            title=f"{names}: {values['task']}, split {values['split']}",
            parts=parts,
            cases=[(name, [(title, png_url(picture)) for title, picture in panels]) for name, panels in cases],
            n_first=N_FIRST,
            first=first,
            why_first=why_first,
            legend=legend,
        )
    )


def png_url(pixels: np.ndarray, *, reduction: int = 1) -> str:
    """A picture as the address of itself.

    Args:
        pixels: (H, W) or (H, W, 3 or 4) uint8.
        reduction: Side in pixels of the squares that become one.
    """
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).reduce(reduction).save(stream, "PNG", optimize=True)
    return png_bytes_url(stream.getvalue())


def png_bytes_url(png: bytes) -> str:
    """Likewise, of a file's bytes."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
