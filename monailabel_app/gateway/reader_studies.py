"""Routes below /reading: what an owner does with reader studies, as `mammosynth study` does it.

Nobody else may ask for them (`gateway.scope`): whoever reads in a study, or works beside one, must not see its arms.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from mammosynth.errors import ConflictError
from mammosynth.reading.backup import restore_backup, write_backup
from mammosynth.reading.blinding.sources import Read
from mammosynth.reading.new_protocol import new_protocol
from mammosynth.reading.protocol import parse_protocol
from mammosynth.reading.store import StudyStore
from mammosynth.reading.summary import describe, power_of
from mammosynth.reading.verify import problems_of
from monailabel_app.gateway.blinding import BlindingJobs
from monailabel_app.gateway.guard import identity_of

if TYPE_CHECKING:
    from mammosynth.reading.analysis.closed_study import ClosedStudy

Reason = Annotated[str, Field(max_length=2000)]


async def _body(request: Request) -> str:
    """What was sent; the guard has counted its bytes."""
    return (await request.body()).decode("utf-8", "replace")


Text = Annotated[str, Depends(_body)]


class Closing(BaseModel):
    """Body of POST /reading/studies/{name}/close."""

    model_config = ConfigDict(extra="forbid")
    reason: Reason = ""


class Override(BaseModel):
    """Body of POST /reading/studies/{name}/override."""

    model_config = ConfigDict(extra="forbid")
    reader: Annotated[str, Field(max_length=64)]
    session: Annotated[int, Field(ge=1)]
    reason: Reason


class Simulation(BaseModel):
    """Body of POST /reading/studies/{name}/simulate."""

    model_config = ConfigDict(extra="forbid")
    auc: dict[str, float]
    tell: float = 0.6
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0


def create_reader_studies(place: Path | str, blinding: BlindingJobs, images: Callable[[], Read]) -> APIRouter:
    """The routes.

    Args:
        place: Of the store, see `StudyStore`; a file is made when the first study is opened.
        blinding: Makes blinded copies.
        images: Gives what reads the images that protocols name.
    """
    router = APIRouter(prefix="/reading")

    # For each request, which takes 3 ms: while a store is open, what was committed last is in a -wal file beside its
    # SQLite file, and whoever moves or copies the file alone would lose it.
    @contextmanager
    def store() -> Iterator[StudyStore]:
        opened = StudyStore(place)
        try:
            yield opened
        finally:
            opened.close()

    def closed(name: str) -> ClosedStudy:
        from mammosynth.reading.analysis.closed_study import ClosedStudy  # takes seconds to load

        with store() as opened:
            content = opened.content(name)
        return ClosedStudy.of(content)

    @router.get("/studies")
    def studies() -> dict[str, Any]:
        """Names of all studies."""
        if isinstance(place, Path) and not place.is_file():
            return {"studies": []}
        with store() as opened:
            return {"studies": opened.names()}

    @router.post("/check")
    def check(text: Text) -> dict[str, Any]:
        """What a protocol comes to; 422 with every line that is wrong."""
        return describe(parse_protocol(text))

    @router.post("/power")
    def power(text: Text) -> dict[str, Any]:
        """The power of a protocol's sample."""
        return power_of(parse_protocol(text))

    @router.get("/templates/{template}")
    def template(template: Literal["cem-s3", "realism", "bpe-agreement", "lesion-marks"]) -> Response:
        """A protocol to begin with."""
        return Response(new_protocol(template), media_type="application/yaml")

    @router.post("/restore", status_code=201)
    def restore(text: Text) -> dict[str, str]:
        """Put a study from a backup into the store."""
        with _as_path(text) as file, store() as opened:
            return {"study": restore_backup(opened, file)}

    @router.post("/mrmc")
    def mrmc(
        text: Text,
        covariance: Literal["jackknife", "delong", "bootstrap"] = "jackknife",
        fixed: Literal["none", "readers", "cases"] = "none",
    ) -> JSONResponse:
        """Obuchowski and Rockette's analysis of a table of ratings."""
        from mammosynth.reading.mrmc import mrmc_report, read_ratings  # they take seconds to load
        from mammosynth.reading.statistics.estimate import json_ready
        from mammosynth.reading.statistics.obuchowski_rockette import Fixed

        with _as_path(text) as file:
            ratings = read_ratings(file)
        return JSONResponse(json_ready(mrmc_report(ratings, covariance=covariance, fixed=Fixed(fixed))))

    @router.post("/studies", status_code=201)
    def open_study(text: Text, request: Request) -> dict[str, Any]:
        """Freeze a protocol, and begin to take answers."""
        protocol = parse_protocol(text)
        power = power_of(protocol) if protocol.power else None
        with store() as opened:
            receipt = opened.open_study(protocol, identity_of(request).name, power)
        return {"study": protocol.name, "protocol_sha256": protocol.sha256, **asdict(receipt)}

    @router.get("/studies/{name}")
    def status(name: str) -> dict[str, Any]:
        """How far each reader is, and when they may go on; nothing about answers or arms."""
        with store() as opened:
            found = opened.status(name)
            for each in found["readers"]:
                each["sessions"] = opened.sessions(name, each["reader"])
        return found

    @router.post("/studies/{name}/override")
    def override(name: str, body: Override, request: Request) -> dict[str, Any]:
        """Let a reader begin a session before the wash-out is over; the reason is kept."""
        by = identity_of(request).name
        with store() as opened:
            return asdict(opened.override_washout(name, body.reader, body.session, by=by, reason=body.reason))

    @router.post("/studies/{name}/blind", status_code=202)
    def blind(name: str) -> dict[str, Any]:
        """Make the blinded copies of a study from the archive's images, in the background."""
        return blinding.start(name, images())

    @router.get("/studies/{name}/blind")
    def blinded(name: str) -> dict[str, Any]:
        """How far they are."""
        return blinding.progress(name)

    @router.post("/studies/{name}/attack")
    def attack(name: str) -> dict[str, Any]:
        """Whether anything but the anatomy tells the copies of two arms apart; it says nothing of any case."""
        return {"study": name, "attacks": blinding.attack(name)}

    @router.post("/studies/{name}/close")
    def close(name: str, body: Closing, request: Request) -> dict[str, Any]:
        """Take no more answers, for good."""
        with store() as opened:
            return asdict(opened.close_study(name, by=identity_of(request).name, reason=body.reason))

    @router.post("/studies/{name}/simulate")
    def simulate(name: str, body: Simulation, request: Request) -> dict[str, Any]:
        """Let simulated readers read a study that was just opened."""
        from mammosynth.reading import simulate as simulation  # it takes seconds to load

        skill = simulation.Skill(body.auc, body.tell, body.seed)
        with store() as opened:
            count = simulation.simulate(opened, name, skill, identity_of(request).name, lambda *_: None)
        return {"study": name, "readings": count}

    @router.get("/studies/{name}/verification")
    def verification(name: str, head: str | None = None) -> dict[str, Any]:
        """Whether any row was changed, removed or reordered."""
        with store() as opened:
            content = opened.content(name)
        found = problems_of(content, head)
        return {"problems": found, "records": content["study"]["records"], "head": content["study"]["head"]}

    @router.get("/studies/{name}/backup")
    def backup(name: str) -> Response:
        """The whole study in one file; of a study that is closed, since it holds answers by arm."""
        with store() as opened, tempfile.TemporaryDirectory() as folder:
            if opened.status(name)["state"] != "closed":
                raise ConflictError(f"{name} is open; back it up by `mammosynth study backup`")
            write_backup(opened, name, Path(folder) / "backup.json")
            content = (Path(folder) / "backup.json").read_bytes()
        return Response(content, media_type="application/json", headers=_as_file(f"{name}.backup.json"))

    @router.get("/studies/{name}/results")
    def results(name: str) -> JSONResponse:
        """Every endpoint of a closed study."""
        from mammosynth.reading.analysis.analyse import analyse_study  # takes seconds to load

        return JSONResponse(analyse_study(closed(name)))

    @router.get("/studies/{name}/report")
    def report(name: str) -> Response:
        """The report of a closed study (HTML, PDF, JSON) and its tables, in a ZIP file."""
        from mammosynth.reading.report.write import write_results

        study = closed(name)
        return _packed(name, lambda folder: write_results(study, folder))

    @router.get("/studies/{name}/export")
    def export(name: str) -> Response:
        """The answers of a closed study as tables, in a ZIP file."""
        from mammosynth.reading.export import write_tables

        study = closed(name)
        return _packed(name, lambda folder: write_tables(study, folder))

    @router.get("/studies/{name}/structured-reports")
    def structured_reports(name: str) -> Response:
        """The answers of a closed study as DICOM SR, in the studies of their images in the archive, in a ZIP file."""
        from mammosynth.reading.export import write_structured_reports

        study = closed(name)
        return _packed(name, lambda folder: write_structured_reports(study, folder, images()))

    return router


def _packed(name: str, write: Callable[[Path], object]) -> Response:
    """What is written into a folder, as one ZIP file."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(Path(folder).iterdir()):
                archive.write(each, each.name)
    return Response(packed.getvalue(), media_type="application/zip", headers=_as_file(f"{name}.zip"))


@contextmanager
def _as_path(text: str) -> Iterator[Path]:
    """A file of a request's body, for what reads files; messages call it body."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body"
        file.write_text(text, encoding="utf-8")
        yield file


def _as_file(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}
