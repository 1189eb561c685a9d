"""Putting the gateway together: viewer, proxy, jobs, inference, and the few services of MONAI Label that are safe."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
from fastapi import BackgroundTasks, FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from monailabel.endpoints.infer import ResultType, send_response
from monailabel.interfaces.exception import MONAILabelException
from monailabel.interfaces.utils.app import app_instance
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

import mammosynth
from mammosynth.atomic import is_of_the_disk, write_bytes
from mammosynth.bundle_pool import parts_of, synthesize_in
from mammosynth.database import Database
from mammosynth.errors import InvalidParameterError, MammoSynthError
from mammosynth.parameters import check_json_bounds
from mammosynth.task import Slot
from monailabel_app.app import MammoSynthApp
from monailabel_app.archive_session import is_unwanted
from monailabel_app.database import LAYOUTS
from monailabel_app.dicom_json import Uid
from monailabel_app.errors import ConflictError, NotFoundError, http_status
from monailabel_app.gateway.admission import Admission
from monailabel_app.gateway.answers import LastResort
from monailabel_app.gateway.audit import concerns
from monailabel_app.gateway.blinding import BlindingJobs, archive_images
from monailabel_app.gateway.busy import BusyError
from monailabel_app.gateway.docs_site import create_docs_site
from monailabel_app.gateway.guard import identity_of
from monailabel_app.gateway.history import create_history
from monailabel_app.gateway.jobs import JobRequest, JobStore
from monailabel_app.gateway.labels import create_labels
from monailabel_app.gateway.metrics import Metrics
from monailabel_app.gateway.ohif import create_ohif
from monailabel_app.gateway.operations import create_operations
from monailabel_app.gateway.pages import create_page
from monailabel_app.gateway.previews import create_previews
from monailabel_app.gateway.proxy import create_proxy
from monailabel_app.gateway.reader_studies import create_reader_studies
from monailabel_app.gateway.reader_tokens import create_reader_tokens
from monailabel_app.gateway.readiness import Readiness
from monailabel_app.gateway.reading_dicom import create_reading_dicom
from monailabel_app.gateway.reading_room import create_reading_room
from monailabel_app.gateway.reading_rooms import ReadingRooms
from monailabel_app.gateway.segmentations import create_segmentations
from monailabel_app.gateway.synthesis import run_job, sources_of
from monailabel_app.gateway.trainings import Trainings
from monailabel_app.gateway.uploads import uploaded_file
from monailabel_app.gateway.worker import Worker
from monailabel_app.infers import synthesize_alone
from monailabel_app.inputs import parse_references
from monailabel_app.studies import DicomWebStudies, check_image_id

if TYPE_CHECKING:
    from mammosynth.parallel.pool import RayPool

logger = logging.getLogger(__name__)

_PROBE_S = 3.0  # within which an archive that is ready answers
_PIECE_BYTES = 1 << 20  # of an image that is sent; each takes a turn of a thread, and Starlette's are 64 kB
_INFERENCE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
"""The one thread that decodes and synthesizes for `/infer`: the allocator keeps for each what it once needed."""


class SynthesisRequest(BaseModel):
    """Body of POST /synthesis."""

    model_config = ConfigDict(extra="forbid")
    model: Annotated[str, Field(max_length=128)]
    inputs: dict[str, Any] = {}
    parameters: dict[str, Any] = {}


def create_gateway(
    archive_url: str | None,
    credentials: tuple[str, str] | None,
    data_dir: Path,
    reader_studies: Path | str | None = None,
    token_file: Path | None = None,
    jobs: Path | str | None = None,
    *,
    pool: RayPool | None = None,
    device: str = "cpu",
) -> FastAPI:
    """The gateway without its guard.

    Args:
        archive_url: DICOMweb root; None if the studies are a plain folder of image files, without archive.
        credentials: User and password of the archive.
        data_dir: Where jobs are kept.
        reader_studies: Their store; None: a file in `data_dir`.
        token_file: By which people sign in; None: nobody has to.
        jobs: Their database, which several servers may share; None: a file in `data_dir`.
        pool: Connected; its workers run networks, one job each; None: this process does, one job at a time.
        device: Of the workers of the pool.

    Raises:
        DatabaseError: If the database there cannot be used.
    """
    proxy, proxy_client = create_proxy(archive_url, credentials) if archive_url else (None, None)
    place, copies = reader_studies or data_dir / "studies.sqlite", data_dir / "blinded"
    rooms, blinding, trainings = ReadingRooms(place, copies), BlindingJobs(place, copies), Trainings()
    database = Database(jobs or data_dir / "jobs.sqlite", LAYOUTS)  # first: one that cannot be used ends the start
    store = JobStore(database, holder=_name_of_server(data_dir))

    @asynccontextmanager
    async def lifespan(gateway: FastAPI) -> AsyncIterator[None]:
        app: MammoSynthApp = app_instance()
        app.server_mode(True)
        gateway.state.worker = None
        if pool:
            app.synthesize = partial(synthesize_in, pool, is_unwanted)
            pool.begin(lambda: parts_of(app.bundles.values(), device), when_back=lambda: _wake(gateway))
        if isinstance(app.source_studies, DicomWebStudies):
            archive = app.source_studies
            gateway.state.worker = Worker(
                store,
                lambda request, report: run_job(app, archive, request, report),
                note=gateway.state.metrics.note_job,
                can_run=pool.check if pool else lambda: None,
                at_once=pool.workers if pool else 1,
            )
            gateway.state.worker.start()
        yield
        interrupt(gateway)
        if gateway.state.worker:
            await anyio.to_thread.run_sync(gateway.state.worker.stop)
        if pool:
            app.synthesize = synthesize_alone
            await anyio.to_thread.run_sync(pool.close)
        await anyio.to_thread.run_sync(trainings.stop)
        await anyio.to_thread.run_sync(blinding.stop)
        rooms.close()
        database.close()
        if proxy_client:
            await proxy_client.aclose()

    gateway = FastAPI(
        title="MammoSynth", version=mammosynth.__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    gateway.state.jobs, gateway.state.worker = store, None
    gateway.state.metrics = Metrics(store.present, pool.state if pool else None)
    parts = _parts(gateway, archive_url, credentials, rooms)
    gateway.state.readiness = Readiness({**parts, "pool": pool.check_ready} if pool else parts)
    gateway.add_middleware(Admission)
    gateway.add_middleware(LastResort)
    _add_error_handlers(gateway)
    gateway.include_router(
        create_operations(gateway.state.readiness, gateway.state.metrics, lambda: _worker_state(gateway))
    )
    gateway.include_router(create_ohif())
    gateway.include_router(create_docs_site())
    if proxy:
        gateway.include_router(proxy)
    gateway.include_router(create_history(_archive))
    gateway.include_router(create_segmentations(_archive))
    gateway.include_router(create_labels(_archive))
    gateway.include_router(create_previews(_slots, _archive))
    gateway.include_router(create_reader_tokens(token_file))
    gateway.include_router(create_page("/reading", "reading_owner"))
    gateway.include_router(create_reader_studies(place, blinding, lambda: archive_images(_archive())))
    gateway.include_router(create_reading_dicom(rooms.visible))
    gateway.include_router(create_page("/reading-room", "reading_room"))
    gateway.include_router(create_reading_room(rooms))
    _add_synthesis(gateway)
    _add_inference(gateway)
    _add_platform(gateway, trainings)
    return gateway


def _wake(gateway: FastAPI) -> None:
    if gateway.state.worker:
        gateway.state.worker.wake()


def _name_of_server(data_dir: Path) -> str:
    """Under which this server holds jobs, also after a restart."""
    file = data_dir / "server-name"
    if not file.is_file():
        write_bytes(file, str(uuid.uuid4()).encode())
    return file.read_text(encoding="utf-8")


def _worker_state(gateway: FastAPI) -> dict[str, str] | None:
    return gateway.state.worker.state() if gateway.state.worker else None


def _parts(
    gateway: FastAPI, archive_url: str | None, credentials: tuple[str, str] | None, rooms: ReadingRooms
) -> dict[str, Callable[[], object]]:
    """What must work for this server to do its work, each by a function that raises while it does not."""

    def worker() -> None:
        if gateway.state.worker:
            gateway.state.worker.check()

    def models() -> None:
        if not app_instance().bundles:
            raise NotFoundError("no model is served")

    parts = {"jobs": gateway.state.jobs.present, "reader_studies": rooms.check, "models": models, "worker": worker}
    if archive_url is None:
        return parts
    return {"archive": DicomWebStudies(archive_url, credentials, timeout_s=_PROBE_S).check, **parts}


def interrupt(gateway: FastAPI) -> None:
    """Give up whatever waits for the archive, because the server stops; a running job is kept for the next start."""
    studies = app_instance().source_studies
    if isinstance(studies, DicomWebStudies):
        gateway.state.worker.stop(0)  # first, so that its job does not fail
        studies.session.stop()


def _slots(model: str) -> Sequence[Slot]:
    """What a model starts from.

    Raises:
        NotFoundError: If there is no such model.
    """
    return app_instance().task(model).bundle.slots


def _archive() -> DicomWebStudies:
    """The archive of the app.

    Raises:
        ConflictError: If the studies are a folder of image files.
    """
    studies = app_instance().source_studies
    if not isinstance(studies, DicomWebStudies):
        raise ConflictError(
            "the studies are a folder of image files, without an archive to store results in: "
            "use POST /infer, or serve DICOM studies"
        )
    return studies


def _add_synthesis(gateway: FastAPI) -> None:
    @gateway.post("/synthesis", status_code=202)
    def submit(body: SynthesisRequest, request: Request) -> dict[str, str]:
        """Queue a synthesis; the result is stored in the study."""
        _archive()
        check_json_bounds(body.inputs, "inputs")
        check_json_bounds(body.parameters, "parameters")
        task = app_instance().task(body.model)
        task.parse(body.parameters)
        parse_references(task.bundle.slots, body.inputs)
        gateway.state.worker.accept()
        job_id = gateway.state.jobs.submit(JobRequest(**body.model_dump(), requester=identity_of(request).name))
        concerns(request, [body.model_dump(), {"job_id": job_id}])
        gateway.state.worker.wake()
        return {"job_id": job_id}

    @gateway.get("/synthesis/{job_id}")
    def status(job_id: str) -> dict[str, Any]:
        """State, progress, message and result of a job."""
        return gateway.state.jobs.status(job_id)

    @gateway.get("/studies/{study}/sources")
    def sources(study: Uid, model: str) -> dict[str, Any]:
        """Every acquired mammogram of a study, and whether a model can start from it."""
        return {"sources": sources_of(app_instance(), _archive(), study, model)}

    @gateway.delete("/synthesis/{job_id}")
    def cancel(job_id: str, request: Request) -> dict[str, Any]:
        """Cancel a job."""
        concerns(request, asdict(gateway.state.jobs.request(job_id)))
        return gateway.state.jobs.cancel(job_id)


def _add_inference(gateway: FastAPI) -> None:
    @gateway.post("/infer/{model}")
    def infer(
        request: Request,
        background_tasks: BackgroundTasks,
        model: str,
        image: str = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        output: ResultType | None = None,
    ) -> Any:
        """Synthesize one image now; a plain `def`, so that it runs in a thread and nothing else waits."""
        app: MammoSynthApp = app_instance()
        parameters = _parse_params(params)
        app.task(model).parse({name: value for name, value in parameters.items() if name != "inputs"})
        if output == ResultType.dicom_seg:
            raise InvalidParameterError("output is 'dicom_seg', expected image, json or all: results are images")
        with ExitStack() as kept:
            named: dict[str, Any] = {}
            if file is not None:
                named["path"] = kept.enter_context(uploaded_file(file))
            elif image:
                named["image"] = check_image_id(image)
            elif not parameters.get("inputs"):
                raise InvalidParameterError("image is missing: give ?image=ID of the datastore, or upload a file")
            result = _INFERENCE.submit(app.infer, {**parameters, "model": model, **named}).result()
        concerns(request, result["params"])
        answer = send_response(app.datastore(), result, output, background_tasks)
        if isinstance(answer, FileResponse):
            answer.chunk_size = _PIECE_BYTES
        return answer


def _add_platform(gateway: FastAPI, trainings: Trainings) -> None:
    """What MONAI Label's clients need of it, as plain `def` routes that block nobody.

    Sessions, logs, model upload and reload stay closed: they write where they are told to, or show paths.
    """

    @gateway.get("/info")
    @gateway.get("/info/")
    def info() -> Any:
        """The app, its models with their parameters, its trainers."""
        return app_instance().info()

    @gateway.get("/datastore")
    @gateway.get("/datastore/")
    def datastore(output: Literal["stats", "all"] = "stats") -> Any:
        """Counts, or every image id."""
        store = app_instance().datastore()
        return store.status() if output == "stats" else {"objects": {image: {} for image in store.list_images()}}

    @gateway.get("/datastore/image")
    def download_image(image: str, request: Request) -> Response:
        """The source as 16-bit NRRD (archive) or as the file it is (folder)."""
        app: MammoSynthApp = app_instance()
        if isinstance(app.source_studies, DicomWebStudies):
            concerns(request, [asdict(each) for each in app.source_studies.instances(check_image_id(image))])
        path = app.datastore().get_image_uri(check_image_id(image))
        if not path or not Path(path).is_file():
            raise NotFoundError(f"no image {image!r}; ask /datastore/?output=all for the ids")
        return FileResponse(path, filename=Path(path).name, media_type="application/octet-stream")

    @gateway.post("/activelearning/{strategy}")
    def next_sample(strategy: str, params: dict[str, Any] | None = None) -> Any:
        """The next image to look at; its server path is not told."""
        unknown = sorted(set(params or {}) - {"client_id"})
        if unknown:
            raise InvalidParameterError(f"{unknown[0][:64]!r} is no parameter of a strategy; leave it out")
        return app_instance().next_image(strategy)

    @gateway.post("/train/{model}")
    def train(model: str, params: dict[str, Any] | None = None) -> Any:
        """Start the trainer of a model in a process of its own."""
        trainer = app_instance().trainer(model)
        check_json_bounds(params, "the body")
        chosen = trainer.parse({k: v for k, v in (params or {}).items() if k not in ("client_id", "model")})
        return trainings.start(model, chosen)

    @gateway.get("/train")
    @gateway.get("/train/")
    def train_status(all: bool = False, check_if_running: bool = False) -> Any:  # noqa: A002 - the client's word
        """The last, the running, or all trainings."""
        return trainings.status(every=all, running=check_if_running)

    @gateway.delete("/train")
    @gateway.delete("/train/")
    def stop_train() -> Any:
        """Stop training cleanly: its checkpoint is written first."""
        return trainings.stop()


def _parse_params(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"params is no valid JSON ({error}), expected an object") from None
    check_json_bounds(values, "params")
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidParameterError(f"params is a JSON {type(values).__name__}, expected an object")
    if not isinstance(values.get("inputs") or {}, dict):
        raise InvalidParameterError(f"inputs is a JSON {type(values['inputs']).__name__}, expected an object")
    return values


def _add_error_handlers(gateway: FastAPI) -> None:
    def answer(status: int, detail: str) -> JSONResponse:
        return JSONResponse({"detail": detail}, status_code=status)

    @gateway.exception_handler(BusyError)
    def busy(request: Request, error: BusyError) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after_s)}
        return JSONResponse({"detail": str(error)}, error.status, headers)

    @gateway.exception_handler(MammoSynthError)
    def known(request: Request, error: MammoSynthError) -> JSONResponse:
        return answer(http_status(error), str(error))

    @gateway.exception_handler(MONAILabelException)
    def of_platform(request: Request, error: MONAILabelException) -> JSONResponse:
        return answer(400, str(error.msg))

    @gateway.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [(".".join(map(str, each["loc"][1:])) or "the body", each["msg"]) for each in error.errors()]
        problems = "; ".join(f"{where}: {message}" for where, message in found)
        return answer(422, problems or "the request body is not what is expected; see /openapi.json")

    @gateway.exception_handler(HTTPException)
    def of_framework(request: Request, error: HTTPException) -> JSONResponse:
        if is_of_the_disk(error.__cause__):  # while it takes in a body, which it then calls a bad one
            return of_system(request, error.__cause__)
        return answer(error.status_code, str(error.detail))

    @gateway.exception_handler(OSError)
    def of_system(request: Request, error: OSError) -> JSONResponse:
        if not is_of_the_disk(error):
            raise error
        return answer(507, f"the server's disk cannot be written on ({error.strerror}); make room, then try again")
