"""The page at /reading, on which an owner runs reader studies in the browser: plain modules, without a framework."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

import monailabel_app
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.answers import NO_FOREIGN_FRAME

_FOLDER = Path(monailabel_app.__file__).parent / "viewers" / "reading_owner"
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
)
_HEADERS = {"cache-control": "no-store"}


def create_reading_owner() -> APIRouter:
    """The page and what it loads."""
    router = APIRouter(prefix="/reading", include_in_schema=False)
    files = {path.name: path for path in _FOLDER.iterdir() if path.suffix in _TYPES}

    @router.get("")
    def page() -> Response:
        policy = {"content-security-policy": _POLICY + NO_FOREIGN_FRAME}
        return FileResponse(_FOLDER / "index.html", media_type="text/html", headers=_HEADERS | policy)

    @router.get("/page/{name}")
    def file(name: str) -> Response:
        if name not in files:
            raise NotFoundError(f"the page has no file {name[:64]!r}")
        return FileResponse(files[name], media_type=_TYPES[files[name].suffix], headers=_HEADERS)

    return router
