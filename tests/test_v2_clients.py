"""Public clients against our server, unchanged, with a real model: Triton's over HTTP and gRPC; our own engine."""

from __future__ import annotations

import json
import queue
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc

from camcount.api.v2_statistics import Tally
from camcount.detections import Detections
from camcount.models.opening import find_model
from camcount.serving.cache import CacheSettings, MemoryCache
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel, ServingOptions
from camcount.serving.requests import DetectionRequest
from camcount.video.encoded import picture_frame
from tests.door_servers import Doors, open_doors

_TRITON = Path(__file__).parents[1] / ".venv-triton" / "bin" / "python"


class Served:
    """A data plane with YOLOX-nano and its doors, and a picture with what is in it."""

    def __init__(self, plane: DataPlane, doors: Doors, picture: Path, weights: Path) -> None:
        self.plane, self.doors, self.picture, self.weights = plane, doors, picture, weights
        self.content = picture.read_bytes()
        self.found = plane.detect(DetectionRequest(model="nano", frame=picture_frame(self.content))).detections
        assert len(self.found) > 3


@pytest.fixture(scope="module")
def served(data: Path) -> Iterator[Served]:
    """With a result cache, as the server has one."""
    weights = data / "weights" / "yolox_nano_416x416.onnx"
    tally = Tally(caching=True)
    plane = DataPlane(
        {"nano": ServedModel(model=str(weights))},
        options=ServingOptions(replicas=2),
        recorders=[tally],
        cache=MemoryCache(CacheSettings()),
    )
    plane.start(["nano"])
    with open_doors(plane, tally) as doors:
        yield Served(plane, doors, data / "images" / "photos" / "people1.jpeg", weights)
    plane.close(2)


@pytest.fixture
def client(served: Served) -> Iterator[Any]:
    """Triton's gRPC client."""
    with tritonclient.grpc.InferenceServerClient(served.doors.grpc) as connected:
        yield connected


def _image(*contents: bytes) -> Any:
    tensor = tritonclient.grpc.InferInput("image", [len(contents)], "BYTES")
    return tensor.set_data_from_numpy(np.array(contents, np.object_))


