"""The DICOMweb routes (PS3.18): QIDO-RS, WADO-RS, STOW-RS and the removal of what this software made."""

import json
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.message import Message
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi import Path as InUrl
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from requests_toolbelt import MultipartDecoder
from requests_toolbelt.multipart.decoder import ImproperBodyPartContentException, NonMultipartContentTypeException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from monailabel_app.dicom_json import Uid
from monailabel_app.pacs.index import Progress
from monailabel_app.pacs.instances import Attributes, StoredInstance
from monailabel_app.pacs.pixels import UnavailableFrameError, UndecodableFrameError, read_frames, render
from monailabel_app.pacs.query import InvalidQueryError, Level, answer, parse_query
from monailabel_app.pacs.store import NotRemovableError, RefusedInstanceError, Store

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
MAX_BODY_BYTES = 512 * 1024 * 1024  # of one STOW request: dozens of uncompressed mammograms
MAX_PARTS = 10_000  # of one STOW request; taking one apart takes longer than reading it
THUMBNAIL_SIZE = 256  # pixels

_DICOM_JSON = "application/dicom+json"
_CHUNK_BYTES = 1 << 20

Frames = Annotated[str, InUrl(pattern=r"^[1-9][0-9]{0,5}(,[1-9][0-9]{0,5})*$")]


def create_store_app(
    folder: Path,
    *,
    index_folder: Path,
    credentials: tuple[str, str] | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    progress: Progress | None = None,
) -> FastAPI:
    """A DICOMweb service below `/dicom-web` over a folder; answers only to loopback host names, never across origins.

    Files below `folder` are served as they are. New instances go to `<study>/<series>/<instance>.dcm`, and are
    acknowledged once they are durable. Retrieval returns the stored bytes; frames are decoded unless the client names
    the stored transfer syntax. One app per folder; `app.state.store` is its `Store`.

    Args:
        folder: Created if absent.
        index_folder: For the index, which may be deleted at any time.
        credentials: User and password for HTTP Basic; None lets everybody on this machine in.
        max_body_bytes: Largest STOW request.
        progress: Told every two seconds how many files have been read, and how many there are to read; the first start
            over a folder reads all. None writes it to the log.

    Raises:
        FolderInUseError: If another server has the folder.
        OSError: If one of the folders cannot be used.
    """
    store = Store(folder, index_folder=index_folder, progress=progress)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(title="MammoSynth embedded PACS", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.store = store
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK_HOSTS), www_redirect=False)
    app.add_exception_handler(RequestValidationError, _explain_invalid_url)
    guards = [] if credentials is None else [Depends(_basic_guard(*credentials))]
    routers = _query_routes(store), _retrieve_routes(store), _pixel_routes(store), _change_routes(store, max_body_bytes)
    for router in routers:
        app.include_router(router, prefix="/dicom-web", dependencies=guards)
    return app


def _query_routes(store: Store) -> APIRouter:
    routes = APIRouter()

    def search(request: Request, level: Level, study: str | None = None, series: str | None = None) -> Response:
        try:
            query = parse_query(request.query_params.multi_items())
        except InvalidQueryError as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error
        index = store.index
        index.refresh(now=False)
        one = None if study is None else index.study(study)
        studies = index.studies() if study is None else [one] if one else []
        url_of = partial(_url_of, request, level=level)
        found = answer(studies, level, query, url_of, elements=index, series=series)
        return Response(found, media_type=_DICOM_JSON)

    @routes.get("/studies")
    def search_studies(request: Request) -> Response:
        return search(request, Level.STUDY)

    @routes.get("/series")
    def search_series(request: Request) -> Response:
        return search(request, Level.SERIES)

    @routes.get("/instances")
    def search_instances(request: Request) -> Response:
        return search(request, Level.INSTANCE)

    @routes.get("/studies/{study}/series")
    def search_series_of_study(request: Request, study: Uid) -> Response:
        return search(request, Level.SERIES, study)

    @routes.get("/studies/{study}/instances")
    def search_instances_of_study(request: Request, study: Uid) -> Response:
        return search(request, Level.INSTANCE, study)

    @routes.get("/studies/{study}/series/{series}/instances")
    def search_instances_of_series(request: Request, study: Uid, series: Uid) -> Response:
        return search(request, Level.INSTANCE, study, series)

    return routes


