"""Picture streams: order, flow control, dropping, options, errors, and the end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import orjson
import pytest
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.door_servers import Doors, jpeg, open_doors
from tests.fake_models import Faults
from tests.planes_v2 import Make, fakes, futures_of, until

__all__ = ["fakes"]  # a fixture


@pytest.fixture
def doors(fakes: Make) -> Iterator[Doors]:
    """Doors over one fake model."""
    plane, tally, _ = fakes()
    with open_doors(plane, tally) as opened:
        yield opened


def _next(stream: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(stream.recv(timeout=10))
    return found


def _messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of messages that the server has read."""
    seen: list[str] = []
    receive = WebSocket.receive

    async def noted(stream: WebSocket) -> Any:
        message = await receive(stream)
        seen.append(message["type"])
        return message

    monkeypatch.setattr(WebSocket, "receive", noted)
    return seen


def test_pictures_are_answered_in_order(doors: Doors) -> None:
    """Each with its number, what answered, and what was found."""
    with connect(f"{doors.websocket}/fake/stream?inFlight=8") as stream:
        for _ in range(20):
            stream.send(jpeg())
        answers = [_next(stream) for _ in range(20)]
    assert [answer["frame"] for answer in answers] == list(range(20))
    assert answers[0]["detections"] == [{"class": "person", "confidence": 0.5, "bbox": [1, 1, 8, 8]}]
    assert (answers[0]["modelId"], answers[0]["version"], answers[0]["cached"]) == ("fake", "0.0.0", False)
    assert answers[0]["processingTime"] > 0


def test_a_picture_that_cannot_be_read_is_an_answer_among_others(doors: Doors) -> None:
    """The connection stays, and the order too."""
    with connect(f"{doors.websocket}/fake/stream") as stream:
        for content in (jpeg(), b"no picture", jpeg(3000, 2000), jpeg()[:-40], jpeg()):
            stream.send(content)
        answers = [_next(stream) for _ in range(5)]
    assert [answer["frame"] for answer in answers] == [0, 1, 2, 3, 4]
    assert [answer.get("error", {}).get("code") for answer in answers] == [
        None,
        "INF_001",
        "INF_001",
        "INF_001",
        None,
    ]


def test_options_hold_from_the_query_and_from_the_message_on(doors: Doors) -> None:
    """The model is 0.5 sure of its one box; wrong options change nothing."""
    with connect(f"{doors.websocket}/fake/stream?confidenceThreshold=0.6") as stream:
        stream.send(jpeg())
        assert _next(stream)["detections"] == []
        stream.send('{"options": {"confidenceThreshold": 0.4, "maxDetections": 5}}')
        assert _next(stream) == {"options": {"confidenceThreshold": 0.4, "nmsThreshold": None, "maxDetections": 5}}
        for wrong in ("hello", "{}", "[]", '{"options": 1}', '{"options": {"confidenceThreshold": 2}}'):
            stream.send(wrong)
            assert _next(stream)["error"]["code"] == "INF_001"
        stream.send('{"options": {"outputFormat": "xml"}}')
        assert "json" in _next(stream)["error"]["message"]
        stream.send(jpeg())
        assert len(_next(stream)["detections"]) == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("nobody/stream", 404, "MODEL_001"),
        ("fake:9.9.9/stream", 409, "MODEL_004"),
        ("fake/stream?inFlight=17", 400, "INF_001"),
        ("fake/stream?inFlight=0", 400, "INF_001"),
        ("fake/stream?inFlight=x", 400, "INF_001"),
        ("fake/stream?drop=newest", 400, "INF_001"),
        ("fake/stream?confidenceThreshold=7", 400, "INF_001"),
        ("fake/stream?speed=7", 400, "INF_001"),
        ("fake/stream?outputFormat=xml", 400, "INF_001"),
    ],
)
def test_what_cannot_be_streamed_is_refused_before_it_begins(doors: Doors, path: str, status: int, code: str) -> None:
    """With the status and the body of the REST interface."""
    with pytest.raises(InvalidStatus) as refused, connect(f"{doors.websocket}/{path}"):
        pass
    response = refused.value.response
    assert response.status_code == status
    assert orjson.loads(response.body or b"")["error"]["code"] == code


def test_the_newest_picture_takes_the_place_of_the_one_that_waits(
    fakes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With drop=oldest and two in work, of six pictures the third, fourth and fifth are dropped, in their turn."""
    plane, tally, faults = fakes(faults=Faults(hangs={0, 1}), replicas=2)
    submitted, read = futures_of(plane), _messages(monkeypatch)
    with (
        open_doors(plane, tally) as doors,
        connect(f"{doors.websocket}/fake/stream?inFlight=2&drop=oldest") as stream,
    ):
        for _ in range(6):
            stream.send(jpeg())
        until(lambda: len(submitted) == 2)
        until(lambda: read == ["websocket.connect"] + ["websocket.receive"] * 6)
        faults.hold.set()
        answers = [_next(stream) for _ in range(6)]
    assert [answer["frame"] for answer in answers] == [0, 1, 2, 3, 4, 5]
    dropped = [answer["frame"] for answer in answers if answer.get("dropped")]
    assert dropped == [2, 3, 4]
    assert len(submitted) == 3


def test_without_dropping_the_client_has_to_wait(fakes: Make) -> None:
    """Two in work: the sending of large pictures comes to a halt until there are answers, and none is lost."""
    plane, tally, faults = fakes(faults=Faults(hangs={0, 1}), replicas=2)
    submitted = futures_of(plane)
    large = jpeg() + bytes(2**20)  # what follows the end of a JPEG is not looked at
    sent, count, buffer = 0, 30, 2**16  # the kernel would hold twenty on the way if it were let

    with ExitStack() as opened:
        doors = opened.enter_context(open_doors(plane, tally, received=buffer))
        address = doors.http.removeprefix("http://").split(":")
        sock = opened.enter_context(socket.create_connection((address[0], int(address[1]))))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        stream = opened.enter_context(connect(f"{doors.websocket}/fake/stream?inFlight=2", sock=sock))

        def send() -> None:
            nonlocal sent
            for _ in range(count):
                stream.send(large)
                sent += 1

        sending = threading.Thread(target=send)
        sending.start()
        until(lambda: len(submitted) == 2)
        sending.join(0.5)
        assert len(submitted) == 2
        assert sent < 6  # two in work, one that waits, one read after it; the next is on its way
        faults.hold.set()
        answers = [_next(stream) for _ in range(count)]
        sending.join(10)
    assert [answer["frame"] for answer in answers] == list(range(count))
    assert all("detections" in answer for answer in answers)


@pytest.mark.parametrize("drop", ["none", "oldest"])
def test_closing_calls_off_what_is_queued(fakes: Make, drop: str) -> None:
    """One picture is being looked at; the two that wait are not looked at any more."""
    plane, tally, faults = fakes(faults=Faults(hangs={0}))
    submitted = futures_of(plane)
    with open_doors(plane, tally) as doors:
        with connect(f"{doors.websocket}/fake/stream?inFlight=4&drop={drop}") as stream:
            for _ in range(3):
                stream.send(jpeg())
            until(lambda: len(submitted) == 3)
            assert faults.begun.acquire(timeout=10)
        until(lambda: all(future.cancelled() for future in submitted[1:]))
        faults.hold.set()
        until(lambda: plane.gauges()[0].cancelled_unrun == 2)
    assert len(faults.seen) == 1
