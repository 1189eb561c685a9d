"""The Python reference: a page for each room, which mkdocstrings fills from docstrings."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_LIB = _ROOT / "lib"
_LEFT_OUT = ("__main__", "migrations", "commands")  # commands have a reference of their own


@cache
def rooms() -> dict[str, tuple[str, ...]]:
    """Modules with something public, by the package that holds them."""
    found: dict[str, list[str]] = {}
    for path in sorted(_LIB.rglob("*.py")):
        parts = path.relative_to(_LIB).with_suffix("").parts
        if set(parts) & set(_LEFT_OUT) or not _has_public(path):
            continue
        package = ".".join(parts[:-1])
        found.setdefault(package, []).append(package if parts[-1] == "__init__" else ".".join(parts))
    return {package: tuple(modules) for package, modules in found.items()}


def names() -> list[dict[str, str]]:
    """The entries of the table of contents."""
    return [{package: f"reference/python/{package}.md"} for package in rooms()]


def pages() -> dict[str, str]:
    """The pages' text, by name."""
    made = {f"reference/python/{package}.md": _page(package, modules) for package, modules in rooms().items()}
    rows = [f"| [`{package}`]({package}.md) | {_first_sentence(package)} |" for package in rooms()]
    made["reference/python/index.md"] = (
        "# Python\n\nFrom the docstrings of `mammosynth`, which knows no platform. A notebook needs few of these: "
        "`mammosynth.files.read_image`, `mammosynth.bundle.load_bundle`, `Bundle.synthesize`, "
        "`mammosynth.files.write_image`; [programs](../../how-to/programs.md) shows how.\n\n"
        "| package | what |\n|---|---|\n" + "\n".join(rows) + "\n"
    )
    return made


def page_of(path: str) -> tuple[str, str]:
    """Page and anchor of a file or folder below lib/; "" if nothing of it is public."""
    module = ".".join(Path(path).relative_to("lib").with_suffix("").parts)
    for package, modules in rooms().items():
        if module in modules:
            return f"reference/python/{package}.md", module
        if module == package:
            return f"reference/python/{package}.md", ""
    return "", ""


def _page(package: str, modules: tuple[str, ...]) -> str:
    return f"# {package}\n\n" + "\n\n".join(f"::: {module}" for module in modules) + "\n"


def _first_sentence(package: str) -> str:
    init = _LIB.joinpath(*package.split("."), "__init__.py")
    text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _has_public(path: Path) -> bool:
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) and not node.name.startswith("_") for node in nodes)
