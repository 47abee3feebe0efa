"""Models on other servers: a real MLServer, and answers that other servers give or should not give."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from camcount.detection.detector import ModelDetector
from camcount.detection.preprocess import Preprocessor
from camcount.detection.recognise import recognise
from camcount.detection.spec import ModelSpec
from camcount.engines.onnx import OnnxEngine
from camcount.engines.open_inference import LENGTH_HEADER, read_response, write_request
from camcount.engines.remote import RemoteEngine
from camcount.engines.remote_grpc import _arrays
from camcount.engines.remote_plain import png
from camcount.errors import CamcountError, InferenceTimeout, ModelError, ModelNotFound, ServiceError, UsageError
from camcount.frame import Frame
from tests.remote_servers import Answer, Reply, mlserver, serving

Array = NDArray[Any]

METADATA = {
    "name": "person",
    "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 3, 192, 192]}],
    "outputs": [{"name": "output", "datatype": "FP32", "shape": [-1, 756, 6]}],
}
DESCRIBED = {"inputs": {"images": [1, 3, 192, 192]}, "outputs": {"output": [1, 756, 6]}}


@pytest.fixture(scope="module")
def model(data: Path) -> OnnxEngine:
    """The person detector, here."""
    return OnnxEngine(data / "weights" / "light_person_detector.onnx")


@pytest.fixture(scope="module")
def spec(model: OnnxEngine) -> ModelSpec:
    """How it wants its pictures."""
    return recognise(model, "light_person_detector.onnx")


@pytest.fixture(scope="module")
def frame(data: Path) -> Frame:
    """A photo of a street."""
    picture = cv2.imread(str(data / "images" / "photos" / "people1.jpeg"))
    assert picture is not None
    return Frame(
        index=0,
        time_s=0.0,
        width=picture.shape[1],
        height=picture.shape[0],
        render=lambda width, height: np.asarray(cv2.resize(picture, (width, height)), np.uint8),
    )


@pytest.fixture(scope="module")
def feeds(spec: ModelSpec, frame: Frame) -> dict[str, Array]:
    """The photo as the detector's input."""
    return {"images": Preprocessor(spec, np.dtype(np.float32)).tensor([frame])[0].copy()}