def _retrieve_routes(store: Store) -> APIRouter:
    routes = APIRouter()

    def metadata(study: str, series: str | None = None, instance: str | None = None) -> Response:
        texts = [store.index.metadata(found) for found in _find(store, study, series, instance)]
        return Response(f"[{','.join(texts)}]", media_type=_DICOM_JSON)

    @routes.get("/studies/{study}/metadata")
    def study_metadata(study: Uid) -> Response:
        return metadata(study)

    @routes.get("/studies/{study}/series/{series}/metadata")
    def series_metadata(study: Uid, series: Uid) -> Response:
        return metadata(study, series)

    @routes.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
    def instance_metadata(study: Uid, series: Uid, instance: Uid) -> Response:
        return metadata(study, series, instance)

    @routes.get("/studies/{study}")
    def retrieve_study(study: Uid) -> Response:
        return _files_as_multipart(_find(store, study))

    @routes.get("/studies/{study}/series/{series}")
    def retrieve_series(study: Uid, series: Uid) -> Response:
        return _files_as_multipart(_find(store, study, series))

    @routes.get("/studies/{study}/series/{series}/instances/{instance}")
    def retrieve_instance(request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        (found,) = _find(store, study, series, instance)
        if any(media_type == "application/dicom" for media_type, _ in _accepted(request)):
            return StreamingResponse(_chunks_of(found.path), media_type="application/dicom")
        return _files_as_multipart([found])

    return routes


def _pixel_routes(store: Store) -> APIRouter:
    routes = APIRouter()
    of_instance = "/studies/{study}/series/{series}/instances/{instance}"

    def picture(request: Request, instance: StoredInstance, number: int, viewport: tuple[int, int] | None) -> Response:
        image_format = _picture_format(request)
        with _pixel_errors_as_answers():
            window = _numbers(request, "window", 2)
            content = render(
                instance,
                number,
                image_format=image_format,
                viewport=_viewport(request) or viewport,
                window=(window[0], window[1]) if window else None,
            )
        return Response(content, media_type=f"image/{image_format.lower()}")

    @routes.get(of_instance + "/frames/{numbers}")
    def frames(request: Request, study: Uid, series: Uid, instance: Uid, numbers: Frames) -> Response:
        (found,) = _find(store, study, series, instance)
        accepted = _accepted(request)
        as_stored = any(parameters.get("transfer-syntax") == found.transfer_syntax_uid for _, parameters in accepted)
        wanted = [int(number) for number in numbers.split(",")]
        if len({*wanted}) != len(wanted):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "A frame is asked for twice; name each once.")
        with _pixel_errors_as_answers():
            media_type, pixels = read_frames(found, wanted, as_stored=as_stored)
        multipart = any(name in ("multipart/related", "*/*") for name, _ in accepted)
        if not multipart and len(pixels) == 1:
            return Response(pixels[0], media_type=media_type)
        return _multipart(((media_type, [frame]) for frame in pixels), media_type.partition(";")[0])

    @routes.get(of_instance + "/frames/{number}/rendered")
    def rendered_frame(
        request: Request, study: Uid, series: Uid, instance: Uid, number: Annotated[int, InUrl(ge=1)]
    ) -> Response:
        return picture(request, _find(store, study, series, instance)[0], number, None)

    @routes.get(of_instance + "/rendered")
    def rendered(request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        return picture(request, _find(store, study, series, instance)[0], 1, None)

    @routes.get(of_instance + "/thumbnail")
    def instance_thumbnail(request: Request, study: Uid, series: Uid, instance: Uid) -> Response:
        return picture(request, _find(store, study, series, instance)[0], 1, (THUMBNAIL_SIZE, THUMBNAIL_SIZE))

    @routes.get("/studies/{study}/series/{series}/thumbnail")
    def series_thumbnail(request: Request, study: Uid, series: Uid) -> Response:
        return picture(request, _find(store, study, series)[0], 1, (THUMBNAIL_SIZE, THUMBNAIL_SIZE))

    return routes


def _change_routes(store: Store, max_body_bytes: int) -> APIRouter:
    routes = APIRouter()

    async def read_body(request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_body_bytes:
                sentence = f"The request is larger than {max_body_bytes} bytes; send fewer instances at a time."
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
        return bytes(body)

    Body = Annotated[bytes, Depends(read_body)]

    def add(request: Request, body: bytes, study: str | None) -> Response:
        references, failures = [], []
        for content in _parts(request, body):
            try:
                stored = store.add(content, study_instance_uid=study)
            except RefusedInstanceError as error:
                failures.append(_failure(error))
            else:
                url = _url_of(request, stored, Level.INSTANCE)
                references.append(_reference(stored) | {"00081190": {"vr": "UR", "Value": [url]}})
        answered = {
            tag: {"vr": "SQ", "Value": items}
            for tag, items in (("00081198", failures), ("00081199", references))
            if items
        }
        status = HTTPStatus.OK if not failures else HTTPStatus.ACCEPTED if references else HTTPStatus.CONFLICT
        return Response(json.dumps(answered), status, media_type=_DICOM_JSON)

    @routes.post("/studies")
    def store_instances(request: Request, body: Body) -> Response:
        return add(request, body, None)

    @routes.post("/studies/{study}")
    def store_instances_of_study(request: Request, study: Uid, body: Body) -> Response:
        return add(request, body, study)

    @routes.options("/studies/{study}/series/{series}", status_code=HTTPStatus.NO_CONTENT)
    def methods_of_series(study: Uid, series: Uid, response: Response) -> None:
        removable = store.is_removable(_find(store, study, series))
        response.headers["Allow"] = "GET, OPTIONS, DELETE" if removable else "GET, OPTIONS"

    @routes.delete("/studies/{study}/series/{series}", status_code=HTTPStatus.NO_CONTENT)
    def remove_series(study: Uid, series: Uid) -> None:
        try:
            store.remove_series(study, series)
        except LookupError as error:
            raise _missing(study, series, None) from error
        except NotRemovableError as error:
            raise HTTPException(HTTPStatus.FORBIDDEN, str(error)) from error

    return routes


def _find(store: Store, study: str, series: str | None = None, instance: str | None = None) -> list[StoredInstance]:
    found = store.index.find(study, series, instance)
    if not found or not all(each.path.is_file() for each in found):
        store.index.refresh()
        found = store.index.find(study, series, instance)
    if not found:
        raise _missing(study, series, instance)
    return found


def _missing(study: str, series: str | None, instance: str | None) -> HTTPException:
    if instance is not None:
        sentence = f"There is no instance {instance} in series {series} of study {study}."
    elif series is not None:
        sentence = f"There is no series {series} in study {study}."
    else:
        sentence = f"There is no study {study}."
    return HTTPException(HTTPStatus.NOT_FOUND, sentence)


def _url_of(request: Request, instance: StoredInstance, level: Level) -> str:
    host, port = request.scope["server"]  # the Host header will not do: dicomweb_client sends it without the port
    url = f"http://{host}:{port}/dicom-web/studies/{instance.study_instance_uid}"
    if level is not Level.STUDY:
        url += f"/series/{instance.series_instance_uid}"
    if level is Level.INSTANCE:
        url += f"/instances/{instance.sop_instance_uid}"
    return url


def _accepted(request: Request) -> list[tuple[str, dict[str, str]]]:
    """The media types of the Accept header with their parameters."""
    accepted = []
    for media_range in (request.headers.get("accept") or "*/*").split(","):
        message = Message()
        message["Content-Type"] = media_range.strip()
        (name, _), *parameters = message.get_params(failobj=[("*/*", "")])
        accepted.append((name.lower(), {key.lower(): str(value) for key, value in parameters}))
    return accepted


def _picture_format(request: Request) -> str:
    for name, _ in _accepted(request):
        if name == "image/png":
            return "PNG"
        if name in ("image/jpeg", "image/*", "*/*"):
            return "JPEG"
    raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, "Rendered images are image/png or image/jpeg.")


def _viewport(request: Request) -> tuple[int, int] | None:
    numbers = _numbers(request, "viewport", 2)
    if numbers is None:
        return None
    if not all(1 <= number <= 20000 for number in numbers):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "viewport is width,height in pixels, from 1 to 20000.")
    return int(numbers[0]), int(numbers[1])


