"""uvicorn as ``camcount serve`` uses it: bodies in one piece, signals left alone."""

from __future__ import annotations

import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from camcount.api.reading import LEAVERS
from camcount.errors import ServiceError, UsageError

_AHEAD = 2**20
"""Bytes of a body that are taken before the application asks for them."""


class WholeBodies(HttpToolsProtocol):
    """Wakes the application when a body is whole, or long, rather than for every piece that comes.

    uvicorn's own wakes it at every piece and stops reading at 64 kB: for a camera's picture up to three turns
    of the event loop, each as dear as finding the route. And an application that wants to know of a client that goes
    away needs a task there that waits for it; here it leaves a function in `LEAVERS`.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._extensions: dict[str, dict[Any, Any]] = {LEAVERS: {}}

    def on_message_begin(self) -> None:
        """Begins a request."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells those who wait for answers."""
        super().connection_lost(exc)
        for leave in tuple(self._extensions.pop(LEAVERS, ())):  # who comes later must ask for the next message
            leave()

    def on_body(self, body: bytes) -> None:
        """Keeps a piece."""
        cycle = self.cycle
        if self.parser.should_upgrade() or cycle.response_complete:
            super().on_body(body)
            return
        cycle.body += body
        if len(cycle.body) > _AHEAD:
            self.flow.pause_reading()
            cycle.message_event.set()


class HttpServer(uvicorn.Server):
    """Leaves signals alone: they stop all doors, not only this one."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Captures none."""
        yield


def http_config(
    app: ASGIApp, *, drain_s: float, body_limit: int, tls_cert: Path | None = None, tls_key: Path | None = None
) -> uvicorn.Config:
    """How an application is served.

    Args:
        drain_s: seconds in which requests are finished at the end.
        body_limit: bytes of the longest message over a WebSocket.

    Raises:
        UsageError: the certificate or its key cannot be used.
    """
    config = uvicorn.Config(
        app,
        http=WholeBodies,
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(drain_s)),
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        ws="websockets-sansio",  # reads nothing more while a message waits unread, so that clients are halted
        ws_max_size=body_limit,
        ws_per_message_deflate=False,  # pictures are compressed already, and to try costs more than to draw them
    )
    try:
        config.load()
    except OSError as error:
        raise UsageError(f"the certificate {tls_cert} or its key cannot be used: {error}") from None
    return config


def loop_factory() -> Callable[[], AbstractEventLoop] | None:
    """What makes the quickest event loop there is here."""
    return uvicorn.Config("", log_config=None).get_loop_factory()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ServiceError: the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ServiceError(f"cannot listen on {host}:{port} ({error.strerror}): give another --port") from None
    listening.listen(2048)
    listening.setblocking(False)
    return listening


def named(listening: socket.socket) -> str:
    """Where it listens, as it stands in an address."""
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
