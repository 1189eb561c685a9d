"""Routes below /reading-room: what a reader does in reader studies.

Whoever asks is the reader: no route takes a name. Nothing that passes here tells an arm.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as InUrl
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from mammosynth.parameters import check_json_bounds
from mammosynth.reading.answers import Answer
from mammosynth.reading.attention import Attention
from monailabel_app.gateway.guard import identity_of
from monailabel_app.gateway.reading_dicom import NO_STORE
from monailabel_app.gateway.reading_rooms import ReadingRooms

_MOST_PIXELS = 100_000
StudyName = Annotated[str, InUrl(max_length=64)]
Session = Annotated[int, Field(ge=0, le=1000)]
Position = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[int, Field(ge=1, le=_MOST_PIXELS)]


class Body(BaseModel):
    """Nothing unknown, no infinite numbers."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Display(Body):
    """What a reader found of their display: kept with the session."""

    luminance_cd_m2: Annotated[float, Field(ge=1, le=10_000)] | None = None
    """Of white, as the reader declares it."""
    steps_seen: Annotated[int, Field(ge=0, le=18)]
    """Of the grey-scale pattern."""
    window_width: Size
    window_height: Size
    device_pixel_ratio: Annotated[float, Field(gt=0, le=20)]


class Start(Body):
    """Body of POST .../sessions/{number}."""

    display: Display


class GivenAnswer(Body):
    """One of `Answers`."""

    question: Annotated[str, Field(max_length=64)]
    target: Annotated[str, Field(max_length=8)] = "case"
    value: Any
    duration_s: float | None = None


class Answers(Body):
    """Body of POST .../answers."""

    session: Session
    position: Position
    answers: Annotated[list[GivenAnswer], Field(min_length=1, max_length=1000)]


class Left(Body):
    """How the reading that is left was looked at."""

    seconds: float
    hidden_s: float = 0.0
    focus_losses: int = 0
    position: Position | None = None


class Showing(Body):
    """Body of POST .../show."""

    session: Session
    position: Position | None
    left: Left | None = None


def create_reading_room(rooms: ReadingRooms) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/reading-room")

    def told(value: Any) -> Response:
        return JSONResponse(value, headers=NO_STORE)

    @router.get("/studies")
    def studies(request: Request) -> Response:
        """Where whoever asks reads, and how far each session is."""
        reader = identity_of(request).name
        return told({"reader": reader, "studies": rooms.studies(reader)})

    @router.get("/studies/{name}/current")
    def current(name: StudyName, request: Request) -> Response:
        """The case that is shown, with what is asked and answered."""
        return told(rooms.current(name, identity_of(request).name))

    @router.post("/studies/{name}/sessions/{number}")
    def start(name: StudyName, number: Annotated[int, InUrl(ge=0, le=1000)], body: Start, request: Request) -> Response:
        """Begin a session, or go on with it."""
        display = body.display.model_dump(mode="json")
        return told(rooms.start(name, identity_of(request).name, number, display))

    @router.post("/studies/{name}/answers")
    def answer(name: StudyName, body: Answers, request: Request) -> Response:
        """Keep answers; they are stored when this answers."""
        check_json_bounds([each.value for each in body.answers], "answers")
        answers = [Answer(**each.model_dump()) for each in body.answers]
        return told(rooms.answer(name, identity_of(request).name, body.session, body.position, answers))

    @router.post("/studies/{name}/show")
    def show(name: StudyName, body: Showing, request: Request) -> Response:
        """Go to another case of the session, or to none."""
        left = Attention(**body.left.model_dump()) if body.left else None
        return told(rooms.show(name, identity_of(request).name, body.session, body.position, left))

    return router