def _numbers(request: Request, name: str, count: int) -> list[float] | None:
    """The first numbers of a comma-separated query parameter; None if it is absent."""
    text = request.query_params.get(name)
    if text is None:
        return None
    parts = text.split(",")[:count]
    if len(parts) != count or not all(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", part) for part in parts):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{name} is {text!r}, expected {count} numbers with a comma.")
    return [float(part) for part in parts]


@contextmanager
def _pixel_errors_as_answers() -> Iterator[None]:
    try:
        yield
    except UnavailableFrameError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    except UndecodableFrameError as error:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, str(error)) from error


def _files_as_multipart(instances: Iterable[StoredInstance]) -> Response:
    parts = (
        (f"application/dicom; transfer-syntax={instance.transfer_syntax_uid}", _chunks_of(instance.path))
        for instance in instances
    )
    return _multipart(parts, "application/dicom")


def _multipart(parts: Iterable[tuple[str, Iterable[bytes]]], media_type: str) -> Response:
    boundary = uuid.uuid4().hex

    def stream() -> Iterator[bytes]:
        for content_type, content in parts:
            yield f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
            yield from content
        yield f"\r\n--{boundary}--\r\n".encode()

    return StreamingResponse(stream(), media_type=f'multipart/related; type="{media_type}"; boundary={boundary}')


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _parts(request: Request, body: bytes) -> list[bytes]:
    """The DICOM files of a multipart/related body."""
    content_type = request.headers.get("content-type", "")
    message = Message()
    message["Content-Type"] = content_type
    if body.count(f"--{message.get_boundary('')}".encode()) > MAX_PARTS + 1:
        sentence = f"The request has more than {MAX_PARTS} parts; send fewer instances at a time."
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)
    try:
        parts = MultipartDecoder(body, content_type).parts
    except (
        NonMultipartContentTypeException,
        ImproperBodyPartContentException,
        AttributeError,
        UnicodeDecodeError,
    ) as error:
        sentence = 'The body is not readable as multipart/related; type="application/dicom" with a boundary.'
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, sentence) from error
    types = {part.headers.get(b"content-type", b"").split(b";")[0].strip().lower() for part in parts}
    if not parts or types != {b"application/dicom"}:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Every part must have Content-Type application/dicom.")
    return [part.content for part in parts]


