"""The pre-built OHIF that MONAI Label ships, with our configuration.

Served from here because the platform's own route cannot serve nested files (MONAI Label 0.8.5, endpoints/ohif.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import monailabel
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

import monailabel_app
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.answers import NO_FOREIGN_FRAME, inline_scripts
from monailabel_app.gateway.guard import identity_of
from monailabel_app.gateway.scope import READING, ViewerScope, viewer_scope

EXTENSIONS = Path(monailabel_app.__file__).parent / "viewers" / "ohif"
ROOT = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"
# Page and style sheet ask a font server on the internet, which would tell it who reads mammograms here.
_FONTS = re.compile(
    r"<link[^>]+fonts\.(?:googleapis|gstatic)\.com[^>]*>|@import url\(https://fonts\.googleapis[^)]*\);"
)
_ICONS, _ICONS_HERE = '"/assets/', '"/ohif/assets/'  # the manifest takes the root of the server for the viewer's
_MENDED = {"index.html": "text/html", "app.bundle.css": "text/css", "manifest.json": "application/manifest+json"}
_NAMED_BY_CONTENT = re.compile(r"(?:^|[./])[0-9a-f]{20}\.(?:js|wasm)$")  # other content has another name
_FOR_EVER = "private, max-age=31536000, immutable"
_CONFIG: dict[str, Any] = {
    "routerBasename": "/ohif/",
    "investigationalUseDialog": {"option": "never"},
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "useSharedArrayBuffer": "FALSE",
    "defaultDataSourceName": "dicomweb",
}
_DATA_SOURCE = {
    "friendlyName": "MammoSynth archive",
    "name": "MammoSynth",
    "qidoSupportsIncludeField": True,
    "supportsReject": False,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "enableStudyLazyLoad": True,
    "supportsFuzzyMatching": False,
    "supportsWildcard": True,
    "bulkDataURI": {"enabled": True},
}
_CONFIG_ADDRESS, _READING_CONFIG_ADDRESS = "/ohif/app-config.js", "/ohif/reading-config.js"
_READING_PAGE = "reading"  # the route of our mode for reader studies


def create_ohif() -> APIRouter:
    """Routes below /ohif; every address that is no file answers with the single page."""
    router = APIRouter()
    pages = {
        name: Response(_mended((ROOT / name).read_text(encoding="utf-8")), media_type=media_type)
        for name, media_type in _MENDED.items()
    }
    page = pages["index.html"].body.decode()
    pages["index.html"].headers["content-security-policy"] = _page_policy(page)
    headers = {"content-security-policy": _page_policy(page)}
    reading_page = HTMLResponse(page.replace(_CONFIG_ADDRESS, _READING_CONFIG_ADDRESS), headers=headers)
    extensions = {path.name: path for path in sorted(EXTENSIONS.glob("*.js"))}
    files = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*") if path.is_file()}

    @router.get("/", include_in_schema=False)
    @router.get("/ohif", include_in_schema=False)
    def root() -> Response:
        return RedirectResponse("/ohif/")

    @router.get("/ohif/app-config.js", include_in_schema=False)
    def app_config(request: Request) -> Response:
        return _config(viewer_scope(identity_of(request)))

    @router.get("/ohif/reading-config.js", include_in_schema=False)
    def reading_config() -> Response:
        """For owners, too, who read in a study of theirs."""
        return _config(READING)

    @router.get("/ohif/extensions/{name}", include_in_schema=False)
    def extension(name: str) -> Response:
        if name not in extensions:
            raise NotFoundError(f"no viewer module {name!r}, expected one of {', '.join(extensions)}")
        return FileResponse(extensions[name], media_type="text/javascript", headers={"cache-control": "no-store"})

    @router.get("/ohif/{path:path}", include_in_schema=False)
    def static(path: str, request: Request) -> Response:
        if path in files and path != "index.html":
            headers = {"cache-control": _FOR_EVER} if _NAMED_BY_CONTENT.search(path) else None
            return pages.get(path) or FileResponse(files[path], headers=headers)
        if path == _READING_PAGE:
            return reading_page
        if viewer_scope(identity_of(request)) == READING:
            return RedirectResponse("/reading-room")
        return pages["index.html"]

    return router


def _mended(text: str) -> str:
    return _FONTS.sub("", text).replace(_ICONS, _ICONS_HERE)


def _config(scope: ViewerScope) -> Response:
    """The viewer's configuration for what somebody may see."""
    roots = {"qidoRoot": "qido", "wadoRoot": "wado", "wadoUriRoot": "wado"}
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "dicomweb",
        "configuration": _DATA_SOURCE | {name: f"{scope.dicom}/{service}" for name, service in roots.items()},
    }
    shown = {
        "showStudyList": scope.show_study_list,
        "extensions": scope.extensions,
        "modes": scope.modes,
        "dataSources": [source],
    }
    config = f"window.config = {json.dumps(_CONFIG | shown)};"
    return Response(config, media_type="text/javascript", headers={"cache-control": "no-store"})


def _page_policy(page: str) -> str:
    """What the viewer's page may do: run our own scripts and its inline ones by their hashes, and ask this server only.

    OHIF 3.10 decodes pixels in WebAssembly and in workers that it makes of blobs, and sets styles in elements.
    """
    return (
        f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {inline_scripts(page)}; worker-src 'self' blob:; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; font-src 'self' data:; "
        "connect-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; " + NO_FOREIGN_FRAME
    )


def viewer_url(study_instance_uids: str, series_instance_uids: list[str]) -> str:
    """The address, on this server, that opens the study and hangs the first two of the given series side by side.

    Those of several studies, separated by commas, hang together as well. One series alone fills the screen.

    Not `SeriesInstanceUIDs`: OHIF would load only those, and complain about every series that is made afterwards.
    """
    query = {
        "StudyInstanceUIDs": study_instance_uids,
        "initialSeriesInstanceUID": ",".join(series_instance_uids),
        "hangingprotocolId": "mammosynth.pair" if len(series_instance_uids) > 1 else "mammosynth.single",
    }
    return "/ohif/synthesis?" + urlencode(query, safe=",@/")