def test_tritons_http_client_works_unchanged(served: Served) -> None:
    """Health, metadata, index, both interfaces in binary and JSON, packed, asynchronous, statistics, load, unload."""
    if not _TRITON.exists():
        pytest.skip("no Triton client for HTTP in .venv-triton: make .venv-triton/ready")
    script = Path(__file__).with_name("triton_http.py")
    address = served.doors.http.removeprefix("http://")
    done = subprocess.run(
        [_TRITON, script, address, "nano", served.picture], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    flags = (
        "live",
        "ready",
        "model_ready",
        "tensors_ready",
        "nobody_ready",
        "ready_after_unload",
        "ready_after_load",
    )
    assert [told[flag] for flag in flags] == [True, True, True, True, False, False, True]
    assert "binary_tensor_data" in told["server"]["extensions"]
    assert told["model"]["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert told["tensors"]["inputs"][0]["datatype"] == told["config"]["input"][0]["data_type"].removeprefix("TYPE_")
    assert {entry["name"] for entry in told["index"]} == {"nano", "nano.tensors"}
    assert told["tensor"] == ["output", [1, 3549, 85], True]
    assert told["refused"][0] == "400"
    _check_pictures(told, served)
    _check_statistics(told)


def _check_pictures(told: dict[str, Any], served: Served) -> None:
    boxes = served.found.xyxy.tolist()
    for way in ("binary", "json", "mixed", "gzip", "deflate"):
        assert told[way]["boxes"] == pytest.approx(np.array(boxes), abs=1e-3), way
    assert told["binary"]["id"] == "seven"
    assert told["json"]["labels"] == [served.found.label(row) for row in range(len(served.found))]
    assert len(told["sure"]["boxes"]) == 1
    assert [answer["boxes"] for answer in told["async"]] == [told["binary"]["boxes"]] * 8
    assert told["two"]["image_index"] == [0] * len(boxes) + [1] * len(boxes)


def _check_statistics(told: dict[str, Any]) -> None:
    """What the client did, and the first look without it: 16 pictures and two tensors."""
    (counts,) = told["statistics"]["model_stats"]
    assert told["all_statistics"]["model_stats"] == [counts]
    spans = counts["inference_stats"]
    assert spans["success"]["count"] == counts["inference_count"] + spans["cache_hit"]["count"]
    assert spans["cache_hit"]["count"] > 0
    assert counts["inference_count"] == counts["execution_count"] == spans["queue"]["count"]
    assert spans["compute_infer"]["ns"] > spans["compute_output"]["ns"] > 0


def test_tritons_grpc_client_works_unchanged(client: Any, served: Served) -> None:
    """Health, metadata, index and inference over both interfaces."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("nano", "0.0.0")
    assert client.get_server_metadata().name == "camcount"
    assert client.get_model_metadata("nano").outputs[0].name == "boxes"
    assert client.get_model_config("nano.tensors").config.input[0].name == "images"
    assert [model.name for model in client.get_model_repository_index().models] == ["nano", "nano.tensors"]
    answer = client.infer("nano", [_image(served.content)])
    assert answer.as_numpy("boxes") == pytest.approx(served.found.xyxy)
    assert answer.as_numpy("labels").tolist() == [b"person"] * len(served.found)
    array = np.full((1, 3, 416, 416), 114, np.float32)
    tensor = tritonclient.grpc.InferInput("images", array.shape, "FP32").set_data_from_numpy(array)
    assert client.infer("nano.tensors", [tensor]).as_numpy("output").shape == (1, 3549, 85)


def test_thresholds_come_as_parameters_over_grpc(client: Any, served: Served) -> None:
    """As text, for Triton's client has no fractions to send."""
    sure = client.infer("nano", [_image(served.content)], parameters={"confidence_threshold": "0.8"})
    assert 0 < len(sure.as_numpy("scores")) < len(served.found)
    assert sure.as_numpy("scores").min() >= 0.8


def test_a_stream_is_answered_in_order_with_errors_in_between(client: Any, served: Served) -> None:
    """The third of ten is no picture; the stream goes on."""
    got: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    client.start_stream(lambda result, error: got.put((result, error)))
    for number in range(10):
        client.async_stream_infer(
            "nano", [_image(served.content if number != 2 else b"no picture")], request_id=str(number)
        )
    answers = [got.get(timeout=20) for _ in range(10)]
    client.stop_stream()
    ids = [result.get_response().id if error is None else error.message()[:7] for result, error in answers]
    assert ids == ["0", "1", "INF_001", *map(str, range(3, 10))]


def test_asynchronous_calls_and_statistics_over_grpc(client: Any, served: Served) -> None:
    """Counts go up by what was asked."""
    before = client.get_inference_statistics("nano").model_stats[0].inference_stats.success.count
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for _ in range(6):
        client.async_infer("nano", [_image(served.content)], callback=lambda result, error: done.put(error))
    assert [done.get(timeout=20) for _ in range(6)] == [None] * 6
    counts = client.get_inference_statistics("nano").model_stats[0]
    assert counts.inference_stats.success.count == before + 6
    assert counts.memory_usage[0].byte_size > 1_000_000


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_our_own_remote_engine_finds_the_same_through_the_server(served: Served, protocol: str) -> None:
    """What `camcount count --model http://host/v2/models/NAME.tensors` uses; it is given whole squares."""
    doors = served.doors
    url = f"{doors.http}/v2/models/nano.tensors" if protocol == "http" else f"grpc://{doors.grpc}/nano.tensors"
    found = [_detect(where, served.content) for where in (url, str(served.weights))]
    assert len(found[0]) > 3
    sure = found[1].select(found[1].confidence >= 0.6)
    assert len(sure) > 3
    for box in sure.xyxy:  # padded to a square in one case and not in the other, boxes differ by a few pixels
        assert np.abs(found[0].xyxy - box).max(axis=1).min() < 0.1 * (box[3] - box[1])


def _detect(where: str, content: bytes) -> Detections:
    detector = find_model(where, confidence=0.25, input_size=(416, 416)).open("cpu")
    try:
        (found,) = detector.detect([picture_frame(content)])
    finally:
        detector.close()
    return found