@pytest.fixture(scope="module")
def addresses(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A real MLServer's addresses of the detector, over HTTP and gRPC."""
    with mlserver(tmp_path_factory.mktemp("mlserver"), data / "weights" / "light_person_detector.onnx") as found:
        yield found


@pytest.mark.parametrize("way", [0, 1], ids=["http", "grpc"])
def test_a_detector_in_mlserver_finds_the_same_people(
    way: int, addresses: tuple[str, str], model: OnnxEngine, spec: ModelSpec, frame: Frame
) -> None:
    """The boxes that a real MLServer gives are the boxes of the model here."""
    engine = RemoteEngine(addresses[way])
    assert engine.inputs["images"].shape == (1, 3, 192, 192)
    (there,), (here,) = (ModelDetector(each, spec).detect([frame]) for each in (engine, model))
    assert len(here) > 3
    np.testing.assert_allclose(there.xyxy, here.xyxy, atol=0.01)
    np.testing.assert_allclose(there.confidence, here.confidence, atol=1e-5)
    engine.close()


@pytest.mark.parametrize("way", [0, 1], ids=["http", "grpc"])
def test_a_model_that_mlserver_does_not_have_is_not_found(way: int, addresses: tuple[str, str]) -> None:
    """MODEL_001 in one line, for a name and for a version."""
    for wrong in (addresses[way].replace("person", "nobody"), addresses[way] + "/versions/7"):
        with pytest.raises(ModelNotFound, match="check the model's name and version") as caught:
            RemoteEngine(wrong)
        assert "\n" not in str(caught.value)


def _open_inference(model: OnnxEngine, *, extensions: list[str], binary: bool, seen: list[bool]) -> Reply:
    """A server that speaks the Open Inference Protocol over HTTP, as Triton does (binary) or as MLServer does."""

    def reply(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if path == "/v2":
            return 200, json.dumps({"name": "server", "extensions": extensions}).encode()
        if method == "GET":
            return 200, json.dumps(METADATA).encode()
        length = headers.get(LENGTH_HEADER)
        seen.append(length is not None)
        if length is not None and not binary:
            return 400, b'{"error": "not JSON"}'
        (given,) = json.loads(body[: int(length)] if length else body)["inputs"]
        flat = np.frombuffer(body[int(length) :], np.float32) if length else np.array(given["data"], np.float32)
        found = model.run({"images": flat.reshape(given["shape"])})[0]
        entry: dict[str, Any] = {"name": "output", "datatype": "FP32", "shape": list(found.shape)}
        if length is None:
            return 200, json.dumps({"outputs": [{**entry, "data": found.ravel().tolist()}]}).encode()
        entry["parameters"] = {"binary_data_size": found.nbytes}
        head = json.dumps({"model_name": "person", "outputs": [entry]}).encode()
        return 200, head + found.tobytes(), {LENGTH_HEADER: str(len(head))}

    return reply


@pytest.mark.parametrize(
    ("extensions", "binary", "sent"),
    [
        (["binary_tensor_data"], True, [True, True]),
        ([], True, [True, True]),
        ([], False, [True, False, False]),
    ],
    ids=["it says so", "it does not say so", "it cannot"],
)
def test_tensors_go_in_binary_where_the_server_takes_them(
    extensions: list[str], binary: bool, sent: list[bool], model: OnnxEngine, feeds: dict[str, Array]
) -> None:
    """A server that cannot read binary tensors is asked once, and given JSON from then on; the answer is the same."""
    seen: list[bool] = []
    expected = model.run(feeds)[0]
    with serving(_open_inference(model, extensions=extensions, binary=binary, seen=seen)) as url:
        engine = RemoteEngine(f"{url}/v2/models/person")
        assert engine.inputs["images"].shape == (None, 3, 192, 192)
        for _ in range(2):
            np.testing.assert_array_equal(engine.run(feeds)[0], expected)
        engine.close()
    assert seen == sent


def test_json_may_be_asked_for(model: OnnxEngine, feeds: dict[str, Array]) -> None:
    """``binary=False`` never tries."""
    seen: list[bool] = []
    with serving(_open_inference(model, extensions=["binary_tensor_data"], binary=True, seen=seen)) as url:
        RemoteEngine(f"{url}/v2/models/person/infer", binary=False).run(feeds)
    assert seen == [False]


def test_tensorflow_serving(model: OnnxEngine, feeds: dict[str, Array]) -> None:
    """Its metadata is read, tensors go in columns, and a lone output is understood without its name."""
    asked: list[str] = []

    def sizes(*sides: int) -> dict[str, Any]:
        return {"dim": [{"size": str(side), "name": ""} for side in sides], "unknown_rank": False}

    images = {"dtype": "DT_FLOAT", "tensor_shape": sizes(-1, 3, 192, 192), "name": "serving_default_images:0"}
    output = {"dtype": "DT_FLOAT", "tensor_shape": sizes(-1, 756, 6), "name": "StatefulPartitionedCall:0"}
    signatures = {"serving_default": {"inputs": {"images": images}, "outputs": {"output": output}}}

    def reply(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        asked.append(path)
        if method == "GET":
            return 200, json.dumps({"metadata": {"signature_def": {"signature_def": signatures}}}).encode()
        request = json.loads(body)
        assert request["signature_name"] == "serving_default"
        found = model.run({"images": np.array(request["inputs"]["images"], np.float32)})[0]
        return 200, json.dumps({"outputs": found.tolist()}).encode()

    with serving(reply) as url:
        engine = RemoteEngine(f"{url}/v1/models/person/versions/2:predict")
        assert engine.inputs["images"].shape == (None, 3, 192, 192)
        np.testing.assert_allclose(engine.run(feeds)[0], model.run(feeds)[0], rtol=1e-6)
        with pytest.raises(ModelError, match="no signature 'train'"):
            RemoteEngine(f"{url}/v1/models/person", signature="train")
    assert asked[:2] == ["/v1/models/person/versions/2/metadata", "/v1/models/person/versions/2:predict"]


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(**arrays: Array) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its keyword-only flag takes no array
    return file.getvalue()


@pytest.mark.parametrize("body", ["json", "npy"])
@pytest.mark.parametrize("answer", ["list", "outputs", "predictions", "by name", "npy", "npz"])
def test_plain_http(body: str, answer: str, model: OnnxEngine, feeds: dict[str, Array]) -> None:
    """What services of one's own take and give: nested lists or NumPy's format, bare or under a name."""

    def reply(method: str, path: str, headers: Mapping[str, str], sent: bytes) -> Answer:
        given = json.loads(sent)["images"] if body == "json" else np.load(io.BytesIO(sent))
        found = model.run({"images": np.asarray(given, np.float32)})[0]
        wrapped = {"outputs": {"output": found.tolist()}, "predictions": [found.tolist()], "by name": {}}
        match answer:
            case "npy":
                return 200, _npy(found)
            case "npz":
                return 200, _npz(output=found)
            case "list":
                return 200, json.dumps(found.tolist()).encode()
            case "by name":
                return 200, json.dumps({"output": found.tolist()}).encode()
            case "predictions":
                return 200, json.dumps({"predictions": found.tolist()}).encode()
            case _:
                return 200, json.dumps({answer: wrapped[answer]}).encode()

    with serving(reply) as url:
        engine = RemoteEngine(f"{url}/predict", body=body, **DESCRIBED)  # type: ignore[arg-type]
        np.testing.assert_allclose(engine.run(feeds)[0], model.run(feeds)[0], rtol=1e-6)


def test_plain_http_takes_pictures(frame: Frame) -> None:
    """A service that wants a picture is sent one as PNG, every pixel as it was."""
    picture = frame.image(64, 48)[..., ::-1]

    def reply(method: str, path: str, headers: Mapping[str, str], sent: bytes) -> Answer:
        decoded = cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        assert headers["Content-Type"] == "image/png"
        same = bool(np.array_equal(decoded[..., ::-1], picture))
        return 200, json.dumps({"boxes": [[0, 0, 64, 48]], "scores": [float(same)]}).encode()

    described = {
        "inputs": {"image": {"shape": [1, 48, 64, 3], "dtype": "uint8"}},
        "outputs": {"boxes": [None, 4], "scores": [None]},
    }
    with serving(reply) as url:
        boxes, scores = RemoteEngine(url, body="png", **described).run({"image": picture[None]})  # type: ignore[arg-type]
    assert (boxes.tolist(), scores.tolist()) == ([[0, 0, 64, 48]], [1])


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 2)])
def test_png_is_what_readers_of_png_read(size: tuple[int, int]) -> None:
    """Any size comes back pixel for pixel."""
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    decoded = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    np.testing.assert_array_equal(decoded[..., ::-1], picture)


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, b'{"error": "unexpected\\nshape"}', ModelError, "answered 400: unexpected shape"),
        (401, b"", ServiceError, "give its token under headers"),
        (404, b'{"detail": "no such"}', ModelNotFound, "no such"),
        (429, b"slow down", ServiceError, "try again later"),
        (503, b'{"message": "loading"}', ServiceError, "loading"),
        (504, b"", InferenceTimeout, "did not finish in time"),
        (301, b"", ModelError, "answered 301"),
        (200, b"<html>", ServiceError, "not JSON"),
        (200, b'{"outputs": {}}', ModelError, "cannot be read"),
        (200, b"[1, 2", ServiceError, "not JSON"),
        (200, b"PK\x03\x04 cut off", ModelError, "cannot be read"),
        (200, b"\x93NUMPY cut off", ModelError, "cannot be read"),
    ],
)
def test_every_refusal_is_one_line_with_its_code(
    status: int, body: bytes, kind: type[CamcountError], says: str, feeds: dict[str, Array]
) -> None:
    """What a server answers instead of tensors becomes the right error with the server's own words."""
    with serving(lambda *_: (status, body)) as url:
        engine = RemoteEngine(f"{url}/predict", **DESCRIBED)  # type: ignore[arg-type]
        with pytest.raises(CamcountError, match=says) as caught:
            engine.run(feeds)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert url in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/v2/models/x",
        "http://127.0.0.1:1/v1/models/x:predict",
        "grpc://127.0.0.1:1/x",
        "grpcs://127.0.0.1:1/x",
        "http://no-such-host.invalid/v2/models/x",
    ],
)
def test_a_server_that_is_not_there_is_one_line(url: str) -> None:
    """SYS_001, at once and not after the time-out."""
    begun = time.monotonic()
    with pytest.raises(ServiceError) as caught:
        RemoteEngine(url)
    assert caught.value.code == "SYS_001"
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 5


