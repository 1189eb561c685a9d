"""Listening to many clients, slow ones and hostile ones among them, without being kept from answering the others.

uvicorn 0.54 waits without end for the rest of a request that has begun, and asyncio writes a line, a thousand times a
second, for every connection that it cannot accept. Here a request has to come in time, and of too many connections
those are closed that have not asked for anything.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from monailabel_app.errors import OptionsError

HEAD_S = 10.0  # for the head of a request, from its first byte or the connection on
BODY_GAP_S = 30.0  # between two pieces of a body
TAKING_S = 300.0  # for what is sent in one go, such as a frame of 58 MB: 200 kB/s
_GRACE_S = 3  # for answers that are under way when the server stops
_BACKLOG = 128  # connections that are accepted in one go, before the oldest ones can be closed
_RESERVED_FILES = 256 + _BACKLOG  # databases, images, the archive's connections
_MOST_FILES = 65_536  # more is never needed, and some programs close every number up to the limit one by one
_MOST_CONNECTIONS = 4096
_FEWEST_CONNECTIONS = 64


def raise_file_limit() -> None:
    """Let this process have as many open files as it may, as far as that makes sense."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket for `build_server`, taken before anything slow, so that a taken port is reported at once.

    Args:
        host: An address, not a name.
        port: 0 takes any that is free.

    Raises:
        OptionsError: If the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms more for every small answer.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise OptionsError(
                f"cannot listen on {host} port {port} ({error.strerror}); choose another --port"
            ) from None
        yield listener


class _Server(uvicorn.Server):
    """Says that it will stop, goes on for a while, and says that it stops before it waits for answers under way."""

    def __init__(
        self,
        config: uvicorn.Config,
        when_leaving: Callable[[], None],
        leave_s: float,
        when_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._when_leaving = when_leaving
        self._leave_s = leave_s
        self._when_stopping = when_stopping
        self._is_leaving = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: later, so that whoever sends requests here can send them elsewhere; at once if asked again."""
        if self._is_leaving or not self._leave_s:
            super().handle_exit(sig, frame)
            return
        self._is_leaving = True
        self._when_leaving()
        later = threading.Timer(self._leave_s, super().handle_exit, (sig, frame))
        later.daemon = True
        later.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._when_stopping()
        await super().shutdown(sockets)


def build_server(
    app: Any,
    *,
    trusted_proxies: str = "",
    when_leaving: Callable[[], None] = lambda: None,
    leave_s: float = 0.0,
    when_stopping: Callable[[], None] = lambda: None,
) -> uvicorn.Server:
    """A server for sockets that listen already.

    Args:
        app: An ASGI app.
        when_leaving: Called when it is told to stop.
        leave_s: For how long it goes on answering after that.
        when_stopping: Called when it begins to stop, to give up what would be waited for.
        trusted_proxies: Addresses, joined by commas, whose X-Forwarded-For and X-Forwarded-Proto are believed; of
            nobody else, for whoever asks could write them.
    """
    config = uvicorn.Config(
        app,
        http=PromptProtocol,
        log_config=None,
        access_log=False,
        backlog=_BACKLOG,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return _Server(config, when_leaving, leave_s, when_stopping)


class PromptProtocol(H11Protocol):
    """HTTP for clients that ask in time; others are disconnected."""

    _timer: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _last_piece = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > _most_connections():
            _close_the_idlest(self.connections, self)
        self._begun = time.monotonic()
        self._expect(HEAD_S)

    def data_received(self, data: bytes) -> None:
        """Take a piece, and wait for the next one only as long as it may take."""
        self._last_piece = time.monotonic()
        was_asking = self.is_asking
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.is_asking:
            if not was_asking or self._timer is None:
                self._begun = time.monotonic()
                self._expect(HEAD_S)
        elif self.conn.their_state is h11.SEND_BODY:
            self._expect(BODY_GAP_S)
        else:
            self._expect(None)

    def on_response_complete(self) -> None:
        """Wait for the next request, for which uvicorn has a time of its own."""
        if self.conn.their_state is not h11.SEND_BODY:
            self._expect(None)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait until the client takes what it has asked for, but not for ever."""
        super().pause_writing()
        self._taking = self.loop.call_later(TAKING_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It has taken it."""
        self._has_taken()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._expect(None)
        self._has_taken()
        super().connection_lost(exc)

    @property
    def is_asking(self) -> bool:
        """Whether nothing, or only part of a request's head, has come."""
        return self.conn.their_state is h11.IDLE

    @property
    def begun(self) -> float:
        """When the request began that is waited for."""
        return self._begun

    def _has_taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
        self._taking = None

    def _expect(self, within_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if within_s is None else self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        if self.flow.read_paused:  # it is we who do not read
            self._expect(BODY_GAP_S)
        elif not self.transport.is_closing():
            self.transport.abort()


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(_FEWEST_CONNECTIONS, min(files - _RESERVED_FILES, _MOST_CONNECTIONS))


def _close_the_idlest(connections: set[Any], newest: Any) -> None:
    """Close the connection that has been waiting for its request longest; the newest one, if all others have asked."""
    waiting = [each for each in connections if each is not newest and each.is_asking]
    chosen = min(waiting, key=lambda each: each.begun, default=newest)
    connections.discard(chosen)
    chosen.transport.abort()
