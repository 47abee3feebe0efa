"""``camcount serve`` as a process of its own, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    url: str
    grpc: str
    log: Path

    def get(self, path: str) -> tuple[int, Any]:
        """Status and answer."""
        return _asked(urllib.request.Request(self.url + path))

    def post(self, path: str, body: bytes = b"", kind: str = "image/jpeg") -> tuple[int, Any]:
        """Status and answer."""
        return _asked(urllib.request.Request(self.url + path, body, {"Content-Type": kind}))

    def until_ready(self, seconds: float = 60.0) -> None:
        """Returns when it says that it is ready."""
        until = time.monotonic() + seconds
        while self.get("/health/ready")[0] != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def stop(self, seconds: float = 30.0) -> int:
        """Asks it to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def _asked(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read()
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body


@contextmanager
def camcount_serve(home: Path, *arguments: str, port: int = 0, **environment: str) -> Iterator[Served]:
    """Starts the command on a free port; it has told its addresses when this returns."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "camcount", "serve", *arguments, "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "CAMCOUNT_HOME": str(home), **environment},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.match(r"camcount serves at (\S+?)(?:, gRPC at (\S+))? \(", line)
        assert found, f"{line}{log.read_text()}"
        yield Served(process, found[1], found[2] or "", log)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def serve_with(home: Path, settings: Mapping[str, Any]) -> Iterator[Served]:
    """As `camcount_serve`, with these settings in a file."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / "camcount.yaml"
    config.write_text(json.dumps(settings))  # JSON is YAML too
    with camcount_serve(home, "--config", str(config)) as served:
        yield served


@dataclass
class Client:
    """Somebody who has the same picture looked at again and again."""

    statuses: list[int] = field(default_factory=list)
    cached: int = 0


@contextmanager
def asking(server: Served, model: str, picture: bytes, *, pause_s: float) -> Iterator[Client]:
    """A client that asks until the block ends."""
    client, ended = Client(), threading.Event()

    def ask() -> None:
        while not ended.wait(pause_s):
            status, answer = server.post(f"/api/v1/models/{model}/inference", picture)
            client.statuses.append(status)
            client.cached += bool(answer.get("cached"))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield client
    finally:
        ended.set()
        thread.join()
