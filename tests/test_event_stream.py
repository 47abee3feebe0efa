"""Events over HTTP: pages, Server-Sent Events and the WebSocket, live, resumed, filtered, slow."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from camcount.api.application import application
from camcount.api.event_stream import event_router
from camcount.delivery.feed import Feed
from camcount.events import ZoneEntered
from tests.asgi_servers import served
from tests.event_logs import MemoryLog, committed, crossing, until
from tests.planes import StandIn


@dataclass
class Door:
    """A server with events, and what is behind it."""

    log: MemoryLog
    feed: Feed
    port: int

    @property
    def url(self) -> str:
        """Of the events."""
        return f"http://127.0.0.1:{self.port}/api/v1/events"

    def connect(self, query: str = "") -> ClientConnection:
        """The WebSocket."""
        return connect(f"ws://127.0.0.1:{self.port}/api/v1/events{query}", max_size=None)

    def page(self, query: str = "") -> dict[str, Any]:
        """A page."""
        answer = httpx.get(f"{self.url}{query}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def _opened(log: MemoryLog, **options: Any) -> Iterator[Door]:
    feed = Feed(log)
    try:
        with served(
            application(StandIn(), routers=[event_router(log, feed, **options)]), ws="websockets-sansio"
        ) as port:
            try:
                yield Door(log, feed, port)
            finally:
                feed.close()
    finally:
        feed.close()


@pytest.fixture
def door() -> Iterator[Door]:
    """Twenty events are in the log: crossings of two cameras in turn."""
    log = MemoryLog()
    log.append(*(crossing(number, "ab"[number % 2]) for number in range(20)))
    with _opened(log) as opened:
        yield opened


def numbers(events: list[dict[str, Any]]) -> list[int]:
    """Of CloudEvents."""
    return [int(event["sequence"]) for event in events]


def heard(stream: ClientConnection, count: int) -> list[dict[str, Any]]:
    """The next messages."""
    return [orjson.loads(stream.recv(timeout=10)) for _ in range(count)]


@contextmanager
def sse(door: Door, query: str = "", **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    """The blocks of a stream as mappings of their fields; comments are under ``""``."""

    def blocks(lines: Iterator[str]) -> Iterator[dict[str, str]]:
        block: dict[str, str] = {}
        for line in lines:
            if not line:
                yield block
                block = {}
            else:
                name, _, value = line.partition(":")
                block[name] = value.removeprefix(" ")

    wanted = {"Accept": "text/event-stream", **headers}
    with httpx.stream("GET", f"{door.url}{query}", headers=wanted, timeout=10) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        found = blocks(answer.iter_lines())
        assert next(found) == {"retry": "2000"}
        yield found


def test_pages_lead_through_the_log(door: Door) -> None:
    """Each says from where to go on; the last one says that it is."""
    first = door.page("?limit=15")
    assert (numbers(first["events"]), first["next"], first["more"]) == (list(range(1, 16)), 15, True)
    last = door.page("?limit=15&after=15&format=json")
    assert (numbers(last["events"]), last["next"], last["more"]) == (list(range(16, 21)), 20, False)
    assert door.page("?after=20") == {"events": [], "next": 20, "more": False}


def test_pages_hold_only_what_is_asked_for(door: Door) -> None:
    """By camera, line, zone, label and type; also where the log cannot tell and most of a page falls out."""
    door.log.append(*(crossing(number) for number in range(300)))
    entered = ZoneEntered(
        camera_id="c", time_s=1, track_id=1, label="car", confidence=1, reason="in", point=(0, 0), zone="hall"
    )
    door.log.append(entered)
    assert numbers(door.page("?camera=a&limit=3")["events"]) == [1, 3, 5]
    for query in ("?zone=hall", "?type=zone_entered", "?type=camcount.zone_entered&limit=20", "?label=car"):
        found = door.page(query)
        assert (numbers(found["events"]), found["next"]) == ([321], 321)
    assert door.page("?line=nowhere&camera=a")["events"] == []
    assert door.page("?type=zone_entered&limit=2") == {"events": [], "next": 40, "more": True}


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=-1",
        "limit=0",
        "limit=1001",
        "type=dance",
        "format=xml",
        "speed=1",
        "after=9999999999999999999",
    ],
)
def test_what_cannot_be_asked_is_refused(door: Door, query: str) -> None:
    """With the one form of errors, on all three ways."""
    for headers in ({}, {"Accept": "text/event-stream"}):
        answer = httpx.get(f"{door.url}?{query}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INF_001")
    if "format" not in query:
        with pytest.raises(InvalidStatus) as refused, door.connect(f"?{query}"):
            pass
        assert refused.value.response.status_code == 400


def test_a_websocket_tells_what_is_committed_from_now_on(door: Door) -> None:
    """In order, each with its number and id."""
    with door.connect() as stream:
        until(lambda: door.feed._listeners)
        stored = committed(door.log, door.feed, 100, 101, 102)
        told = heard(stream, 3)
    assert numbers(told) == [21, 22, 23]
    assert [event["id"] for event in told] == [one.event.event_id for one in stored]


def test_a_websocket_goes_on_after_a_number_without_a_gap(door: Door) -> None:
    """While cameras commit 500 events: all of them, each once, in order."""

    def commit() -> None:
        for number in range(100, 600):
            committed(door.log, door.feed, number)
            time.sleep(0.001)

    cameras = threading.Thread(target=commit)
    cameras.start()
    time.sleep(0.1)
    with door.connect("?after=7") as stream:
        told = heard(stream, 513)
    cameras.join()
    assert numbers(told) == list(range(8, 521))


def test_streams_hold_only_what_is_asked_for(door: Door) -> None:
    """Of what is resumed and of what is live."""
    with door.connect("?after=0&camera=b&type=crossing") as stream:
        assert numbers(heard(stream, 10)) == list(range(2, 21, 2))
        committed(door.log, door.feed, 100, camera="a")
        committed(door.log, door.feed, 101, camera="b")
        assert numbers(heard(stream, 1)) == [22]


def test_a_number_of_another_database_leads_to_what_is_live(door: Door) -> None:
    """A client that comes back to a server with a new database is not left in silence."""
    with door.connect("?after=5000") as stream:
        until(lambda: door.feed._listeners)
        time.sleep(0.2)
        committed(door.log, door.feed, 100)
        assert numbers(heard(stream, 1)) == [21]


def test_server_sent_events_carry_their_number_as_id(door: Door) -> None:
    """A browser sends the last one back, which counts more than the address it began with."""
    with sse(door, "?after=0", **{"Last-Event-ID": "18"}) as blocks:
        told = list(islice(blocks, 2))
        committed(door.log, door.feed, 100)
        told.append(next(blocks))
    assert [block["id"] for block in told] == ["19", "20", "21"]
    assert numbers([orjson.loads(block["data"]) for block in told]) == [19, 20, 21]
    assert all("event" not in block for block in told)


def test_a_heartbeat_says_how_far_the_stream_has_come() -> None:
    """Also past events that were not asked for, so that a client comes back to the right place."""
    log = MemoryLog()
    with _opened(log, heartbeat_s=0.2) as door, door.connect("?camera=b") as stream, sse(door, "?camera=b") as blocks:
        assert heard(stream, 1) == [{"type": "camcount.heartbeat", "after": 0}]
        committed(log, door.feed, 1, 2, camera="a")
        while (beat := heard(stream, 1)[0])["after"] == 0:
            pass
        assert beat == {"type": "camcount.heartbeat", "after": 2}
        block = next(one for one in blocks if one.get("id") == "2")
        assert "data" not in block


@pytest.mark.parametrize("kind", ["websocket", "sse"])
def test_a_slow_reader_is_told_what_it_missed(kind: str) -> None:
    """It reads nothing while 20 MB come: publishing goes on, the oldest are dropped, and a page brings them back."""
    log = MemoryLog()
    path = "" if kind == "websocket" else "?format=sse"
    with _opened(log, capacity=50) as door:
        with socket.create_connection(("127.0.0.1", door.port)) as reader:
            upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            upgrade += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            head = f"GET /api/v1/events{path} HTTP/1.1\r\nHost: x\r\n{upgrade if kind == 'websocket' else ''}\r\n"
            reader.sendall(head.encode())
            until(lambda: door.feed._listeners)
            began = time.monotonic()
            for number in range(1000):
                stored = log.append(crossing(number, label="x" * 20_000))
                door.feed.publish("gate", stored)
                time.sleep(0.001)
            assert time.monotonic() - began < 15
            reader.settimeout(10)
            content = bytearray()
            while b'"time_s":999.0' not in content[-30_000:]:
                content += reader.recv(2**20)
        gaps = [orjson.loads(told) for told in re.findall(rb'{"type":"camcount.missed"[^}]*}', content)]
        came = {int(digits) for digits in re.findall(rb'"sequence":"(\d+)"', content)}
        lost = [number for number in range(1, 1001) if number not in came]
        assert len(lost) > 100
        # more than one gap where the machine was too busy to send for a moment before the reader's buffers were full
        told = [range(gap["after"] + 1, gap["after"] + gap["missed"] + 1) for gap in gaps]
        assert [number for numbers_told in told for number in numbers_told] == lost
        for gap in gaps:
            assert numbers(door.page(f"?after={gap['after']}&limit=1")["events"]) == [gap["after"] + 1]


def test_closing_the_feed_ends_the_streams(door: Door) -> None:
    """So that a server which stops does not wait for its readers."""
    with door.connect() as stream, sse(door) as blocks:
        until(lambda: len(door.feed._listeners) == 2)
        door.feed.close()
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=5)
        assert list(blocks) == []


def test_who_leaves_is_forgotten(door: Door) -> None:
    """The feed keeps no listener for a client that has gone."""
    with door.connect(), sse(door):
        until(lambda: len(door.feed._listeners) == 2)
    until(lambda: not door.feed._listeners)


def test_a_log_that_is_away_is_told(door: Door) -> None:
    """To who asks for a page, and to who resumes over a WebSocket."""
    door.log.away = True
    answer = httpx.get(door.url)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SYS_002")
    with door.connect("?after=3") as stream:
        assert heard(stream, 1)[0]["error"]["code"] == "SYS_002"
