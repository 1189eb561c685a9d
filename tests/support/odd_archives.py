"""Archives that answer otherwise than they should, on a real port of the loopback interface."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that give up are what these tests are about."""


@contextmanager
def odd_archive(answer: Answer) -> Iterator[str]:
    """A server that answers every request by the function; its DICOMweb root."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer(self)

        do_POST = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - the library's names

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fixed(status: int, content: bytes | Any, media_type: str = "application/dicom+json") -> Answer:
    """Always this answer; what is no bytes becomes JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        if status != 204:
            request.send_header("Content-Type", media_type)
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return answer


def dripping(head: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", drop: bytes = b"x") -> Answer:
    """A byte now and then, always in time for the next one, and no end."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(head)
        for _ in range(1000):
            request.wfile.write(drop)
            time.sleep(0.03)

    return answer


def silent(request: BaseHTTPRequestHandler) -> None:
    """Take the request and say nothing."""
    time.sleep(30)
