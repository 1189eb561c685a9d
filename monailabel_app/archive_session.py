"""`ArchiveSession`: HTTP requests to an archive that end, in time or when they are told to, with what was asked for.

The timeouts of `requests` bound the wait for the next byte; an archive that sends one now and then keeps its client for
ever. Here a watch shuts the connection down when all of a request has taken too long, or nobody wants its answer any
more. What an archive calls DICOM JSON is checked for being that (PS3.18 annex F) before anybody reads it.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_CONNECT_S = 5.0
_LOOK_S = 0.25  # how long a request goes on after nobody wants it
_PAUSE_S = 0.2  # before the one other try
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_TRIES = 2  # an archive may drop a kept-alive connection just when it is used again
_PIECE_BYTES = 1 << 20  # in which an answer is read; requests reads 10 kB at a time, an image in 900 pieces
_MAX_DEPTH = 64  # of JSON; sequences in sequences, as deep as anybody nests them


class TooLongError(requests.RequestException):
    """All of a request took longer than it may."""


class UnwantedError(requests.RequestException):
    """The request was given up because nobody wants its answer any more."""


class NoDicomJsonError(requests.RequestException):
    """The answer calls itself JSON, and is no list of DICOM attributes."""


_is_unwanted: ContextVar[Callable[[], bool] | None] = ContextVar("is_unwanted", default=None)


@contextmanager
def wanted_until(is_unwanted: Callable[[], bool]) -> Iterator[None]:
    """Give up every request of the block, and refuse new ones, once the function says so.

    Args:
        is_unwanted: Asked four times a second, from another thread.
    """
    token = _is_unwanted.set(is_unwanted)
    try:
        yield
    finally:
        _is_unwanted.reset(token)


def is_unwanted() -> bool:
    """Whether what is done in the block of `wanted_until` should be given up."""
    ask = _is_unwanted.get()
    return ask is not None and ask()


class ArchiveSession(requests.Session):
    """A session whose requests raise `TooLongError`, `UnwantedError` or `NoDicomJsonError` instead of hanging on.

    Args:
        credentials: User and password for HTTP Basic; None sends none.
        deadline_s: Longest time of a request from its beginning to the last byte of its answer, another try included.
    """

    def __init__(self, credentials: tuple[str, str] | None = None, *, deadline_s: float) -> None:
        super().__init__()
        # As bytes, since requests would send the latin-1 of a text, and archives read UTF-8 (RFC 7617).
        self.auth = (credentials[0].encode(), credentials[1].encode()) if credentials else None
        self._deadline_s = deadline_s
        self._is_stopped = threading.Event()
        for scheme in ("http://", "https://"):
            self.mount(scheme, _WatchedAdapter())

    def stop(self) -> None:
        """Give up all requests that are under way, and refuse new ones: the server stops."""
        self._is_stopped.set()

    def request(self, method: str, url: str, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """See `requests.Session.request`; streams are read to their end."""
        kwargs.setdefault("timeout", (_CONNECT_S, self._deadline_s))
        unwanted = _is_unwanted.get() or (lambda: False)
        with _Watch(self._deadline_s, lambda: self._is_stopped.is_set() or unwanted()) as watch:
            for tries_left in reversed(range(_TRIES)):
                watch.check()
                try:
                    answer = super().request(method, url, **kwargs)
                except requests.ConnectionError as error:
                    watch.check()
                    if not tries_left or isinstance(error, requests.Timeout):
                        raise
                except requests.RequestException:
                    watch.check()
                    raise
                else:
                    watch.check()
                    if not tries_left or answer.status_code not in _BUSY or method != "GET":
                        break
                time.sleep(_PAUSE_S)
        _check_json(answer)
        return answer


class _Watch:
    """Shuts the connection of this thread down when time is up or nobody wants the answer."""

    def __init__(self, deadline_s: float, is_unwanted: Callable[[], bool]) -> None:
        self._deadline_s = deadline_s
        self._ends = time.monotonic() + deadline_s
        self._is_unwanted = is_unwanted
        self._is_done = threading.Event()
        self.connection: HTTPConnection | None = None

    def __enter__(self) -> _Watch:
        self._token = _watch.set(self)
        threading.Thread(target=self._look, name="archive-watch", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        _watch.reset(self._token)

    def check(self) -> None:
        """Raise if the request should not go on."""
        if self._is_unwanted():
            raise UnwantedError("nobody wants the answer any more")
        if time.monotonic() >= self._ends:
            raise TooLongError(f"it took longer than {self._deadline_s:g} s")

    def _look(self) -> None:
        while not self._is_done.wait(max(0.0, min(_LOOK_S, self._ends - time.monotonic()))):
            if self._is_unwanted() or time.monotonic() >= self._ends:
                self._shut_down()
                self._is_done.wait(_LOOK_S)  # again, should the connection have been made just now

    def _shut_down(self) -> None:
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            with suppress(OSError):  # it may have ended by itself
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # below TLS, which another thread may be reading


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


class _Watched:
    """What both kinds of connection have: they say which one is in use."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        if (watch := _watch.get()) is not None:
            watch.connection = self  # type: ignore[assignment]
        super().request(*args, **kwargs)  # type: ignore[misc]


class _WatchedHttp(_Watched, HTTPConnection):
    pass


class _WatchedHttps(_Watched, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHttps


class _Answer(requests.Response):
    """Is read in large pieces."""

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        return super().iter_content(max(chunk_size or 0, _PIECE_BYTES), decode_unicode)


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def build_response(self, *args: Any) -> requests.Response:
        answer = super().build_response(*args)
        answer.__class__ = _Answer
        return answer


def read_dicom_json(content: bytes) -> list[dict[str, Any]]:
    """The datasets of an answer in DICOM JSON.

    Raises:
        ValueError: If it is none.
    """
    if not content:
        return []
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON ({type(error).__name__})") from error
    datasets = values if isinstance(values, list) else [values]
    if not all(_is_dataset(each) for each in datasets):
        raise ValueError("it is no list of DICOM attributes")
    return datasets


def _is_dataset(value: Any, depth: int = 0) -> bool:
    return isinstance(value, dict) and depth < _MAX_DEPTH and all(_is_element(e, depth) for e in value.values())


def _is_element(element: Any, depth: int) -> bool:
    if not isinstance(element, dict):
        return False
    values = element.get("Value", [])
    if not isinstance(values, list):
        return False
    if element.get("vr") == "SQ":
        return all(_is_dataset(item, depth + 1) for item in values if item is not None)
    # Person names are objects; nothing is a list.
    return not any(isinstance(value, list) for value in values)


def _check_json(answer: requests.Response) -> None:
    """What a search and headers are answered with; a POST is judged by who has sent it."""
    asked = answer.request
    is_json = asked.method == "GET" and str(asked.headers.get("Accept", "")).startswith("application/dicom+json")
    if is_json and answer.status_code == HTTPStatus.OK:
        try:
            read_dicom_json(answer.content)
        except ValueError as error:
            raise NoDicomJsonError(str(error), response=answer) from error
