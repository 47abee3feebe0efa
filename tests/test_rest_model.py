"""The REST interface over the real data plane with a real model."""

from __future__ import annotations

import base64
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from camcount.api.application import application
from camcount.api.measured import SERIES
from camcount.detection.load import detector_for
from camcount.monitoring.prometheus import PrometheusRecorder
from camcount.monitoring.rates import Rates
from camcount.serving.cache import CacheSettings, MemoryCache
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel, ServingOptions
from camcount.storage.database import open_database
from camcount.storage.measurements import Measurements
from camcount.video.encoded import picture_frame
from tests.asgi_servers import served
from tests.picture_files import damaged_inside

ONE = "/api/v1/models/street"
JPEG = {"Content-Type": "image/jpeg"}


@dataclass
class Running:
    """A server with its data plane."""

    client: httpx.Client
    plane: DataPlane
    port: int
    weights: Path
    photos: list[bytes]

    def post(self, content: bytes, query: str = "") -> dict[str, Any]:
        """The answer for one picture."""
        answer = self.client.post(f"{ONE}/inference{query}", content=content, headers=JPEG)
        body: dict[str, Any] = answer.json()
        assert answer.status_code == 200, body
        return body


@pytest.fixture(scope="module")
def running(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    weights = data / "weights" / "yolox_nano_416x416.onnx"
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('database')}/measured.db")
    rates = Rates()
    metrics = PrometheusRecorder(lambda: plane.gauges())
    plane = DataPlane(
        {"street": ServedModel(model=str(weights))},
        options=ServingOptions(replicas=1),
        recorders=[rates, metrics],
        cache=MemoryCache(CacheSettings()),
    )
    plane.load("street")
    app = application(plane, rates=rates, series=Measurements(database), render=metrics.render)
    photos = [path.read_bytes() for path in sorted((data / "images/photos").glob("people*"))]
    with served(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield Running(client, plane, port, weights, photos)
    plane.close()
    database.close()


def test_the_answer_is_what_the_detector_finds(running: Running) -> None:
    """Class, confidence and box are those of the detector itself, surest first, inside the picture."""
    (expected,) = detector_for(str(running.weights), confidence=0.25).detect([picture_frame(running.photos[0])])
    rows = running.post(running.photos[0])["results"]["detections"]
    assert len(rows) == len(expected) > 3
    xywh = expected.xyxy.astype(float)
    xywh[:, 2:] -= xywh[:, :2]
    np.testing.assert_allclose([row["bbox"] for row in rows], xywh, atol=0.006)
    np.testing.assert_allclose([row["confidence"] for row in rows], expected.confidence, atol=6e-5)
    assert [row["class"] for row in rows] == [expected.label(row) for row in range(len(expected))]


def test_thresholds_reach_the_model(running: Running) -> None:
    """A higher confidence returns fewer, a most returns the surest."""
    all_of_them = running.post(running.photos[1])["results"]["detections"]
    sure = running.post(running.photos[1], "?confidenceThreshold=0.6")["results"]["detections"]
    assert 0 < len(sure) < len(all_of_them)
    assert all(row["confidence"] >= 0.6 for row in sure)
    few = running.post(running.photos[1], "?maxDetections=2")["results"]["detections"]
    assert [row["confidence"] for row in few] == sorted((r["confidence"] for r in all_of_them), reverse=True)[:2]


def test_the_same_picture_again_comes_from_the_cache(running: Running) -> None:
    """An answer says whether it was computed."""
    first = running.post(running.photos[2], "?confidenceThreshold=0.31")
    second = running.post(running.photos[2], "?confidenceThreshold=0.31")
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["results"]["detections"] == second["results"]["detections"]


def test_turned_and_scaled_pictures_are_found_upright(running: Running) -> None:
    """A photograph stored lying, with Exif that says so, gives the boxes of the upright one."""
    upright = cv2.imdecode(np.frombuffer(running.photos[0], np.uint8), cv2.IMREAD_COLOR)
    assert upright is not None
    lying = cv2.imencode(".jpg", cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = lying[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + lying[2:]
    expected = [row for row in running.post(running.photos[0])["results"]["detections"] if row["confidence"] > 0.6]
    found = running.post(turned)["results"]["detections"]
    for row in expected:
        nearest = min(found, key=lambda other: float(np.abs(np.subtract(other["bbox"], row["bbox"])).max()))
        assert np.abs(np.subtract(nearest["bbox"], row["bbox"])).max() < 20


def test_a_batch_of_photographs_has_one_that_is_damaged(running: Running) -> None:
    """What shows only in decoding is the error of that picture alone."""
    images = [
        base64.b64encode(content).decode() for content in (*running.photos[:2], damaged_inside(running.photos[0]))
    ]
    answer = running.client.post(f"{ONE}/batch-inference", json={"images": images, "batchSize": 2}).json()
    first, second, third = answer["results"]
    assert first["detections"]
    assert second["detections"]
    assert third["error"]["code"] == "INF_002"


def test_damage_inside_is_422(running: Running) -> None:
    """A picture that cannot be decoded is no black picture."""
    answer = running.client.post(f"{ONE}/inference", content=damaged_inside(running.photos[0]), headers=JPEG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INF_002")


@pytest.mark.parametrize("name", ["yolox_nano_416x416.onnx", "motion", "other", "street:9.0.0", "street@champion"])
def test_a_file_or_another_model_cannot_be_had_by_name(
    running: Running, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Even where a file of that name lies in the server's folder, only configured models answer."""
    monkeypatch.chdir(running.weights.parent)
    answer = running.client.post(f"/api/v1/models/{name}/inference", content=running.photos[0], headers=JPEG)
    assert answer.status_code in (404, 409)
    assert answer.json()["error"]["code"] in ("MODEL_001", "MODEL_004")


def test_status_and_measurements_tell_of_what_was_asked(running: Running) -> None:
    """Latency and throughput of the requests so far; the time series and Prometheus answer too."""
    running.post(running.photos[3])
    status = running.client.get(f"{ONE}/status").json()
    assert status["status"] == "ready"
    assert status["performance"]["avgLatency"] > 0
    assert status["performance"]["throughput"] > 0
    assert status["performance"]["resourceUsage"]["memory"] > 10_000_000
    series = running.client.get(f"{ONE}/metrics?timeRange=1h&metrics=latency,throughput")
    assert (series.status_code, series.json()["metrics"]) == (200, ["latency", "throughput"])
    every = ",".join(SERIES)  # the database knows all that the interface offers
    assert running.client.get(f"{ONE}/metrics?metrics={every}").status_code == 200
    wrong = running.client.get(f"{ONE}/metrics?metrics=happiness")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "INF_001")
    assert 'model="street"' in running.client.get("/metrics").text


def test_what_nobody_waits_for_is_not_computed(running: Running) -> None:
    """A counter of the data plane shows that queued work of clients that went away was dropped."""
    before = running.plane.gauges()[0].cancelled_unrun
    content = running.photos[0]
    head = f"Host: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
    connections = []
    for number in range(30):  # thresholds of their own: none of them is in the cache
        connection = socket.create_connection(("127.0.0.1", running.port), 10)
        path = f"POST {ONE}/inference?confidenceThreshold=0.4{number:02} HTTP/1.1\r\n"
        connection.sendall((path + head).encode() + content)
        connections.append(connection)
    _until(lambda: running.plane.gauges()[0].queued > 5)
    for connection in connections:
        connection.close()
    _until(lambda: running.plane.gauges()[0].cancelled_unrun > before + 5)
    assert running.post(content)["results"]["detections"]


def _until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert what()


def test_a_connection_serves_many_pictures(running: Running) -> None:
    """Keep-alive: a camera needs one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    for content in running.photos * 3:
        connection.request("POST", f"{ONE}/inference", content, JPEG)
        answer = connection.getresponse()
        assert (answer.status, answer.read()[:2]) == (200, b'{"')
    connection.close()


def test_a_model_is_unloaded_and_loads_again_when_it_is_asked(running: Running) -> None:
    """Unloading frees it; the next request brings it back."""
    assert running.client.post(f"{ONE}/unload").json()["state"] == "registered"
    assert running.post(running.photos[0], "?confidenceThreshold=0.33")["results"]["detections"]
    assert running.client.get(f"{ONE}/status").json()["status"] == "ready"
    assert running.client.post(f"{ONE}/reload").json()["status"] == "ready"
