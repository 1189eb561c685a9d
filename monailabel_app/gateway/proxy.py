"""OHIF's way to the archive: QIDO-RS, WADO-RS and STOW-RS paths only, query strings kept.

The platform's proxy drops the query string, so that OHIF shows another patient's study (MONAI Label issue 1835), and it
reaches every path of the archive's server. This one replaces it. Frames and metadata of instances that the viewer would
show wrongly are replaced, see `monailabel_app.gateway.presentation`; everything else is streamed as it is.

Who may not see every study is told nothing of the others, not even that they exist: searches are filtered, and whatever
else names no study of theirs is not found, without a question to the archive.

The archive is another party: what it answers passes only in DICOMweb's own media types, none of which a browser runs as
a page of ours, and within a time.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

import anyio
import httpx
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from monailabel_app.archive_session import read_dicom_json
from monailabel_app.dicom_json import value_of
from monailabel_app.errors import NotFoundError, PacsError
from monailabel_app.gateway.audit import concerns
from monailabel_app.gateway.guard import identity_of
from monailabel_app.gateway.presentation import METADATA_TYPE, Presentation
from monailabel_app.gateway.scope import ViewerScope, viewer_scope
from monailabel_app.studies import pacs_errors

logger = logging.getLogger(__name__)
_DEADLINE_S = 60.0  # for the beginning of an answer, or all of one that is read here
_TRANSFER_S = 600.0  # for files, up and down: 1 GiB at 2 MiB/s
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
# Any bytes may stand in a header (RFC 9110 section 5.5): they are passed as such, since httpx takes text for ASCII.
_PASSED_HEADERS = ("accept", "content-type", "if-none-match")
# PS3.18 section 8.7: nothing that a browser would run, such as HTML or SVG.
_DICOMWEB_TYPES = re.compile(
    r"application/(?:dicom|dicom\+json|json|dicom\+xml|octet-stream)|multipart/related|video/(?:mpeg|mp4|mpeg2|h265)|"
    r"image/(?:jpeg|png|gif|jp2|jpx|jph|jphc|jls|jxl|webp|dicom-rle|x-jls|x-dicom-rle)"
)
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
            with anyio.fail_after(_DEADLINE_S):
                return await client.get(f"{archive_url}/{path}", headers={b"accept": accept.encode("latin-1")})
        except (httpx.HTTPError, TimeoutError) as error:
            raise PacsError(_silent_archive(error)) from error

    presentation = Presentation(fetch)

    async def forward(request: Request, path: str, body: AsyncIterator[bytes] | None, scope: ViewerScope) -> Response:
        query = request.url.query if scope.is_everything else _without_pages(request)
        url = f"{archive_url}/{path}" + (f"?{query}" if query else "")
        passed = [name for name in _PASSED_HEADERS if name in request.headers]
        headers = httpx.Headers({name.encode(): request.headers[name].encode("latin-1") for name in passed})
        headers["accept-encoding"] = "identity"
        is_metadata = path.rstrip("/").endswith("/metadata")
        is_filtered = not scope.is_everything and (is_metadata or _SEARCH_PATH.fullmatch(path) is not None)
        if is_metadata or is_filtered:
            headers["accept"] = METADATA_TYPE  # XML, which nobody asks for, would not say what the frames hold
        if body is not None and "content-length" in request.headers:
            headers["content-length"] = request.headers["content-length"]
        upstream = client.build_request(request.method, url, headers=headers, content=body)
        deadline_s = _DEADLINE_S if body is None else _TRANSFER_S
        try:
            with anyio.fail_after(deadline_s):
                answer = await client.send(upstream, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise PacsError(_silent_archive(error)) from error
        if not _is_dicomweb(answer):
            await answer.aclose()
            return _replaced(answer)
        kept = {name: answer.headers[name] for name in _RETURNED_HEADERS if name in answer.headers}
        kept["cache-control"] = "no-store"
        status = 502 if answer.status_code == 500 else answer.status_code  # the fault is the archive's, not ours
        if is_filtered or body is not None or "json" in answer.headers.get("content-type", ""):
            content = await _whole(answer, deadline_s)
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
            return Response(_with_own_addresses(content, archive_url), status, kept)
        if answer.status_code in (204, 304):
            await answer.aclose()
            return Response(None, status, kept)
        return StreamingResponse(_closing(answer), status, kept)

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
    with pacs_errors("search for what may be seen"):
        items = read_dicom_json(content)
    kept = [item for item in items if scope.holds(value_of(item, _STUDY_UID))]
    offset, limit = (request.query_params.get(name, "") for name in ("offset", "limit"))
    start = int(offset) if offset.isdecimal() else 0
    return json.dumps(kept[start : start + int(limit) if limit.isdecimal() else None]).encode()


def _refused(path: str) -> Response:
    detail = f"{path[:80]!r} is no QIDO-RS, WADO-RS or STOW-RS path; only those are passed on"
    return JSONResponse({"detail": detail}, status_code=404)


def _is_dicomweb(answer: httpx.Response) -> bool:
    """Whether an answer may pass: in one of DICOMweb's media types, or without any content, and no redirection."""
    if answer.status_code in (204, 304):
        return True
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type and answer.headers.get("content-length") == "0":
        return True
    return not 300 <= answer.status_code < 400 and _DICOMWEB_TYPES.fullmatch(media_type) is not None


def _replaced(answer: httpx.Response) -> Response:
    """What is said instead of an answer that may not pass."""
    kind = answer.headers.get("content-type", "no content type")[:80]
    if 400 <= answer.status_code < 500:
        return JSONResponse({"detail": f"the archive answered {answer.status_code}"}, answer.status_code)
    detail = (
        f"the archive answered {answer.status_code} in {kind!r}, expected a media type of DICOMweb; check that "
        "--studies names its DICOMweb root, and see its log"
    )
    return JSONResponse({"detail": detail}, 502)


async def _whole(answer: httpx.Response, deadline_s: float) -> bytes:
    """The content of an answer that is read here.

    Raises:
        PacsError: If it does not come in time, or not in one piece.
    """
    try:
        with anyio.fail_after(deadline_s):
            return await answer.aread()
    except (httpx.HTTPError, TimeoutError) as error:
        raise PacsError(_silent_archive(error)) from error
    finally:
        await answer.aclose()


def _silent_archive(error: Exception) -> str:
    return f"the archive does not answer as it should ({type(error).__name__}); check that it runs, and see its log"


def _with_own_addresses(content: bytes, archive_url: str) -> bytes:
    """Let BulkDataURI and RetrieveURL lead through this proxy: the browser cannot reach the archive itself."""
    return content.replace(archive_url.encode(), b"/proxy/dicom/wado")


async def _closing(answer: httpx.Response) -> AsyncIterator[bytes]:
    """What comes, in time; whatever ends it too early also ends the connection to the client, who must notice."""
    ends = anyio.current_time() + _TRANSFER_S
    chunks = answer.aiter_raw()
    try:
        while True:
            with anyio.fail_after(ends - anyio.current_time()):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk
    finally:
        await answer.aclose()
