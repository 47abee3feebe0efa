"""Database, broker and Redis each stopped and started under a server that counts, delivers and answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from camcount.storage.counts import CountStore
from camcount.storage.database import open_database
from tests.databases import new_server
from tests.live import moving_blobs, open_store, until
from tests.mqtt_brokers import Consumer, mqtt_broker
from tests.redis_servers import RedisServer, redis_server
from tests.serving import Served, asking, serve_with

DATA = Path(__file__).parents[2] / "shared" / "data"
MODEL = DATA / "weights" / "light_person_detector.onnx"
PHOTO = DATA / "images" / "photos" / "people1.jpeg"
NAMES = ("north", "east", "south", "west")
SECONDS, AWAY_S = 40, 3.0

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not PHOTO.exists(), reason="no models and pictures in ../shared/data"),
    # SQLAlchemy forgets a connection whose server goes just after it was made; the garbage collector closes it
    pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning"),
]


def _settings(video: Path, **more: Any) -> dict[str, Any]:
    cameras = {
        name: {"source": str(video), "model": "motion", "pace": "real", "lines": {"gate": [0.5, 0.0, 0.5, 1.0]}}
        for name in NAMES
    }
    return {"models": {"people": {"model": str(MODEL)}}, "cameras": cameras, **more}


def _cameras(server: Served) -> list[dict[str, Any]]:
    cameras: list[dict[str, Any]] = server.get("/api/v1/cameras")[1]["cameras"]
    return cameras


def _facts(store: CountStore) -> list[tuple[str, str, float]]:
    """What was counted, whoever wrote it down."""
    events = [one.event for one in store.events(limit=10_000) if one.event.type == "crossing"]
    return sorted((one.camera_id, one.direction, round(one.time_s, 3)) for one in events)  # type: ignore[attr-defined]


def test_nothing_is_lost_or_doubled_when_each_goes_away(tmp_path: Path) -> None:
    """Each for three seconds, then all at once: database, stream and broker have what an undisturbed server counted.

    Pictures that clients send are answered all the time.
    """
    video = moving_blobs(tmp_path / "blobs.mp4", SECONDS)
    postgres = new_server()
    url = postgres.new_database()
    with (
        mqtt_broker(tmp_path / "broker") as broker,
        redis_server(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as redis,
    ):
        consumer = Consumer(broker, "camcount/+/events")
        sinks = {
            "mqtt": {"host": "127.0.0.1", "port": broker.port},
            "redis_stream": {"url": redis.url},
        }
        settings = _settings(video, database_url=url, cache={"url": redis.url}, sinks=sinks)
        with (
            serve_with(tmp_path / "calm", _settings(video)) as calm,
            serve_with(tmp_path / "rough", settings) as server,
            asking(server, "people", PHOTO.read_bytes(), pause_s=0.1) as client,
        ):
            parts: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
                "database": (postgres.stop, postgres.start),
                "broker": (broker.stop, broker.start),
                "cache": (redis.kill, redis.start),
            }
            in_flight: dict[str, int] = {}
            for names in (["database"], ["broker"], ["cache"], [*parts]):
                time.sleep(4)
                for name in names:
                    parts[name][0]()
                time.sleep(AWAY_S)
                counted = sum(way for camera in _cameras(server) for way in _ways(camera))
                in_flight["+".join(names)] = counted - _delivered(consumer)
                for name in names:
                    parts[name][1]()
            for one in (calm, server):
                until(partial(_ended, one), 2 * SECONDS)
            until(lambda: not any(camera["pending"] for camera in _cameras(server)), 30)
            assert not any(camera["lost"] for camera in _cameras(server))
            database = open_database(url)
            with open_store(f"sqlite:///{tmp_path / 'calm' / 'camcount.db'}") as undisturbed:
                expected = _facts(undisturbed)
            written = CountStore(database)
            numbers = [one.event.event_id for one in written.events(limit=10_000)]
            until(lambda: len(_told(consumer)) >= len(set(numbers)), 30)
            until(lambda: len(_appended(redis)) >= len(numbers), 30)
            stream = _appended(redis)
        consumer.close()
        print(f"events counted and not yet with the broker's consumer, at each stop: {in_flight}")  # noqa: T201
        assert len(expected) >= len(NAMES) * SECONDS / 4
        assert _facts(written) == expected
        assert len(numbers) == len(set(numbers))
        assert sorted(stream) == sorted(numbers)
        assert set(_told(consumer)) == set(numbers)
        assert max(in_flight.values()) > 0
        assert set(client.statuses) == {200}
        assert client.cached > 0
        database.close()
    postgres.stop()


def _ended(server: Served) -> bool:
    return all(camera["state"] == "ended" for camera in _cameras(server))


def _appended(redis: RedisServer) -> list[str]:
    """The ids of the events in the stream."""
    entries: Any = redis.client().xrange("camcount:events")
    return [fields[b"id"].decode() for _, fields in entries]


def _ways(camera: dict[str, Any]) -> list[int]:
    return [line[way] for line in camera["totals"].values() for way in ("in", "out")]


def _told(consumer: Consumer) -> list[str]:
    return [json.loads(payload)["id"] for name in NAMES for payload in consumer.payloads(f"camcount/{name}/events")]


def _delivered(consumer: Consumer) -> int:
    return len(set(_told(consumer)))
