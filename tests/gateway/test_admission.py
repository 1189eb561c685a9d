"""Of many inferences at once few are let in; the rest hear so before they have sent what they have."""

from __future__ import annotations

from dataclasses import replace

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway.admission import LIMITS, RETRY_AFTER_S, Admission

INFER = "POST /infer/a"
UPLOADS = ("PUT /datastore/label", "POST /studies/1.2/segmentations", "POST /studies/1.2/segmentations/file")


class House:
    """Something slow behind its admission, which counts what it sees."""

    def __init__(self, asked: str = INFER, **settings: object) -> None:
        self.most = self.inside = self.pieces = 0
        self._method, self._path = asked.split()
        routes = [Route(self._path, self._take, methods=[self._method]), Route("/health", self._health)]
        self._app = Starlette(routes=routes, middleware=[Middleware(Admission, **settings)])

    async def _take(self, request: Request) -> PlainTextResponse:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await request.body()
            await anyio.sleep(0.05)
        finally:
            self.inside -= 1
        return PlainTextResponse("made")

    async def _health(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def ask(self, count: int, *, drip_s: float = 0.0) -> list[httpx.Response]:
        answers: list[httpx.Response] = []

        async def body():
            for _ in range(3):
                self.pieces += 1
                yield b"x"
                await anyio.sleep(drip_s)

        async def one(client: httpx.AsyncClient) -> None:
            answers.append(await client.request(self._method, self._path, content=body()))

        async def everybody() -> None:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
                async with anyio.create_task_group() as tasks:
                    for _ in range(count):
                        tasks.start_soon(one, client)
                assert (await client.get("/health")).text == "ok"

        anyio.run(everybody)
        return answers


def test_fifty_at_once_are_five_and_the_rest_are_told_when_to_come_back() -> None:
    house = House()
    answers = house.ask(50)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 45
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.headers["retry-after"] for answer in refused} == {str(RETRY_AFTER_S)}
    assert refused[0].json()["detail"].startswith("5 inferences run or wait already, the most that are taken at once")
    assert (house.most, house.pieces) == (5, 15), "bodies of the others were not read"
    assert [answer.status_code for answer in house.ask(5)] == [200] * 5, "all places are free again"


@pytest.mark.parametrize("asked", UPLOADS)
def test_many_segmentations_at_once_are_four_and_the_rest_are_told_when_to_come_back(asked: str) -> None:
    house = House(asked)
    answers = house.ask(20)
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 16
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.headers["retry-after"] for answer in refused} == {str(RETRY_AFTER_S)}
    assert refused[0].json()["detail"] == (
        "4 segmentations are being stored already, the most that are taken at once; try again in 3 seconds"
    )
    assert (house.most, house.pieces) == (4, 12), "bodies of the others were not read"


def test_a_body_that_does_not_come_in_time_gives_its_place_up() -> None:
    house = House(limits=[replace(LIMITS[0], places=1)], upload_s=0.2)
    (late,) = house.ask(1, drip_s=0.3)
    assert (late.status_code, late.json()["detail"][:39]) == (408, "the body did not arrive within 0.2 s; s")
    assert [answer.status_code for answer in house.ask(1)] == [200]