def test_a_server_that_hangs_is_a_time_out(feeds: dict[str, Array]) -> None:
    """INF_004 after the time the caller gave."""
    release = threading.Event()

    def reply(*_: Any) -> Answer:
        release.wait(10)
        return 200, b"[]"

    with serving(reply) as url:
        engine = RemoteEngine(url, timeout_s=0.2, **DESCRIBED)  # type: ignore[arg-type]
        begun = time.monotonic()
        with pytest.raises(InferenceTimeout, match=r"within 0.2 s"):
            engine.run(feeds)
        assert time.monotonic() - begun < 3
        release.set()


def test_grpc_gives_up_in_time() -> None:
    """A server that takes a gRPC call and never answers is INF_004."""
    from concurrent.futures import ThreadPoolExecutor

    release = threading.Event()

    def hang(request: bytes, context: grpc.ServicerContext) -> bytes:
        release.wait(10)
        return b""

    method = grpc.unary_unary_rpc_method_handler(hang)
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelMetadata": method}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with pytest.raises(InferenceTimeout, match=r"within 0.2 s"):
            RemoteEngine(f"grpc://127.0.0.1:{port}/x", timeout_s=0.2)
        release.set()
        server.stop(None).wait()


def test_a_kept_connection_that_the_server_closed_is_opened_again(feeds: dict[str, Array], model: OnnxEngine) -> None:
    """A server that closes each connection after one answer costs no request."""
    expected = model.run(feeds)[0]
    with serving(lambda *_: (200, _npy(expected), {"Connection": "close"})) as url:
        engine = RemoteEngine(url, body="npy", **DESCRIBED)  # type: ignore[arg-type]
        for _ in range(5):
            np.testing.assert_array_equal(engine.run(feeds)[0], expected)


