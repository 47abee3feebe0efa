"""``camcount serve`` from outside: what a user sees of a running server."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient, InferInput

from camcount.server_settings import load_server_settings
from camcount.serving.options import ServingOptions
from tests.serving import Served, camcount_serve

_SAID_ELSEWHERE = {"tls_cert", "tls_key", "drain", "registry", "model_public_key", "cameras", "sinks", "secrets"}
"""In the text around the file, and in docs/cameras.md and docs/events.md."""


@pytest.fixture(scope="module")
def picture(data: Path) -> bytes:
    """People in a street."""
    return (data / "images/photos/people1.jpeg").read_bytes()


@pytest.fixture(scope="module")
def server(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of YOLOX-nano, under the name of its file."""
    model = data / "weights/yolox_nano_416x416.onnx"
    with camcount_serve(tmp_path_factory.mktemp("serve"), f"yolox={model}", "--grpc-port", "0") as served:
        served.until_ready()
        yield served


def test_a_picture_is_answered_with_what_is_in_it(server: Served, picture: bytes) -> None:
    """The raw picture as the body: the fast way."""
    status, answer = server.post("/api/v1/models/yolox/inference?confidenceThreshold=0.5", picture)
    assert status == 200
    people = [found for found in answer["results"]["detections"] if found["class"] == "person"]
    assert len(people) >= 5
    assert answer["modelId"] == "yolox"
    assert answer["decision"]["variant"] == "yolox:0.0.0"


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux only")
def test_no_thread_of_the_server_interrupts_another(server: Served, picture: bytes) -> None:
    """The event loop and the replicas are batch work: they wait for their turn."""
    tasks = Path(f"/proc/{server.process.pid}/task")

    def used() -> dict[int, int]:
        return {int(task.name): int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()}

    before = used()
    for _ in range(10):
        server.post("/api/v1/models/yolox/inference?confidenceThreshold=0.31", picture + os.urandom(8))
    busy = {thread for thread, now in used().items() if now - before.get(thread, 0) > 10_000_000}
    assert len(busy) >= 2
    assert {os.sched_getscheduler(thread) for thread in {server.process.pid, *busy}} == {os.SCHED_BATCH}


def test_all_doors_give_the_same_boxes(server: Served, picture: bytes) -> None:
    """REST, and the Open Inference Protocol over HTTP and gRPC."""
    _, answer = server.post("/api/v1/models/yolox/inference", picture)
    rest = [found["bbox"] for found in answer["results"]["detections"]]
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "datatype": "BYTES",
                    "shape": [1],
                    "parameters": {"binary_data_size": len(picture) + 4},
                }
            ]
        }
    ).encode()
    body = head + len(picture).to_bytes(4, "little") + picture
    request = urllib.request.Request(
        f"{server.url}/v2/models/yolox/infer", body, {"Inference-Header-Content-Length": str(len(head))}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        outputs = {output["name"]: output for output in json.loads(reply.read())["outputs"]}
    over_http = np.array(outputs["boxes"]["data"]).reshape(outputs["boxes"]["shape"])
    client = InferenceServerClient(server.grpc)
    given = InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([picture], np.object_))
    over_grpc = client.infer("yolox", [given]).as_numpy("boxes")
    client.close()
    for boxes in (over_http, over_grpc):
        np.testing.assert_allclose(np.c_[boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], rest, atol=0.02)


def test_what_is_asked_is_measured(server: Served, picture: bytes) -> None:
    """In the metrics, in the model's status, and in the log."""
    for _ in range(3):
        server.post("/api/v1/models/yolox/inference", picture)
    _, metrics = server.get("/metrics")
    assert b'camcount_requests_total{door="rest",model="yolox"' in metrics
    _, status = server.get("/api/v1/models/yolox/status")
    assert status["status"] == "ready"
    assert status["performance"]["throughput"] > 0


