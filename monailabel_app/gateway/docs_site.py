"""The documentation, as `make docs` built it, from this server: nobody needs the internet to read it."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

import monailabel_app
from monailabel_app.gateway.answers import NO_FOREIGN_FRAME, inline_scripts

SITE = Path(monailabel_app.__file__).parent / "site"
PREFIX = "/docs-site"
_MISSING = """<!doctype html><html lang="en"><title>MammoSynth</title>
<h1>{title}</h1><p>{text}</p>"""
_NOT_BUILT = (
    "The documentation is not built here",
    "Run <code>make docs</code> in MammoSynth's repository and start the server again. Until then it can be read as "
    "text in the folder <code>docs</code>.",
)
_NO_PAGE = "No such page", '<a href="/docs-site/">The documentation</a> has no page of this address.'


def create_docs_site(folder: Path = SITE) -> APIRouter:
    """Routes below /docs-site.

    Args:
        folder: Where the site was built; what is not there at the start of the server is not served.
    """
    router = APIRouter(prefix=PREFIX, include_in_schema=False)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}

    @router.get("")
    def root() -> Response:
        return RedirectResponse(f"{PREFIX}/")

    @router.get("/{name:path}")
    def file(name: str) -> Response:
        path = files.get(name or "index.html")
        if path is None:
            title, text = _NO_PAGE if files else _NOT_BUILT
            return HTMLResponse(_MISSING.format(title=title, text=text), 404)
        if path.suffix != ".html":
            return FileResponse(path)
        page = path.read_text(encoding="utf-8")
        return HTMLResponse(page, headers={"content-security-policy": _page_policy(page)})

    return router


def _page_policy(page: str) -> str:
    """What a page may do: run the site's scripts and its own inline ones by their hashes, and ask this server only.

    Its theme searches in a worker and sets styles in elements.
    """
    return (
        f"default-src 'none'; script-src 'self' {inline_scripts(page)}; worker-src 'self'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; " + NO_FOREIGN_FRAME
    )
