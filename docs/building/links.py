"""Where a link of a page leads on the site, if it leads out of docs/ in the repository."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from docs.building.python import page_of

ROOT = Path(__file__).parents[2]
PAGES_ELSEWHERE = {
    **{f"models/{card.parts[-3]}.md": card.relative_to(ROOT).as_posix()
       for card in sorted(ROOT.glob("model_zoo/*/docs/README.md"))},
    "how-to/slicer-module.md": "monailabel_app/viewers/slicer/README.md",
    "project/changelog.md": "CHANGELOG.md",
    "project/contributing.md": "CONTRIBUTING.md",
}  # fmt: skip
"""Pages of the site that stand elsewhere in the repository, and where."""
_SAME = {"README.md": "index.md", **{source: page for page, source in PAGES_ELSEWHERE.items()}}
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
_FENCED = re.compile(r"(^[ ]*```.*?^[ ]*```[ ]*$)", re.DOTALL | re.MULTILINE)
_PICTURES = (".png", ".jpg")
_MADE = ("docs/reference/python/", "docs/models/", "docs/project/", "docs/notebooks/", "docs/how-to/slicer-module")


def pictures_elsewhere() -> dict[str, str]:
    """Pictures of model cards: where the site has them, and the repository."""
    found = [path for path in ROOT.glob("model_zoo/*/docs/*") if path.suffix in _PICTURES]
    return {f"models/{path.parts[-3]}-{path.name}": path.relative_to(ROOT).as_posix() for path in sorted(found)}


def rewritten(markdown: str, page: str, source: str) -> tuple[str, list[str]]:
    """The text of a page with links that hold on the site.

    Args:
        markdown: As the repository has it.
        page: The page's place on the site.
        source: Its place in the repository.

    Returns:
        The text, and targets that the repository does not have.
    """
    dead: list[str] = []

    def replace(match: re.Match[str]) -> str:
        target, _, anchor = match["target"].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = os.path.normpath(PurePosixPath(source).parent / target)
        if path not in _SAME.values() and not (ROOT / path).exists() and not path.startswith(_MADE):
            dead.append(match["target"])
        place, own_anchor = _place(path)
        if not place:
            return match["text"]
        relative = os.path.relpath(place, PurePosixPath(page).parent)
        return f"{match['image']}[{match['text']}]({'#'.join(filter(None, (relative, anchor or own_anchor)))})"

    parts = _FENCED.split(markdown)  # every other one is code
    return "".join(part if number % 2 else _LINK.sub(replace, part) for number, part in enumerate(parts)), dead


def _place(path: str) -> tuple[str, str]:
    """Page of the site and anchor for a path of the repository; "" if the site has nothing of it."""
    pictures = {source: page for page, source in pictures_elsewhere().items()}
    if known := (_SAME | pictures).get(path):
        return known, ""
    if path.startswith("docs/notebooks/"):
        return path.removeprefix("docs/").replace(".ipynb", ".md"), ""
    if path.startswith("docs/"):
        return ("" if (ROOT / path).is_dir() else path.removeprefix("docs/")), ""
    return page_of(path) if path.startswith("lib/") else ("", "")