def test_a_repeated_picture_comes_from_the_cache_and_says_so(server: Served, data: Path) -> None:
    """The second answer is the first one's, marked."""
    picture = (data / "images/photos/people2.jpeg").read_bytes()
    first = server.post("/api/v1/models/yolox/inference", picture)[1]
    until = time.monotonic() + 10
    while not (again := server.post("/api/v1/models/yolox/inference", picture)[1]).get("cached"):
        assert time.monotonic() < until
    assert again["results"]["detections"] == first["results"]["detections"]


def test_what_is_not_there_is_said_with_its_code(server: Served, picture: bytes) -> None:
    """404, also for a path on the server's disk."""
    status, answer = server.post("/api/v1/models/nobody/inference", picture)
    assert (status, answer["error"]["code"]) == (404, "MODEL_001")
    assert server.post("/api/v1/models/%2Fetc%2Fpasswd/inference", picture)[0] == 404


@pytest.mark.alone
def test_a_stopping_server_answers_what_it_has_taken(data: Path, tmp_path: Path, picture: bytes) -> None:
    """SIGTERM in the middle of work: no request is lost, and the exit status is 0."""
    model = data / "weights/yolox_nano_416x416.onnx"
    config = tmp_path / "camcount.yaml"
    config.write_text(f"models: {{yolox: '{model}'}}\ncache: {{enabled: false}}\nserving: {{replicas: 1}}\n")
    with camcount_serve(tmp_path / "home", "--config", str(config)) as served:
        served.until_ready()
        answers: list[int] = []

        def ask() -> None:
            answers.append(served.post("/api/v1/models/yolox/inference", picture)[0])

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)  # all are taken, few are answered
        assert served.stop() == 0
        for thread in threads:
            thread.join(30)
        assert answers == [200] * 16
        assert "Traceback" not in served.log.read_text()


def test_a_server_tells_whether_it_is_ready(tmp_path: Path, data: Path) -> None:
    """A model that cannot be loaded keeps it from being ready, and the reason is told."""
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with camcount_serve(tmp_path / "home", str(broken)) as served:
        assert served.get("/health/live")[0] == 200
        until = time.monotonic() + 30
        while served.get("/api/v1/models/broken/status")[1]["status"] != "error":
            assert time.monotonic() < until
            time.sleep(0.05)
        assert served.get("/health/ready")[0] == 503
        assert "MODEL_002" in served.log.read_text()


def test_a_certificate_encrypts_the_doors(tmp_path: Path, data: Path, picture: bytes) -> None:
    """HTTPS with the given certificate."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    model = data / "weights/light_person_detector.onnx"
    flags = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with camcount_serve(tmp_path / "home", str(model), *flags) as served:
        assert served.url.startswith("https://")
        context = ssl.create_default_context(cafile=cert)
        with urllib.request.urlopen(f"{served.url}/health/live", timeout=30, context=context) as answer:
            assert answer.status == 200


def _fails(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "camcount", "serve", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken port, a setting that there is not, a value that cannot be, half a certificate."""
    monkeypatch.setenv("CAMCOUNT_HOME", str(tmp_path))
    config = tmp_path / "camcount.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "give another --port" in _fails("--port", str(taken.getsockname()[1]))
    config.write_text("servng: {}\n")
    assert "servng" in _fails("--config", str(config))
    config.write_text("serving: {replicas: 0}\n")
    assert "replicas 0 must be above 0" in _fails("--config", str(config))
    config.write_text("serving: {bach_size: 4}\n")
    assert "bach_size" in _fails("--config", str(config))
    assert "go together" in _fails("--tls-cert", str(config))


def test_the_configuration_of_the_documentation_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """docs/server.md's file can be read, setting by setting, and says every setting that there is."""
    text = (Path(__file__).parents[1] / "docs/server.md").read_text()
    config = tmp_path / "camcount.yaml"
    config.write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    settings = load_server_settings(config, {})
    assert settings.models["street"].fallbacks[0].target == "backup"
    said = settings.model_fields_set | _SAID_ELSEWHERE
    assert said >= set(type(settings).model_fields)
    assert {name for name in ServingOptions.__slots__ if f"  {name}:" not in text} == {"retry_delay"}
