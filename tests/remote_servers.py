"""Inference servers to test `remote` against: a real MLServer, and small ones for what it does not speak."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3

from tests.ports import free_port

HERE = Path(__file__).parent
MLSERVER = HERE.parent / ".venv-mlserver" / "bin" / "mlserver"

Answer = tuple[int, bytes] | tuple[int, bytes, Mapping[str, str]]
Reply = Callable[[str, str, Mapping[str, str], bytes], Answer]
"""Method, path, headers and body to status, body and perhaps headers."""


@contextmanager
def serving(reply: Reply) -> Iterator[str]:
    """A server in this process that answers with ``reply``; gives its address."""

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content, *headers = reply(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 (the standard library's names)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Says nothing of callers that did not wait for their answer."""

    with Server(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@contextmanager
def mlserver(folder: Path, model: Path) -> Iterator[tuple[str, str]]:
    """A real MLServer that has the detector under the name ``person``; its addresses over HTTP and gRPC."""
    if not MLSERVER.exists():
        pytest.skip("no MLServer in .venv-mlserver: make mlserver sets it up")
    http, grpc, metrics = free_port(), free_port(), free_port()
    tensors = {
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 3, 192, 192]}],
        "outputs": [{"name": "output", "datatype": "FP32", "shape": [1, 756, 6]}],
    }
    runs = {"implementation": "onnx_runtime.OnnxRuntime", "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps({"name": "person", **runs, **tensors}))
    ports = {"http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "parallel_workers": 0, **ports}))
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [MLSERVER, "start", folder],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(HERE / "mlserver_runtime"), "PYTHONDONTWRITEBYTECODE": ""},
            stdout=output,
            stderr=output,
        )
    try:
        _wait_ready(f"http://127.0.0.1:{http}/v2/models/person/ready", process, log)
        yield f"http://127.0.0.1:{http}/v2/models/person", f"grpc://127.0.0.1:{grpc}/person"
    finally:
        process.terminate()
        process.wait(20)


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if urllib3.request("GET", url, retries=False).status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.1)
    pytest.fail(f"MLServer did not start: {log.read_text()[-2000:]}")
