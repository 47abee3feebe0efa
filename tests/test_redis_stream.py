"""The Redis stream beside what holds for every delivery: length, repetitions, a server that hangs or refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camcount.delivery.options import RedisStreamSettings
from camcount.delivery.redis_stream import RedisStreamOutlet
from camcount.errors import Undelivered
from tests.event_logs import MemoryLog, crossing
from tests.redis_servers import RedisServer, redis_server

STREAM = "camcount:events"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running one."""
    with redis_server(tmp_path) as running:
        yield running


def _outlet(server: RedisServer, **options: Any) -> RedisStreamOutlet:
    return RedisStreamOutlet(RedisStreamSettings(url=server.url, **options))


def test_an_entry_says_what_it_is(server: RedisServer) -> None:
    """Id, type and camera beside the event, so that a consumer can choose without reading it."""
    outlet = _outlet(server, stream="gate events")
    outlet.open()
    (stored,) = MemoryLog().append(crossing(1))
    outlet.send([stored])
    outlet.close()
    with server.client() as client:
        ((_, entry),) = client.xrange("gate events")
    assert entry[b"id"].decode() == stored.event.event_id
    assert (entry[b"type"], entry[b"camera"]) == (b"crossing", b"gate")


def test_a_batch_whose_answer_was_lost_stands_there_once(server: RedisServer) -> None:
    """After connecting anew the outlet sees what the stream ends with; what follows is appended."""
    stored = MemoryLog().append(*(crossing(number) for number in range(300)))
    first = _outlet(server)
    first.open()
    first.send(stored[:200])
    first.close()
    second = _outlet(server)
    second.open()
    second.send(stored[:200])
    second.send(stored[200:])
    second.close()
    with server.client() as client:
        ids = [entry[b"id"].decode() for _, entry in client.xrange(STREAM)]
    assert ids == [one.event.event_id for one in stored]


def test_the_stream_stays_about_as_long_as_it_may(server: RedisServer) -> None:
    """The oldest go, by whole nodes of Redis."""
    outlet = _outlet(server, keep=1000)
    outlet.open()
    stored = MemoryLog().append(*(crossing(number) for number in range(5000)))
    for begin in range(0, 5000, outlet.batch):
        outlet.send(stored[begin : begin + outlet.batch])
    outlet.close()
    with server.client() as client:
        assert 1000 <= client.xlen(STREAM) <= 1200
        ((_, entry),) = client.xrevrange(STREAM, count=1)
    assert entry[b"id"].decode() == stored[-1].event.event_id


def test_a_server_that_refuses_to_write_or_hangs_says_so(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full, it takes nothing of a batch; frozen, it is given up after a time-out."""
    monkeypatch.setattr("camcount.delivery.redis_stream._TIMEOUT_S", 0.3)
    outlet = _outlet(server)
    outlet.open()
    stored = MemoryLog().append(crossing(1), crossing(2))
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(Undelivered, match="does not take events"):
            outlet.send(stored)
        client.config_set("maxmemory", "0")
        assert client.xlen(STREAM) == 0
    server.freeze()
    with pytest.raises(Undelivered):
        outlet.send(stored)
    server.thaw()
    outlet.close()
