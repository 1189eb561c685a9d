"""Slow clients are disconnected, many of them keep nobody else out, and small answers come at once."""

from __future__ import annotations

import http.client
import logging
import resource
import socket
import statistics
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monailabel_app import serve
from monailabel_app.gateway import connections
from monailabel_app.gateway.answers import LastResort
from monailabel_app.gateway.connections import build_server, listening, raise_file_limit
from monailabel_app.gateway.logs import FewOfAKind

pytestmark = pytest.mark.slow  # several seconds in all

_LARGE = 64 * 1024 * 1024  # more than the system keeps of what is on its way
REQUEST = b"GET /health HTTP/1.1\r\nHost: a\r\n"


async def _who(request: Request) -> PlainTextResponse:
    assert request.client is not None
    return PlainTextResponse(f"{request.client.host} {request.url.scheme} {len(await request.body())}")


async def _large(_: Request) -> Response:
    return Response(bytes(_LARGE))


async def _broken(_: Request) -> PlainTextResponse:
    raise ZeroDivisionError


@contextmanager
def _listening(trusted_proxies: str = "") -> Iterator[int]:
    """A small app behind the listener and the server of the product; its port."""
    routes = [Route("/health", _who, methods=["GET", "POST"]), Route("/broken", _broken), Route("/large", _large)]
    app = Starlette(routes=routes, middleware=[Middleware(LastResort)])
    with listening("127.0.0.1", 0) as listener:
        server = build_server(app, trusted_proxies=trusted_proxies)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def _ask(port: int, headers: dict[str, str] | None = None, path: str = "/health") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def _is_closed_within(client: socket.socket, seconds: float) -> bool:
    client.settimeout(seconds)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    monkeypatch.setattr(connections, "BODY_GAP_S", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /hea", REQUEST, b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"],
    ids=["nothing", "half a line", "half a head", "half a body"],
)
def test_who_does_not_finish_a_request_is_disconnected(sent: bytes) -> None:
    with _listening() as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(sent)
        assert _is_closed_within(client, 2)


@pytest.mark.usefixtures("impatient")
def test_a_head_that_drips_is_not_waited_for_either() -> None:
    with _listening() as port, socket.create_connection(("127.0.0.1", port)) as client:
        began = time.monotonic()
        while not _is_closed_within(client, 0.02):
            with suppress(BrokenPipeError):
                client.sendall(b"x")
        assert time.monotonic() - began < 2


@pytest.mark.usefixtures("impatient")
def test_a_body_that_comes_slowly_but_comes_is_taken() -> None:
    with _listening() as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        for _ in range(5):
            time.sleep(0.1)
            client.sendall(b"x")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_who_does_not_take_an_answer_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKING_S", 0.3)
    with _listening() as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.6)
        client.settimeout(2)
        received = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(1 << 20):
                received += len(piece)
        assert 0 < received < _LARGE


def test_a_large_answer_is_taken_whole_by_who_takes_it() -> None:
    with _listening() as port:
        assert len(_ask(port, path="/large")[1]) == _LARGE


def test_too_many_connections_close_those_that_have_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST_CONNECTIONS", 64)
    with _listening() as port, ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(100)]
        for client in clients:
            client.sendall(b"GET /")
        assert _ask(port)[0] == 200
        assert _is_closed_within(clients[0], 1)
        assert not _is_closed_within(clients[-1], 0.1)


def test_the_limit_of_open_files_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _latencies(port: int, path: str, headers: dict[str, str], *, is_kept: bool) -> list[float]:
    took = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(21):
        if not is_kept:
            connection.close()
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        connection.getresponse().read()
        took.append(time.perf_counter() - began)
    connection.close()
    return took[1:]


@pytest.mark.parametrize("which", ["gateway", "embedded archive"])
def test_a_kept_connection_answers_no_later_than_a_new_one(which: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        if which == "gateway":
            port, path, headers = stack.enter_context(_listening()), "/health", {}
        else:
            url, credentials = stack.enter_context(serve._embedded_store(tmp_path / "d", tmp_path / "i", print))
            port, path = int(url.split(":")[2].split("/")[0]), "/dicom-web/studies"
            headers = {"Authorization": "Basic " + b64encode(":".join(credentials).encode()).decode()}
        kept, new = (statistics.median(_latencies(port, path, headers, is_kept=kept)) for kept in (True, False))
    assert kept < new + 0.02, f"kept {1000 * kept:.1f} ms, new {1000 * new:.1f} ms: Nagle's algorithm costs 40 ms"


def test_nobody_forges_who_asks_unless_a_proxy_is_trusted() -> None:
    forged = {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "https"}
    with _listening() as port:
        assert _ask(port, forged) == (200, "127.0.0.1 http 0")
    with _listening(trusted_proxies="127.0.0.1") as port:
        assert _ask(port, forged) == (200, "10.9.8.7 https 0")


def test_an_internal_error_keeps_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    with _listening() as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        local = []
        for path, status in (("/broken", 500), ("/health", 200)):
            connection.request("GET", path)
            local.append(connection.sock.getsockname())
            answer = connection.getresponse()
            assert (answer.status, b"internal error" in answer.read()) == (status, status == 500)
        connection.close()
    assert local[0] == local[1]
    assert "ZeroDivisionError" in caplog.text


def _record(created: float, message: str = "no room for %s") -> logging.LogRecord:
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, message, ("x",), None)
    record.created = created
    return record


def test_the_log_says_little_of_a_kind_and_how_much_it_left_out() -> None:
    few: Any = FewOfAKind(most=3, interval_s=60)
    assert sum(few.filter(_record(100.0 + n / 1000)) for n in range(5000)) == 3
    assert few.filter(_record(101.0, "of another kind"))
    later = _record(161.0)
    assert few.filter(later)
    assert later.getMessage() == "no room for x (4997 more like this were left out)"
