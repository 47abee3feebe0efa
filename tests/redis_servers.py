"""Real Redis servers for the tests, which can be killed, frozen and started again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.ports import free_port

try:
    import redis
except ImportError:
    redis = None  # type: ignore[assignment]


@dataclass
class RedisServer:
    """A redis-server on a free port of this machine that writes nothing to disk."""

    folder: Path
    options: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A plain client that waits patiently."""
        return redis.Redis(port=self.port, socket_timeout=10, protocol=2)

    def start(self) -> None:
        """Starts it, on the same port as before, and waits until it answers."""
        if not self.port:
            self.port = free_port()
        port = () if "--tls-port" in self.options else ("--port", str(self.port))
        command = ["redis-server", "--bind", "127.0.0.1", *port, "--save", "", "--dir", str(self.folder)]
        options = [option.replace("PORT", str(self.port)) for option in self.options]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        pytest.fail("redis-server did not start")

    def kill(self) -> None:
        """Ends it at once, in the middle of whatever it does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It holds its connections and says nothing more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on where it was frozen."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A running server; skips where there is none to run. ``PORT`` in an option is its port."""
    if redis is None or shutil.which("redis-server") is None:
        pytest.skip('no Redis: apt-get install redis-server, pip install "camcount[redis]"')
    server = RedisServer(folder, options)
    server.start()
    try:
        yield server
    finally:
        server.kill()
