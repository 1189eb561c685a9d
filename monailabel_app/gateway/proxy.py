"""OHIF's way to the archive: QIDO-RS, WADO-RS and STOW-RS paths only, query strings kept.

The platform's proxy drops the query string, so that OHIF shows another patient's study (MONAI Label issue 1835), and it
reaches every path of the archive's server. This one replaces it. Frames and metadata of instances that the viewer would
show wrongly are replaced, see `monailabel_app.gateway.presentation`; everything else is streamed as it is.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from monailabel_app.errors import PacsError
from monailabel_app.gateway.presentation import METADATA_TYPE, Presentation

_WORD = "studies|series|instances|frames|metadata|rendered|thumbnail|bulkdata"
_SEGMENT = rf"(?:{_WORD}|[0-9A-Fa-f]{{8}}|[0-9][0-9.,]{{0,127}})"
_READ_PATH = re.compile(rf"(?:studies|series|instances)(?:/{_SEGMENT}){{0,12}}/?")
# OHIF is configured with one root per service, as the platform's proxy had them; the archive has one root.
_SERVICE = re.compile(r"^(?:qido|wado|stow)/")
_STORE_PATH = re.compile(r"studies(?:/[0-9][0-9.]{0,63})?/?")
_PASSED_HEADERS = ("accept", "content-type", "if-none-match")
_RETURNED_HEADERS = ("content-type", "content-length", "content-encoding", "etag", "warning", "last-modified")


def create_proxy(archive_url: str, credentials: tuple[str, str] | None) -> tuple[APIRouter, httpx.AsyncClient]:
    """Routes below /proxy/dicom, and the client that the owner closes at shutdown.

    Args:
        archive_url: DICOMweb root of the archive, without trailing slash.
        credentials: User and password for the archive; None sends none.
    """
    # No kept-alive connections: Orthanc drops them after a second, and a request that is sent into one is lost.
    limits = httpx.Limits(max_keepalive_connections=0)
    client = httpx.AsyncClient(auth=credentials, timeout=httpx.Timeout(60.0, connect=5.0), limits=limits)
    router = APIRouter()

    async def fetch(path: str, accept: str) -> httpx.Response:
        try:
            return await client.get(f"{archive_url}/{path}", headers={"accept": accept})
        except httpx.HTTPError as error:
            raise PacsError(_silent_archive(error)) from error

    presentation = Presentation(fetch)

    async def forward(request: Request, path: str, body: AsyncIterator[bytes] | None) -> Response:
        query = request.url.query
        url = f"{archive_url}/{path}" + (f"?{query}" if query else "")
        headers = {name: request.headers[name] for name in _PASSED_HEADERS if name in request.headers}
        headers["accept-encoding"] = "identity"
        is_metadata = path.rstrip("/").endswith("/metadata")
        if is_metadata:
            headers["accept"] = METADATA_TYPE  # XML, which nobody asks for, would not say what the frames hold
        if body is not None and "content-length" in request.headers:
            headers["content-length"] = request.headers["content-length"]
        upstream = client.build_request(request.method, url, headers=headers, content=body)
        try:
            answer = await client.send(upstream, stream=True)
        except httpx.HTTPError as error:
            return JSONResponse({"detail": _silent_archive(error)}, status_code=502)
        kept = {name: answer.headers[name] for name in _RETURNED_HEADERS if name in answer.headers}
        kept["cache-control"] = "no-store"
        if "json" in answer.headers.get("content-type", ""):
            content = await answer.aread()
            await answer.aclose()
            kept.pop("content-length", None)
            kept.pop("content-encoding", None)
            if is_metadata and answer.status_code == 200:
                content = presentation.rewrite(content)
            return Response(_with_own_addresses(content, archive_url), answer.status_code, kept)
        return StreamingResponse(_closing(answer), answer.status_code, kept)

    @router.get("/proxy/dicom/{path:path}")
    async def read(request: Request, path: str) -> Response:
        """QIDO-RS and WADO-RS."""
        path = _SERVICE.sub("", path)
        if not _READ_PATH.fullmatch(path):
            return _refused(path)
        frame = await presentation.frame(path, request.headers.get("accept", ""))
        return frame or await forward(request, path, None)

    @router.post("/proxy/dicom/{path:path}")
    async def store(request: Request, path: str) -> Response:
        """STOW-RS."""
        path = _SERVICE.sub("", path)
        if not _STORE_PATH.fullmatch(path):
            return _refused(path)
        if not request.headers.get("content-type", "").lower().startswith("multipart/related"):
            detail = 'Content-Type must be multipart/related; type="application/dicom" (STOW-RS, PS3.18)'
            return JSONResponse({"detail": detail}, status_code=415)
        return await forward(request, path, request.stream())

    return router, client


def _refused(path: str) -> Response:
    detail = f"{path[:80]!r} is no QIDO-RS, WADO-RS or STOW-RS path; only those are passed on"
    return JSONResponse({"detail": detail}, status_code=404)


def _silent_archive(error: httpx.HTTPError) -> str:
    return f"the archive does not answer ({type(error).__name__}); check that it runs"


def _with_own_addresses(content: bytes, archive_url: str) -> bytes:
    """Let BulkDataURI and RetrieveURL lead through this proxy: the browser cannot reach the archive itself."""
    return content.replace(archive_url.encode(), b"/proxy/dicom/wado")


async def _closing(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
