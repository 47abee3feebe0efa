"""The Open Inference Protocol over HTTP: what is answered to requests as they should and should not be."""

from __future__ import annotations

import base64
import gzip
import http.client
import zlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.door_servers import LIMIT, Doors, jpeg, open_doors
from tests.fake_models import Faults
from tests.planes_v2 import Make, fakes, futures_of, until

__all__ = ["fakes"]  # a fixture

_PICTURE = base64.b64encode(jpeg()).decode()
_LARGE = base64.b64encode(jpeg(3000, 2000)).decode()
_INPUT = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [_PICTURE]}


@pytest.fixture
def doors(fakes: Make) -> Iterator[Doors]:
    """Doors over one fake model."""
    plane, tally, _ = fakes()
    with open_doors(plane, tally) as opened:
        yield opened


def _ask(doors: Doors, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(doors.http.removeprefix("http://"), timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, orjson.loads(content) if content else None


def _infer(doors: Doors, path: str = "/v2/models/fake/infer", **fields: Any) -> tuple[int, Any]:
    return _ask(doors, "POST", path, orjson.dumps({"inputs": [_INPUT]} | fields))


def _outputs(answer: Any) -> dict[str, Any]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def test_a_picture_is_answered_with_boxes_scores_and_labels(doors: Doors) -> None:
    """And with what answered, and why."""
    status, answer = _infer(doors, id="seven")
    assert status == 200
    assert _outputs(answer) == {"boxes": [1, 1, 9, 9], "scores": [0.5], "labels": ["person"]}
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("fake", "0.0.0", "seven")
    told = {"variant": "fake:0.0.0", "reason": "the only version", "cached": False}
    assert answer["parameters"] == told


def test_several_pictures_say_which_box_is_whose(doors: Doors) -> None:
    """One row for each object, with the number of its picture."""
    entry = _INPUT | {"shape": [3], "data": [_PICTURE] * 3}
    status, answer = _infer(doors, inputs=[entry], outputs=[{"name": "image_index"}, {"name": "scores"}])
    assert (status, _outputs(answer)) == (200, {"image_index": [0, 1, 2], "scores": [0.5] * 3})


def test_a_picture_as_it_is_needs_no_json(doors: Doors) -> None:
    """What curl sends with --data-binary."""
    status, answer = _ask(
        doors, "POST", "/v2/models/fake/infer", jpeg(), Inference_Header_Content_Length="0", Content_Type="image/jpeg"
    )
    assert (status, _outputs(answer)["labels"]) == (200, ["person"])


@pytest.mark.parametrize(
    "path",
    ["fake/versions/0.0.0", "fake:0.0.0"],
)
def test_a_version_may_stand_in_the_path_or_in_the_name(doors: Doors, path: str) -> None:
    """Both mean the same."""
    assert _infer(doors, f"/v2/models/{path}/infer")[0] == 200


@pytest.mark.parametrize(
    ("parameters", "found"),
    [({"confidence_threshold": 0.6}, 0), ({"confidence_threshold": "0.4"}, 1), ({"max_detections": 1}, 1)],
)
def test_thresholds_come_as_parameters(doors: Doors, parameters: dict[str, Any], found: int) -> None:
    """As numbers or as text, for not every client can send both."""
    assert len(_outputs(_infer(doors, parameters=parameters)[1])["scores"]) == found


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_bodies_are_unpacked(doors: Doors, pack: Any) -> None:
    """As Triton's client packs them."""
    body = pack(orjson.dumps({"inputs": [_INPUT]}))
    encoding = "gzip" if pack is gzip.compress else "deflate"
    assert _ask(doors, "POST", "/v2/models/fake/infer", body, Content_Encoding=encoding)[0] == 200


_BAD: dict[str, tuple[str, dict[str, Any], int, str, str]] = {
    "another input": ("fake", {"inputs": [_INPUT | {"name": "pixels"}]}, 400, "INF_001", "takes image"),
    "no input": ("fake", {"inputs": []}, 400, "INF_001", "inputs none"),
    "an input too many": ("fake", {"inputs": [_INPUT, _INPUT | {"name": "b"}]}, 400, "INF_001", "takes image"),
    "another datatype": (
        "fake",
        {"inputs": [_INPUT | {"datatype": "UINT8", "data": [1]}]},
        400,
        "INF_001",
        "takes BYTES",
    ),
    "another shape": ("fake", {"inputs": [_INPUT | {"shape": [1, 1]}]}, 400, "INF_001", "takes BYTES"),
    "no picture": ("fake", {"inputs": [_INPUT | {"shape": [0], "data": []}]}, 400, "INF_001", "0 pictures"),
    "too many pictures": (
        "fake",
        {"inputs": [_INPUT | {"shape": [65], "data": [""] * 65}]},
        400,
        "INF_001",
        "65 pictures",
    ),
    "the second is no picture": (
        "fake",
        {"inputs": [_INPUT | {"shape": [2], "data": [_PICTURE, "AAAA"]}]},
        400,
        "INF_001",
        "image 1: ",
    ),
    "too many pixels": ("fake", {"inputs": [_INPUT | {"data": [_LARGE]}]}, 400, "INF_001", "megapixels"),
    "an unknown output": ("fake", {"outputs": [{"name": "masks"}]}, 400, "INF_001", "no output 'masks'"),
    "a threshold above 1": ("fake", {"parameters": {"confidence_threshold": 2}}, 400, "INF_001", "confidence_th"),
    "a threshold of text": ("fake", {"parameters": {"nms_threshold": "x"}}, 400, "INF_001", "nms_threshold"),
    "no overlap at all": ("fake", {"parameters": {"nms_threshold": 0}}, 400, "INF_001", "nms_threshold"),
    "half a detection": ("fake", {"parameters": {"max_detections": 1.5}}, 400, "INF_001", "max_detections"),
    "true for a number": ("fake", {"parameters": {"timeout": True}}, 400, "INF_001", "timeout"),
    "an unknown model": ("nobody", {}, 404, "MODEL_001", "nobody"),
    "a path": ("..%2Ffake.onnx", {}, 404, "INF_001", "there is no POST"),
    "an address": ("http:%2F%2F127.0.0.1", {}, 404, "INF_001", "there is no POST"),
    "another version": ("fake/versions/9.9.9", {}, 409, "MODEL_004", "9.9.9"),
    "a version that is none": ("fake/versions/1", {}, 409, "MODEL_004", "SemVer"),
    "two versions": ("fake:0.0.0/versions/0.0.0", {}, 400, "INF_001", "twice"),
    "tensors of a model without": ("fake.tensors", {}, 400, "INF_001", "pictures only"),
}


@pytest.mark.parametrize(("model", "fields", "status", "code", "said"), _BAD.values(), ids=_BAD)
def test_what_cannot_be_used_is_refused_in_the_protocols_form(
    doors: Doors, model: str, fields: dict[str, Any], status: int, code: str, said: str
) -> None:
    """``error`` is text, our code beside it."""
    got, answer = _infer(doors, f"/v2/models/{model}/infer", **fields)
    assert (got, answer.get("code")) == (status, code), answer
    assert said in answer["error"]
    assert answer["requestId"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"{", {}, 400, "no JSON"),
        (b"{}", {"Content_Encoding": "br"}, 415, "packed"),
        (b"{}", {"Content_Encoding": "gzip"}, 400, "unpacked"),
        (gzip.compress(b"{}" * 99, mtime=0)[:-9], {"Content_Encoding": "gzip"}, 400, "cut off"),
        (gzip.compress(bytes(LIMIT + 1), mtime=0), {"Content_Encoding": "gzip"}, 413, "unfolds"),
        (b"{}", {"Inference_Header_Content_Length": "two"}, 400, "Inference-Header-Content-Length"),
    ],
)
def test_bodies_that_cannot_be_read_are_refused(
    doors: Doors, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    """A few kilobytes that unfold to more than the limit are not unfolded."""
    got, answer = _ask(doors, "POST", "/v2/models/fake/infer", body, **headers)
    assert got == status
    assert said in answer["error"]


def test_readiness_is_told_by_the_status(doors: Doors) -> None:
    """4xx for no, as the protocol says."""
    assert _ask(doors, "GET", "/v2/models/fake/ready") == (200, {"name": "fake", "ready": True, "live": True})
    assert _ask(doors, "POST", "/v2/repository/models/fake/unload")[0] == 200
    assert _ask(doors, "GET", "/v2/models/fake/ready")[0] == 400
    index = _ask(doors, "POST", "/v2/repository/index", b'{"ready": true}')
    assert index == (200, [])
    assert _ask(doors, "POST", "/v2/repository/models/fake/load", b'{"parameters": {}}')[0] == 200
    assert _ask(doors, "GET", "/v2/models/fake/ready")[0] == 200


def test_an_error_inside_is_no_traceback(fakes: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what happened, the client a code and the request's id."""
    plane, tally, _ = fakes()
    plane.models = lambda: [][1]  # type: ignore[method-assign] # a fault of our own
    with open_doors(plane, tally) as doors:
        status, answer = _ask(doors, "POST", "/v2/repository/index", X_Request_Id="r-1")
    assert (status, answer["code"], answer["requestId"]) == (500, "SYS_001", "r-1")
    assert "IndexError" not in answer["error"]
    assert "IndexError" in caplog.text


def test_a_deadline_is_kept(fakes: Make) -> None:
    """``timeout`` is in microseconds, as Triton has it."""
    plane, tally, faults = fakes(faults=Faults(hangs={0}))
    with open_doors(plane, tally) as doors:
        status, answer = _infer(doors, parameters={"timeout": 20_000})
        faults.hold.set()
    assert (status, answer["code"]) == (504, "INF_004")


def test_work_of_a_client_that_goes_away_is_not_done(fakes: Make) -> None:
    """The second request waits for the first, and its client leaves."""
    plane, tally, faults = fakes(faults=Faults(hangs={0}))
    submitted = futures_of(plane)
    with open_doors(plane, tally) as doors:
        body = orjson.dumps({"inputs": [_INPUT]})
        stays, leaves = (http.client.HTTPConnection(doors.http.removeprefix("http://")) for _ in range(2))
        stays.request("POST", "/v2/models/fake/infer", body)
        assert faults.begun.acquire(timeout=5)
        leaves.request("POST", "/v2/models/fake/infer", body)
        until(lambda: len(submitted) == 2)
        leaves.close()
        until(submitted[1].cancelled)
        faults.hold.set()
        assert stays.getresponse().status == 200
        until(lambda: plane.gauges()[0].cancelled_unrun == 1)
        stays.close()
    assert len(faults.seen) == 1
    assert tally.statistics("fake", "0.0.0")["inference_stats"]["fail"]["count"] == 1
