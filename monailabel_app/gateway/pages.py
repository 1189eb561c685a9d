"""A page of ours: plain HTML with modules and a style sheet beside it in one folder, without a framework."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

import monailabel_app
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.answers import NO_FOREIGN_FRAME

_FOLDER = Path(monailabel_app.__file__).parent / "viewers"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; " + NO_FOREIGN_FRAME
)
_NO_STORE = {"cache-control": "no-store"}


def create_page(prefix: str, viewer: str) -> APIRouter:
    """Routes of a page: itself at the prefix, what it loads below `/page`.

    Args:
        prefix: Where it is, such as /reading.
        viewer: Its folder among the viewers.
    """
    router = APIRouter(prefix=prefix, include_in_schema=False)
    folder = _FOLDER / viewer
    files = {path.name: path for path in folder.iterdir() if path.suffix in _TYPES}

    @router.get("")
    def page() -> Response:
        headers = _NO_STORE | {"content-security-policy": _POLICY}
        return FileResponse(folder / "index.html", media_type="text/html", headers=headers)

    @router.get("/page/{name}")
    def file(name: str) -> Response:
        if name not in files:
            raise NotFoundError(f"the page has no file {name[:64]!r}")
        return FileResponse(files[name], media_type=_TYPES[files[name].suffix], headers=_NO_STORE)

    return router