def test_headers_go_with_every_request(feeds: dict[str, Array], model: OnnxEngine) -> None:
    """A token reaches the server."""
    seen: list[str | None] = []

    def reply(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        seen.append(headers.get("Authorization"))
        return 200, _npy(np.zeros((1, 756, 6), np.float32))

    with serving(reply) as url:
        RemoteEngine(url, headers={"Authorization": "Bearer x"}, **DESCRIBED).run(feeds)  # type: ignore[arg-type]
    assert seen == ["Bearer x"]


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("model.onnx", {}, "no address of an inference server"),
        ("ftp://host/x", {}, "no address of an inference server"),
        ("grpc://host/x", {}, "grpc://host:port/name"),
        ("grpc://host:8001", {}, "grpc://host:port/name"),
        ("grpc://host:port/x", {}, "grpc://host:port/name"),
        ("http://host/predict", {}, "describe inputs and outputs"),
        ("http://host/predict", {**DESCRIBED, "body": "xml"}, "unknown body 'xml'"),
        ("http://host/predict", {**DESCRIBED, "body": "png"}, "dtype uint8"),
        ("http://host/predict", {"inputs": {"a": "wide"}}, "write a list of sizes"),
    ],
)
def test_an_address_or_option_that_cannot_be_used_is_named(url: str, options: dict[str, Any], says: str) -> None:
    """CFG_001 before anything is sent."""
    with pytest.raises(UsageError, match=says):
        RemoteEngine(url, **options)


def test_a_path_that_lost_a_slash_is_still_an_address(model: OnnxEngine) -> None:
    """`pathlib` makes one slash of two."""
    with serving(_open_inference(model, extensions=[], binary=True, seen=[])) as url:
        assert RemoteEngine(str(Path(f"{url}/v2/models/person"))).url == f"{url}/v2/models/person"


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("binary", [True, False])
def test_the_wire_keeps_every_dtype(dtype: str, binary: bool) -> None:
    """What is written is what is read, in both forms."""
    array = np.arange(-3, 3).reshape(2, 3).astype(dtype)
    body, length = write_request({"a": array, "b": array[:1].T}, ["a"], binary=binary)
    renamed = body.replace(b'"inputs":', b'"outputs":', 1).replace(
        b',"outputs":[{"name":"a"', b',"wanted":[{"name":"a"', 1
    )
    found = read_response(renamed, None if length is None else length + len(renamed) - len(body), ["b", "a"])
    np.testing.assert_array_equal(found[0], array[:1].T)
    np.testing.assert_array_equal(found[1], array)
    assert found[1].dtype == array.dtype


def test_grpc_answers_without_raw_tensors_are_read() -> None:
    """A server may fill the typed fields instead of the raw ones."""
    reply = service_pb2.ModelInferResponse()
    reply.outputs.add(name="scores", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([0.5, 0.25])
    reply.outputs.add(name="labels", datatype="INT64", shape=[2]).contents.int64_contents.extend([3, 4])
    labels, scores = _arrays(reply, ["labels", "scores"])
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, 4]
    assert scores.tolist() == [[0.5, 0.25]]
