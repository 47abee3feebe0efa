"""The doors of the Open Inference Protocol and the picture streams, opened on free ports over a data plane."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import uvicorn

from camcount.api.application import application
from camcount.api.grpc_server import GrpcServer, start_grpc
from camcount.api.v2 import v2_routes
from camcount.api.v2_statistics import Tally
from camcount.api.websocket import stream_routes
from camcount.http_server import http_config
from camcount.serving.dataplane import DataPlane

LIMIT = 8 * 2**20
PIXELS = 4_000_000


@dataclass
class Doors:
    """Where they are; ``run`` waits for a coroutine in their event loop."""

    http: str
    grpc: str
    server: GrpcServer
    run: Callable[[Awaitable[Any]], Any]

    @property
    def websocket(self) -> str:
        """The address of the picture streams."""
        return self.http.replace("http://", "ws://") + "/api/v1/models"


@contextmanager
def open_doors(plane: DataPlane, tally: Tally, *, received: int | None = None) -> Iterator[Doors]:
    """A uvicorn and a gRPC server in one event loop in a thread, as `camcount serve` runs them.

    The kernel holds so many bytes ``received`` on a connection and not read yet; as many as it likes where not given.
    """
    streams = stream_routes(plane, largest_pixels=PIXELS)
    routes = [*v2_routes(plane, tally, largest_body=LIMIT, largest_pixels=PIXELS), *streams]
    app = application(plane, doors=routes, body_limit=LIMIT)
    listening = socket.create_server(("127.0.0.1", 0))
    if received:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)  # what accepts inherits it
    port = listening.getsockname()[1]
    web = uvicorn.Server(http_config(app, drain_s=5, body_limit=LIMIT))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(web.serve(sockets=[listening]),))
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    server = run(start_grpc(plane, tally, "127.0.0.1", 0, largest_message=LIMIT, largest_pixels=PIXELS))
    try:
        yield Doors(f"http://127.0.0.1:{port}", f"127.0.0.1:{server.port}", server, run)
    finally:
        run(server.stop(0.1))
        web.should_exit = True
        thread.join(20)
        loop.close()


def jpeg(width: int = 64, height: int = 48) -> bytes:
    """A small grey picture."""
    return cv2.imencode(".jpg", np.full((height, width, 3), 114, np.uint8))[1].tobytes()
