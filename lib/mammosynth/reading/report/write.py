"""`write_results`: the report of a closed study, and all that it is made from, in a folder."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from mammosynth.atomic import write_bytes, write_json
from mammosynth.reading.analysis.analyse import analyse_study
from mammosynth.reading.analysis.closed_study import ClosedStudy
from mammosynth.reading.export import write_tables
from mammosynth.reading.report.figures import Drawn, figures
from mammosynth.reading.report.words import HEADINGS, flow, lines, methods, p_value, reader_lines

_SIMULATED = "Simulated readers: no person has read these cases."
_SAME_EACH_TIME: Any = {"svg.hashsalt": "mammosynth", "svg.fonttype": "path", "font.family": "DejaVu Sans"}
_NO_FORMULAS: Any = {"text.parse_math": False}  # titles may have dollar signs
_NO_DATES = {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None}
_A4 = (8.27, 11.69)  # inches
_WIDTHS = (0.27, 0.36, 0.08, 0.15, 0.07, 0.07)
_CHARACTERS = (34, 46, 9, 18, 8, 8)
_LINES_A_PAGE = 62


def write_results(
    study: ClosedStudy, folder: Path, progress: Callable[[int, int, str], None] = lambda *_: None
) -> list[str]:
    """Analyse a study and write report.html, report.pdf, results.json and the tables.

    The same records give the same bytes.

    Args:
        study: Closed and verified.
        folder: Made if it is absent; files in it are replaced.
        progress: See `analyse_study`.

    Returns:
        A line for each comparison.

    Raises:
        OutputError: If a file cannot be written.
    """
    protocol, results = study.protocol, analyse_study(study, progress)
    write_json(folder / "results.json", results, indent=2)
    write_tables(study, folder)
    found = lines(protocol, results)
    words: dict[str, Any] = {
        "title": protocol.title,
        "study": protocol.name,
        "description": protocol.description,
        "is_simulated": results["is_simulated"],
        "opened": results["flow"]["opened"][:16].replace("T", " "),
        "closed": results["flow"]["closed"][:16].replace("T", " "),
        "protocol_sha256": results["protocol_sha256"],
        "head": results["head"],
        "flow": flow(protocol, results),
        "headings": HEADINGS,
        "tables": [
            ("Endpoints", [line.cells() for line in found]),
            ("Readers", [line.cells()[:4] for line in reader_lines(protocol, results)]),
        ],
        "methods": methods(protocol, results),
    }
    with rc_context({**_SAME_EACH_TIME, **_NO_FORMULAS}):
        drawn = figures(protocol, study.answers, results, found)
        write_bytes(folder / "report.html", _page(words, drawn).encode())
        write_bytes(folder / "report.pdf", _pdf(words, drawn))
    return [
        f"{name}: p {p_value(test['p'])}, adjusted {p_value(test['adjusted_p'])}"
        for name, test in results["tests"].items()
    ]


def _page(words: Mapping[str, Any], drawn: Sequence[Drawn]) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("mammosynth.reading.report").joinpath("page.html").read_text("utf-8"))
    pictures = [{"title": each.title, "note": each.note, "svg": Markup(_svg(each.figure))} for each in drawn]  # noqa: S704
    return template.render(**words, figures=pictures)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"^.*?(?=<svg)", "", stream.getvalue(), flags=re.DOTALL)


def _pdf(words: Mapping[str, Any], drawn: Sequence[Drawn]) -> bytes:
    stream = io.BytesIO()
    with PdfPages(stream, metadata=_NO_DATES) as pages:
        tables = [page for title, rows in words["tables"] for page in _table(title, rows)]
        for page in (*_front(words), *tables, *(_framed(each) for each in drawn)):
            pages.savefig(page)
    return stream.getvalue()


def _front(words: Mapping[str, Any]) -> list[Figure]:
    """Title, flow and methods; on further pages if they are long."""
    parts: list[tuple[str, str]] = [
        *([("Warning", _SIMULATED)] if words["is_simulated"] else []),
        ("Study", f"{words['study']}, opened {words['opened']}, closed {words['closed']} (UTC)"),
        ("Protocol SHA-256", words["protocol_sha256"]),
        ("Last record", words["head"]),
        *([("Description", words["description"])] if words["description"] else []),
        *words["flow"],
        ("Methods", words["methods"]),
    ]
    texts = [line for heading, text in parts for line in (heading, *textwrap.wrap(text, 98), "")]
    headings = {heading for heading, _ in parts}
    pages = []
    for start in range(0, len(texts), _LINES_A_PAGE):
        page = Figure(figsize=_A4)
        if start == 0:
            page.text(0.07, 0.95, "\n".join(textwrap.wrap(words["title"], 62)), fontsize=14, weight="bold", va="top")
        for number, text in enumerate(texts[start : start + _LINES_A_PAGE]):
            weight = "bold" if text in headings else "normal"
            page.text(0.07, 0.885 - number * 0.0137, text, fontsize=8.5, weight=weight, va="top")
        pages.append(page)
    return pages


def _table(title: str, rows: Sequence[Sequence[str]]) -> list[Figure]:
    pages: list[Figure] = []
    used = _LINES_A_PAGE
    for cells in rows:
        wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, _CHARACTERS, strict=False)]
        height = max(map(len, wrapped))
        if used + height > _LINES_A_PAGE:
            pages.append(Figure(figsize=_A4))
            pages[-1].text(0.07, 0.95, title, fontsize=12, weight="bold", va="top")
            _row(pages[-1], [[heading] for heading in HEADINGS[: len(cells)]], 0, "bold")
            used = 2
        _row(pages[-1], wrapped, used, "normal")
        used += height
    return pages


def _row(page: Figure, cells: Sequence[Sequence[str]], line: int, weight: str) -> None:
    left = 0.07
    for texts, width in zip(cells, _WIDTHS, strict=False):
        for number, text in enumerate(texts):
            y = 0.915 - (line + number) * 0.0137
            page.text(left, y, text, fontsize=6.8, weight=weight, va="top")
        left += width * 0.87


def _framed(drawn: Drawn) -> Figure:
    """A figure with its words below, on a page of its own size."""
    figure = drawn.figure
    figure.suptitle("\n".join(textwrap.wrap(drawn.title, 70)), fontsize=10)
    figure.supxlabel("\n".join(textwrap.wrap(drawn.note, 100)), fontsize=7)
    return figure
