"""The REST interface as clients see it: a real server, a data plane that stands in for models."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from camcount.api.application import application
from camcount.api.formats import message_class
from camcount.errors import Overloaded
from camcount.protocols import Thresholds
from camcount.serving.requests import Priority
from tests.asgi_servers import served
from tests.picture_files import encoded, scene
from tests.planes import StandIn

PICTURE = encoded(scene(), "JPEG")
IN_BASE64 = base64.b64encode(PICTURE).decode()
ONE = "/api/v1/models/detector"
INFERENCE = f"{ONE}/inference"
JPEG = {"Content-Type": "image/jpeg"}


_PLANE = StandIn()


@pytest.fixture
def plane() -> StandIn:
    _PLANE.reset()
    return _PLANE


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with served(application(_PLANE)) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        yield http


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/octet-stream", "image/jpeg; charset=x"])
def test_a_picture_as_the_body_is_answered(client: httpx.Client, kind: str) -> None:
    """The fast way: the file itself; its format is told by its first bytes."""
    answer = client.post(INFERENCE, content=PICTURE, headers={"Content-Type": kind})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["modelId", "version", "inferenceId", "results", "decision", "cached"]
    assert (body["modelId"], body["version"], body["cached"]) == ("detector", "1.2.0", False)
    assert body["results"]["detections"] == [
        {"class": "person", "confidence": 0.9, "bbox": [10.0, 20.0, 30.13, 60.0]},
        {"class": "car", "confidence": 0.5, "bbox": [0.0, 0.0, 5.0, 5.0]},
    ]
    assert 0 < body["results"]["processingTime"] < 5000
    then = datetime.fromisoformat(body["results"]["timestamp"])
    assert abs((datetime.now(UTC) - then).total_seconds()) < 10
    assert body["decision"] == {"variant": "detector:1.2.0", "reason": "asked for by name"}


@pytest.mark.parametrize("text", [IN_BASE64, f"data:image/jpeg;base64,{IN_BASE64}", IN_BASE64.replace("+", "-")])
def test_a_picture_in_json_is_answered_alike(client: httpx.Client, plane: StandIn, text: str) -> None:
    """Base64, with or without a data address before it, in either alphabet."""
    body = {"image": text, "options": {"confidenceThreshold": 0.7, "nmsThreshold": 0.4, "maxDetections": 3}}
    answer = client.post(INFERENCE, json=body)
    assert [row["class"] for row in answer.json()["results"]["detections"]] == ["person"]
    assert plane.asked[0].thresholds == Thresholds(0.7, 0.4, 3)
    assert plane.asked[0].content == PICTURE


def test_options_in_the_query_reach_the_model(client: httpx.Client, plane: StandIn) -> None:
    """What the query says and what the headers say is what the data plane is asked."""
    headers = {**JPEG, "X-Request-Id": "cam-7", "traceparent": "00-ab-cd-01"}
    client.post(f"{INFERENCE}?confidenceThreshold=0.7&maxDetections=1", content=PICTURE, headers=headers)
    asked = plane.asked[0]
    assert asked.thresholds == Thresholds(0.7, None, 1)
    assert (asked.door, asked.request_id, asked.trace) == ("rest", "cam-7", "00-ab-cd-01")
    assert (asked.priority, asked.frame.width, asked.frame.height) == (Priority.INTERACTIVE, 320, 200)


@pytest.mark.parametrize("model", ["detector", "detector:1.2.0", "detector%3A1.2.0", "detector@best", "detector%40x"])
def test_versions_and_aliases_are_part_of_the_name(client: httpx.Client, model: str) -> None:
    """``name``, ``name:version`` and ``name@alias``, encoded or not."""
    answer = client.post(f"/api/v1/models/{model}/inference", content=PICTURE, headers=JPEG)
    assert answer.status_code == 200
    assert client.get(f"/api/v1/models/{model}").json()["reference"] == "detector:1.2.0"


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("detectr", 404, "MODEL_001"),
        ("detector:9.9.9", 404, "MODEL_001"),
        ("detector:1.2", 409, "MODEL_004"),
        ("detector:1.2.0@champion", 400, "CFG_001"),
        ("..", 404, "INF_001"),
        ("%2Fetc%2Fpasswd", 404, "INF_001"),
        ("http:%2F%2Fhost", 404, "INF_001"),
        (".%5Cmodel.onnx", 404, "MODEL_001"),
        ("%00", 404, "MODEL_001"),
    ],
)
def test_a_model_is_a_name_and_never_a_path(client: httpx.Client, model: str, status: int, code: str) -> None:
    """What is no name is refused by the door, with a code, and the data plane does not hear of it."""
    answer = client.post(f"/api/v1/models/{model}/inference", content=PICTURE, headers=JPEG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("asked", "accept"), [("?outputFormat=xml", ""), ("", "application/xml"), ("", "text/xml;q=0.9, */*")]
)
def test_xml_holds_the_same(client: httpx.Client, asked: str, accept: str) -> None:
    """XML by option or by Accept header."""
    answer = client.post(INFERENCE + asked, content=PICTURE, headers={**JPEG, "Accept": accept})
    assert answer.headers["content-type"] == "application/xml"
    root = ElementTree.fromstring(answer.text)
    assert root.findtext("modelId") == "detector"
    rows = root.findall("results/detections/detection")
    assert [row.findtext("class") for row in rows] == ["person", "car"]
    assert rows[0].findtext("bbox") == "10.0 20.0 30.13 60.0"


@pytest.mark.parametrize(("asked", "accept"), [("?outputFormat=protobuf", ""), ("", "application/x-protobuf")])
def test_protocol_buffers_hold_the_same(client: httpx.Client, asked: str, accept: str) -> None:
    """Protocol buffers by option or by Accept header, in the messages that docs/detections.proto publishes."""
    answer = client.post(INFERENCE + asked, content=PICTURE, headers={**JPEG, "Accept": accept})
    assert answer.headers["content-type"] == "application/x-protobuf"
    message = message_class("InferenceAnswer").FromString(answer.content)
    assert (message.model_id, message.version, message.decision.variant) == ("detector", "1.2.0", "detector:1.2.0")
    assert [row.label for row in message.detections] == ["person", "car"]
    assert list(message.detections[0].bbox) == pytest.approx([10, 20, 30.13, 60])
    assert message.processing_time > 0


@pytest.mark.parametrize("form", ["json", "xml", "protobuf"])
def test_a_batch_answers_each_picture_on_its_own(client: httpx.Client, plane: StandIn, form: str) -> None:
    """One picture that cannot be used leaves the others as they are; they come in order, behind single ones."""
    images = [IN_BASE64, base64.b64encode(b"no picture").decode(), "%%%", IN_BASE64]
    answer = client.post(f"{ONE}/batch-inference", json={"images": images, "options": {"outputFormat": form}})
    assert answer.status_code == 200
    assert all(request.priority is Priority.BATCH for request in plane.asked)
    if form == "json":
        body = answer.json()
        assert list(body) == ["batchId", "modelId", "results", "totalProcessingTime", "timestamp"]
        found = [
            row["detections"][0]["class"] if "detections" in row else row["error"]["code"] for row in body["results"]
        ]
        assert [row["imageIndex"] for row in body["results"]] == [0, 1, 2, 3]
    elif form == "xml":
        results = ElementTree.fromstring(answer.text).findall("results/result")
        found = [row.findtext("detections/detection/class") or row.findtext("error/code") for row in results]
    else:
        message = message_class("BatchAnswer").FromString(answer.content)
        found = [row.detections[0].label if row.detections else row.error.code for row in message.results]
    assert found == ["person", "INF_001", "INF_001", "person"]


def test_a_batch_has_at_most_so_many_in_flight(client: httpx.Client, plane: StandIn) -> None:
    """``batchSize`` is the most that is asked of the data plane at a time."""
    plane.delay_s = 0.01
    client.post(f"{ONE}/batch-inference", json={"images": [IN_BASE64] * 12, "batchSize": 3})
    assert (plane.most_at_once, plane.computed) == (3, 12)


@pytest.mark.parametrize(
    "body",
    [
        {"images": []},
        {"images": ["x"] * 1001},
        {"images": "x"},
        {"images": ["x"], "batchSize": 65},
        {"images": ["x"], "batchSize": 0},
        {"images": ["x"], "size": 1},
        {},
        [],
    ],
)
def test_a_batch_that_cannot_be_meant_is_refused(client: httpx.Client, body: Any) -> None:
    """The whole batch is refused where its form is wrong."""
    answer = client.post(f"{ONE}/batch-inference", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INF_001")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("confidenceThreshold=1.01", "a number from 0 to 1"),
        ("confidenceThreshold=-0.1", "a number from 0 to 1"),
        ("confidenceThreshold=nan", "a number from 0 to 1"),
        ("confidenceThreshold=inf", "a number from 0 to 1"),
        ("confidenceThreshold=", "a number from 0 to 1"),
        ("nmsThreshold=0", "a number above 0 up to 1"),
        ("maxDetections=0", "a whole number from 1 to 10000"),
        ("maxDetections=10001", "a whole number from 1 to 10000"),
        ("maxDetections=2.5", "a whole number from 1 to 10000"),
        ("outputFormat=yaml", "json, xml or protobuf"),
        ("confidence=0.5", "there are confidenceThreshold, nmsThreshold, maxDetections, outputFormat, mode, webhook"),
        ("maxDetections=1&maxDetections=2", "twice"),
        ("mode=later", "sync waits"),
        ("webhook=https://example.com/", "add ?mode=async"),
        ("&".join(f"x{n}=1" for n in range(30)), "the query cannot be read"),
        ("confidenceThreshold=%ff", "a number from 0 to 1"),
    ],
)
def test_options_are_taken_strictly(client: httpx.Client, plane: StandIn, query: str, said: str) -> None:
    """An option that is unknown or out of its range is refused, and the message says the range."""
    answer = client.post(f"{INFERENCE}?{query}", content=PICTURE, headers=JPEG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INF_001")
    assert said in answer.json()["error"]["message"]
    assert not plane.asked


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ('{"confidenceThreshold": "0.5"}', "options.confidenceThreshold: input should be a valid number"),
        ('{"confidenceThreshold": NaN}', "options.confidenceThreshold: input should be a finite number"),
        ('{"confidenceThreshold": true}', "options.confidenceThreshold"),
        ('{"maxDetections": 1e99}', "options.maxDetections"),
        ('{"threshold": 0.5}', "options.threshold: there is no such field: there are confidenceThreshold"),
        ("[]", "options"),
        ("{", "invalid JSON"),
    ],
)
def test_options_in_json_are_taken_strictly(client: httpx.Client, options: str, said: str) -> None:
    """The same in JSON, where text is no number; each field that is wrong is named."""
    text = f'{{"image": "{IN_BASE64}", "options": {options}}}'
    answer = client.post(INFERENCE, content=text, headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "INF_001")
    assert said in error["message"]
    assert said.split(":")[0] in f"body: invalid JSON {error['details']}"
    assert IN_BASE64[:20] not in answer.text


def test_options_beside_a_json_body_are_refused(client: httpx.Client) -> None:
    """Options in two places could contradict each other."""
    answer = client.post(f"{INFERENCE}?maxDetections=1", json={"image": IN_BASE64})
    assert "write them into its field options" in answer.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "image/gif", ""])
def test_other_media_types_are_refused(client: httpx.Client, kind: str) -> None:
    """415 says what is read here."""
    answer = client.post(INFERENCE, content=PICTURE, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "INF_001")
    assert "image/jpeg" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", INFERENCE, 405), ("PUT", ONE, 405), ("GET", "/nowhere", 404), ("GET", "/", 404)],
)
def test_wrong_addresses_and_methods_have_the_one_form_of_error(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    """What the router refuses has a code and a request id too."""
    answer = client.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["requestId"]) == (
        status,
        "INF_001",
        answer.headers["x-request-id"],
    )
    assert ("allow" in answer.headers) == (status == 405)


def test_errors_of_the_data_plane_are_told_by_the_table(client: httpx.Client, plane: StandIn) -> None:
    """A full queue is 503 with when to come back; what nobody expected is 500 and says nothing of itself."""
    plane.failure = Overloaded("256 requests wait", 1.5)
    answer = client.post(INFERENCE, content=PICTURE, headers=JPEG)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["error"]["code"] == "SYS_001"
    plane.failure = RuntimeError("secret")
    answer = client.post(INFERENCE, content=PICTURE, headers=JPEG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "SYS_001")
    assert "secret" not in answer.text


def test_every_request_has_an_id(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """A sensible id is kept, another is replaced; the access log has a line with it."""
    with caplog.at_level(logging.DEBUG, "camcount.access"):
        assert client.get(ONE, headers={"X-Request-Id": "job:7.a_b-c"}).headers["x-request-id"] == "job:7.a_b-c"
        made = {
            client.get(ONE, headers={"X-Request-Id": bad}).headers["x-request-id"] for bad in ("", "a b", "x" * 129)
        }
    assert len(made) == 3
    assert all(len(name) < 30 and " " not in name for name in made)
    lines = [record for record in caplog.records if record.name == "camcount.access"]
    assert lines[0].getMessage().startswith(f"GET {ONE} 200 in ")
    assert vars(lines[0])["request_id"] == "job:7.a_b-c"


def test_many_at_once_are_all_answered(client: httpx.Client, plane: StandIn) -> None:
    """Forty clients at a time get forty answers."""
    plane.delay_s = 0.02
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(client.post(INFERENCE, content=PICTURE, headers=JPEG, timeout=20).status_code)

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 40


def test_the_published_messages_are_the_ones_in_use() -> None:
    """docs/detections.proto has the same messages, numbers and types as the code."""
    published = (Path(__file__).parents[1] / "docs" / "detections.proto").read_text()
    found: dict[str, list[str]] = {}
    for line in published.splitlines():
        words = line.partition("//")[0].strip().rstrip(";{ ").split()
        if words[:1] == ["message"]:
            fields = found.setdefault(words[1], [])
        elif "=" in words and found:
            fields.append(" ".join(words))
    for name, lines in found.items():
        descriptor = message_class(name).DESCRIPTOR
        kinds = {1: "double", 2: "float", 5: "int32", 8: "bool", 9: "string"}
        used = [
            f"{'repeated ' if field.is_repeated else ''}"
            f"{kinds.get(field.type) or field.message_type.name} {field.name} = {field.number}"
            for field in descriptor.fields
        ]
        assert lines == used
