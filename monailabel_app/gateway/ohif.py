"""The pre-built OHIF that MONAI Label ships, with our configuration.

Served from here because the platform's own route cannot serve nested files (MONAI Label 0.8.5, endpoints/ohif.py).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlencode

import monailabel
from fastapi import APIRouter
from fastapi.responses import FileResponse, RedirectResponse, Response

ROOT = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"
# index.html asks a font server on the internet, which tells it who reads mammograms here.
_FONTS = re.compile(r"<link[^>]+(?:fonts\.googleapis\.com|fonts\.gstatic\.com)[^>]*>")
_CONFIG = {
    "routerBasename": "/ohif/",
    "showStudyList": True,
    "extensions": [],
    "modes": [],
    "investigationalUseDialog": {"option": "never"},
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "useSharedArrayBuffer": "FALSE",
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": {
                "friendlyName": "MammoSynth archive",
                "name": "MammoSynth",
                "qidoRoot": "/proxy/dicom/qido",
                "wadoRoot": "/proxy/dicom/wado",
                "wadoUriRoot": "/proxy/dicom/wado",
                "qidoSupportsIncludeField": True,
                "supportsReject": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": True,
                "bulkDataURI": {"enabled": True},
            },
        }
    ],
}


def create_ohif() -> APIRouter:
    """Routes below /ohif; every address that is no file answers with the single page."""
    router = APIRouter()
    config = f"window.config = {json.dumps(_CONFIG)};"
    page = _FONTS.sub("", (ROOT / "index.html").read_text(encoding="utf-8"))
    files = {path.relative_to(ROOT).as_posix(): path for path in ROOT.rglob("*") if path.is_file()}

    @router.get("/", include_in_schema=False)
    @router.get("/ohif", include_in_schema=False)
    def root() -> Response:
        return RedirectResponse("/ohif/")

    @router.get("/ohif/app-config.js", include_in_schema=False)
    def app_config() -> Response:
        return Response(config, media_type="text/javascript", headers={"cache-control": "no-store"})

    @router.get("/ohif/{path:path}", include_in_schema=False)
    def static(path: str) -> Response:
        file = files.get(path)
        if file is None or path == "index.html":
            return Response(page, media_type="text/html", headers={"cache-control": "no-store"})
        return FileResponse(file)

    return router


def viewer_url(study_instance_uid: str, series_instance_uids: list[str]) -> str:
    """The address, on this server, that hangs the given series side by side."""
    query = {
        "StudyInstanceUIDs": study_instance_uid,
        "SeriesInstanceUIDs": ",".join(series_instance_uids),
        "hangingprotocolId": "@ohif/mnGrid",
    }
    return "/ohif/viewer?" + urlencode(query, safe=",@/")
