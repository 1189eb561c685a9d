"""OHIF's way to the archive: QIDO-RS, WADO-RS and STOW-RS paths only, query strings kept.

The platform's proxy drops the query string, so that OHIF shows another patient's study (MONAI Label issue 1835), and it
reaches every path of the archive's server. This one replaces it. Frames and metadata of instances that the viewer would
show wrongly are replaced, see `monailabel_app.gateway.presentation`; everything else is streamed as it is.

Who may not see every study is told nothing of the others, not even that they exist: searches are filtered, and whatever
else names no study of theirs is not found, without a question to the archive.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from monailabel_app.dicom_json import value_of
from monailabel_app.errors import NotFoundError, PacsError
from monailabel_app.gateway.audit import concerns
from monailabel_app.gateway.guard import identity_of
from monailabel_app.gateway.presentation import METADATA_TYPE, Presentation
from monailabel_app.gateway.scope import ViewerScope, viewer_scope

_WORD = "studies|series|instances|frames|metadata|rendered|thumbnail|bulkdata"
_SEGMENT = rf"(?:{_WORD}|[0-9A-Fa-f]{{8}}|[0-9][0-9.,]{{0,127}})"
_READ_PATH = re.compile(rf"(?:studies|series|instances)(?:/{_SEGMENT}){{0,12}}/?")
# OHIF is configured with one root per service, as the platform's proxy had them; the archive has one root.
_SERVICE = re.compile(r"^(?:qido|wado|stow)/")
_OF_STUDY = re.compile(r"studies/([0-9][0-9.]{0,63})(?:/(?!.*studies).*)?")
_SEARCH_PATH = re.compile(r"(?:studies|(?:studies/[0-9.]+/(?:series/[0-9.]+/)?)?(?:series|instances))/?")
_STUDIES_PATH = re.compile(r"studies/?")
_STUDY_UID = "0020000D"
_NOT_NAMED = "name the study, as in studies/UID: what lies outside it is not shown to you"
_STORE_PATH = re.compile(r"studies(?:/[0-9][0-9.]{0,63})?/?")
_PASSED_HEADERS = ("accept", "content-type", "if-none-match")
_RETURNED_HEADERS = ("content-type", "content-length", "content-encoding", "etag", "warning", "last-modified")


def create_proxy(
    archive_url: str,
    credentials: tuple[str, str] | None,
    scope_of: Callable[[Request], ViewerScope] = lambda request: viewer_scope(identity_of(request)),
) -> tuple[APIRouter, httpx.AsyncClient]:
    """Routes below /proxy/dicom, and the client that the owner closes at shutdown.

    Args:
        archive_url: DICOMweb root of the archive, without trailing slash.
        credentials: User and password for the archive; None sends none.
        scope_of: What whoever asks may see.
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

    async def forward(request: Request, path: str, body: AsyncIterator[bytes] | None, scope: ViewerScope) -> Response:
        query = request.url.query if scope.is_everything else _without_pages(request)
        url = f"{archive_url}/{path}" + (f"?{query}" if query else "")
        headers = {name: request.headers[name] for name in _PASSED_HEADERS if name in request.headers}
        headers["accept-encoding"] = "identity"
        is_metadata = path.rstrip("/").endswith("/metadata")
        is_filtered = not scope.is_everything and (is_metadata or _SEARCH_PATH.fullmatch(path) is not None)
        if is_metadata or is_filtered:
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
        if is_filtered or body is not None or "json" in answer.headers.get("content-type", ""):
            content = await answer.aread()
            await answer.aclose()
            kept.pop("content-length", None)
            kept.pop("content-encoding", None)
            if body is not None:
                concerns(request, content.decode("utf-8", "replace"))
            if is_filtered and answer.status_code == 200:
                content = _within(content, scope, request)
                for name in ("etag", "warning"):  # of all that was found
                    kept.pop(name, None)
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
        scope = scope_of(request)
        _check_visible(path, scope)
        if scope.study_instance_uids == frozenset():
            return JSONResponse([], media_type=METADATA_TYPE)
        frame = await presentation.frame(path, request.headers.get("accept", ""))
        return frame or await forward(request, path, None, scope)

    @router.post("/proxy/dicom/{path:path}")
    async def store(request: Request, path: str) -> Response:
        """STOW-RS."""
        path = _SERVICE.sub("", path)
        if not _STORE_PATH.fullmatch(path):
            return _refused(path)
        scope = scope_of(request)
        if not scope.is_everything:
            if _STUDIES_PATH.fullmatch(path):
                raise NotFoundError(_NOT_NAMED)
            _check_visible(path, scope)
        if not request.headers.get("content-type", "").lower().startswith("multipart/related"):
            detail = 'Content-Type must be multipart/related; type="application/dicom" (STOW-RS, PS3.18)'
            return JSONResponse({"detail": detail}, status_code=415)
        return await forward(request, path, request.stream(), scope)

    return router, client


def _check_visible(path: str, scope: ViewerScope) -> None:
    """Refuse a path that is neither in a study of the scope nor a search, whose answer is filtered.

    Raises:
        NotFoundError: In the same words whether the archive has it or not.
    """
    if scope.is_everything or (_SEARCH_PATH.fullmatch(path) and not path.startswith("studies/")):
        return
    of_study = _OF_STUDY.fullmatch(path)
    if of_study is None:
        raise NotFoundError(_NOT_NAMED)
    if not scope.holds(of_study[1]):
        raise NotFoundError(f"no study {of_study[1]} in the archive")


def _without_pages(request: Request) -> str:
    """The query without limit and offset, which count what is left by the filter."""
    items = request.query_params.multi_items()
    return urlencode([(name, value) for name, value in items if name not in ("limit", "offset")])


def _within(content: bytes, scope: ViewerScope, request: Request) -> bytes:
    """The answer to a search or for metadata without what is outside the scope."""
    try:
        items = json.loads(content or b"[]")
    except ValueError as error:
        raise PacsError("the archive answered a search otherwise than asked, not in JSON; see its log") from error
    kept = [item for item in items if scope.holds(value_of(item, _STUDY_UID))]
    offset, limit = (request.query_params.get(name, "") for name in ("offset", "limit"))
    start = int(offset) if offset.isdecimal() else 0
    return json.dumps(kept[start : start + int(limit) if limit.isdecimal() else None]).encode()


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