def _reference(instance: StoredInstance) -> Attributes:
    return {
        "00081150": {"vr": "UI", "Value": [instance.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [instance.sop_instance_uid]},
    }


def _failure(error: RefusedInstanceError) -> Attributes:
    """An item of Failed SOP Sequence; Text Value (0040,A160) holds the sentence, for which DICOM has no place."""
    item: Attributes = {} if error.instance is None else _reference(error.instance)
    item["00081197"] = {"vr": "US", "Value": [error.failure_reason]}
    item["0040A160"] = {"vr": "UT", "Value": [str(error)]}
    return item


def _basic_guard(user: str, password: str) -> Any:
    scheme = HTTPBasic(realm="MammoSynth PACS")

    def check(given: Annotated[HTTPBasicCredentials, Depends(scheme)]) -> None:
        same_user = secrets.compare_digest(given.username.encode(), user.encode())
        same_password = secrets.compare_digest(given.password.encode(), password.encode())
        if not (same_user and same_password):
            sentence = "User or password is wrong."
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED, sentence, {"WWW-Authenticate": 'Basic realm="MammoSynth PACS"'}
            )

    return check


async def _explain_invalid_url(_: Request, error: Exception) -> Response:
    places = ", ".join(sorted({str(each["loc"][-1]) for each in getattr(error, "errors", list)()}))
    sentence = (
        f"Invalid in the URL: {places}. UIDs are digits and dots, at most 64 characters; frames are numbers from 1."
    )
    return JSONResponse({"detail": sentence}, HTTPStatus.BAD_REQUEST)
