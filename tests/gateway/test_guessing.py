"""Wrong tokens are counted by address and together; whoever has a right one is not kept waiting by others."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monailabel_app.gateway import guard
from monailabel_app.gateway.guard import Guard
from monailabel_app.gateway.guessing import Guesses
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token, remove_token
from tests.support.asgi import AsgiClient

HOST = "127.0.0.1:8000"


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def guesses(time: Time) -> Guesses:
    return Guesses(per_address=3, overall=5, window_s=60.0, now=time)


def test_an_address_waits_after_some_wrong_tokens_and_another_one_does_not(guesses: Guesses, time: Time) -> None:
    for number in range(3):
        assert guesses.wait_s("10.0.0.1", "next") == 0
        guesses.note_wrong("10.0.0.1", f"wrong {number}")
    time.now += 10
    assert (guesses.wait_s("10.0.0.1", "next"), guesses.wait_s("10.0.0.2", "next")) == (50, 0)
    time.now += 50
    assert guesses.wait_s("10.0.0.1", "next") == 0


def test_all_wait_when_many_addresses_guess(guesses: Guesses) -> None:
    for number in range(5):
        guesses.note_wrong(f"10.0.0.{number}", f"wrong {number}")
    assert guesses.wait_s("10.9.9.9", "next") == 60


def test_one_wrong_token_counts_once_however_often_a_page_sends_it(guesses: Guesses) -> None:
    for _ in range(100):
        guesses.note_wrong("10.0.0.1", "that of last month")
    assert guesses.wait_s("10.0.0.1", "next") == 0


def test_a_token_that_was_right_never_waits_until_it_is_wrong(guesses: Guesses) -> None:
    guesses.note_right("ann's")
    for number in range(5):
        guesses.note_wrong("10.0.0.1", f"wrong {number}")
    assert (guesses.wait_s("10.0.0.1", "ann's"), guesses.wait_s("10.0.0.1", "other")) == (0, 60)
    guesses.note_wrong("10.0.0.1", "ann's")
    assert guesses.wait_s("10.0.0.1", "ann's") == 60, "it was removed"


def test_memory_is_bounded_whatever_comes(time: Time) -> None:
    guesses = Guesses(per_address=3, overall=5, now=time)
    for number in range(5000):
        guesses.note_wrong(f"address {number}", f"wrong {number}")
        guesses.note_wrong("one", f"wrong {number}")
        guesses.note_right(f"right {number}")
    kept = len(guesses._right) + sum(1 + len(window.tokens) for window in guesses._wrong.values())
    assert kept <= 1000 + 1000 * (1 + 3) + 5


def test_the_guard_answers_429_and_lets_those_who_signed_in_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WRONG_TOKEN_DELAY_S", 0.0)
    file = tmp_path / "tokens"
    ann, bob = (add_token(file, Identity(name, Role.READER)) for name in ("Ann", "Bob"))

    async def echo(_: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app = Guard(Starlette(routes=[Route("/health", echo)]), hosts=[HOST], tokens=TokenBook(file))
    client = AsgiClient(app)

    def ask(token: str, accept: str = "*/*") -> tuple[int, str]:
        answer = client.get("/health", headers={"authorization": f"Bearer {token}", "accept": accept})
        return answer.status_code, answer.headers.get("retry-after", "")

    assert ask(ann) == (200, "")
    assert [ask(f"guess {number}")[0] for number in range(12)] == [401] * 10 + [429] * 2
    assert ask(ann) == (200, "")
    status, wait = ask(bob)
    assert (status, 0 < int(wait) <= 60) == (429, True), "a token that was not seen yet may be a guess"
    page = client.post("/sign-in", content=f"token={bob}", headers={"accept": "text/html"})
    assert (page.status_code, "Too many wrong tokens" in page.text) == (429, True)
    remove_token(file, "Ann")
    assert ask(ann)[0] == 401
    assert ask(ann)[0] == 429
