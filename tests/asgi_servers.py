"""ASGI applications behind a real uvicorn on a free port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def served(app: Any, **options: Any) -> Iterator[int]:
    """Serves in a thread of its own; gives the port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = int(listening.getsockname()[1])
    server = uvicorn.Server(uvicorn.Config(app, **{"log_config": None, "access_log": False, "ws": "none", **options}))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(15)
        listening.close()
    assert not thread.is_alive()
