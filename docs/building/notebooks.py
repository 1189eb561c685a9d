"""Notebooks as pages: their words and code; what they print is left to who runs them."""

from __future__ import annotations

from pathlib import Path

import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks"


def names() -> list[str]:
    """The entries of the table of contents."""
    return [f"notebooks/{path.stem}.md" for path in sorted(FOLDER.glob("*.ipynb"))]


def pages() -> dict[str, str]:
    """The pages' text, by name."""
    return {f"notebooks/{path.stem}.md": _page(path) for path in sorted(FOLDER.glob("*.ipynb"))}


def _page(path: Path) -> str:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.source.strip()]
    told = f"*A notebook, `docs/notebooks/{path.name}`; the tests run it.*"
    parts = [cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```" for cell in cells]
    return "\n\n".join([parts[0], told, *parts[1:]]) + "\n"
