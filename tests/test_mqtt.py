"""MQTT over a real mosquitto: availability, totals, occupancy, discovery, commands, restarts, passwords."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from camcount.delivery.cameras import CameraOutline
from camcount.delivery.feed import Feed
from camcount.delivery.options import MqttSettings, SinkSettings
from camcount.delivery.relay import Delivery
from camcount.delivery.select import deliveries_for
from camcount.storage.database import open_database
from tests.databases import sqlite_url
from tests.event_logs import Cameras, MemoryLog, committed, crossing, until
from tests.mqtt_brokers import Broker, Consumer, mqtt_broker

GATE = CameraOutline(name="gate", lines=("street", "in/out"), zones=("hall",), occupancy={"hall": 3})
TOTAL = "camcount/gate/lines/street"
DEVICE = "homeassistant/device/camcount_gate/config"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A running one."""
    with mqtt_broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def consumer(broker: Broker) -> Iterator[Consumer]:
    """Of everything."""
    consumer = Consumer(broker)
    yield consumer
    consumer.close()


class Running:
    """A delivery to a broker, with the log, the feed and the cameras it stands on."""

    def __init__(self, broker: Broker, folder: Path, **options: Any) -> None:
        self.log, self.site = MemoryLog(), Cameras([GATE])
        self.log.append(*(crossing(number) for number in range(4)))
        self.feed = Feed(self.log)
        self._settings = SinkSettings(mqtt=MqttSettings(host="127.0.0.1", port=broker.port, **options))
        self._database = open_database(sqlite_url(folder))
        self.delivery = self.start()

    def start(self) -> Delivery:
        """A new delivery."""
        (self.delivery,) = deliveries_for(self._settings, self.log, self.feed, self._database, self.site)
        self.delivery.start()
        return self.delivery

    def close(self) -> None:
        """All of it."""
        self.delivery.close()
        self.feed.close()
        self._database.close()


Start = Callable[..., Running]


@pytest.fixture
def start(broker: Broker, tmp_path: Path) -> Iterator[Start]:
    """Starts deliveries to the broker."""
    made: list[Running] = []

    def begin(**options: Any) -> Running:
        made.append(Running(broker, tmp_path, **options))
        return made[-1]

    yield begin
    for running in made:
        running.close()


def test_the_broker_says_when_the_server_is_there_and_when_it_left(start: Start, consumer: Consumer) -> None:
    """``online`` first of all, ``offline`` with the end."""
    running = start()
    until(lambda: consumer.last("camcount/available") == b"online")
    running.delivery.close()
    until(lambda: consumer.last("camcount/available") == b"offline")


def test_totals_begin_with_all_that_the_log_has_and_are_kept(
    start: Start, broker: Broker, consumer: Consumer
) -> None:
    """Four crossings were there before; lines that nothing has crossed show zeros; whoever comes later reads both."""
    running = start()
    until(lambda: consumer.last(TOTAL))
    assert orjson.loads(consumer.last(TOTAL) or b"") == {
        "in": 4,
        "out": 0,
        "by_label": {"person": {"in": 4, "out": 0}},
    }
    stored = running.log.append(crossing(9, direction="out", label="car"))
    running.feed.publish("gate", stored)
    expected = {"in": 4, "out": 1, "by_label": {"person": {"in": 4, "out": 0}, "car": {"in": 0, "out": 1}}}
    until(lambda: orjson.loads(consumer.last(TOTAL) or b"") == expected)
    late = Consumer(broker)
    until(lambda: late.last("camcount/gate/zones/hall"))
    assert late.last("camcount/gate/lines/in%2Fout") == b'{"in":0,"out":0,"by_label":{}}'
    assert orjson.loads(late.last(TOTAL) or b"") == expected
    assert late.payloads("camcount/gate/events") == []
    assert all(kept for _, _, kept in late.heard)
    late.close()


def test_totals_never_fall_behind_the_events_over_restarts(start: Start, consumer: Consumer) -> None:
    """The server is closed, ten events are committed, it starts again: every total in between is told, in order."""
    running = start()
    until(lambda: consumer.last(TOTAL))
    running.delivery.close()
    committed(running.log, running.feed, *range(10, 20))
    running.start()
    until(lambda: orjson.loads(consumer.last(TOTAL) or b"")["in"] == 14)
    told = [orjson.loads(payload)["in"] for payload in consumer.payloads(TOTAL)]
    assert told == sorted(told)
    assert len(consumer.payloads("camcount/gate/events")) == 10


def test_occupancy_and_state_follow_the_cameras(start: Start, consumer: Consumer) -> None:
    """A change is told within about a second, what stayed is not told again."""
    running = start()
    until(lambda: consumer.last("camcount/gate/zones/hall") == b"3")
    assert consumer.last("camcount/gate/state") == b"ON"
    running.site.now = [replace(GATE, occupancy={"hall": 5}, on=False, online=False)]
    until(lambda: consumer.last("camcount/gate/zones/hall") == b"5")
    until(lambda: consumer.last("camcount/gate/state") == b"OFF")
    assert consumer.payloads("camcount/gate/available") == [b"online", b"offline"]
    assert len(consumer.payloads(TOTAL)) == 1


def test_home_assistant_finds_a_device_with_all_that_it_counts(start: Start, consumer: Consumer) -> None:
    """Totals only rise, occupancy is measured, ids are of their own, every topic named is one that is spoken on."""
    start()
    until(lambda: consumer.last("camcount/gate/zones/hall"))
    told = orjson.loads(consumer.last(DEVICE) or b"")
    assert told["device"]["identifiers"] == ["camcount_gate"]
    assert told["origin"]["name"] == "camcount"
    parts = told["components"]
    assert [part["unique_id"] for part in parts.values()] == list(parts)
    kinds = {part["name"]: (part["platform"], part.get("state_class")) for part in parts.values()}
    assert kinds == {
        **{f"{line} {way}": ("sensor", "total_increasing") for line in GATE.lines for way in ("in", "out")},
        "hall occupancy": ("sensor", "measurement"),
        "Counting": ("switch", None),
        "Reset occupancy": ("button", None),
    }
    spoken = {topic for topic, _, _ in consumer.heard}
    for part in parts.values():
        assert {place["topic"] for place in part["availability"]} <= spoken
        assert part.get("state_topic", TOTAL) in spoken
        assert part.get("command_topic", "camcount/gate/set") == "camcount/gate/set"
    assert next(part for part in parts.values() if part["name"] == "street in")["value_template"] == (
        "{{ value_json['in'] }}"
    )


def test_lines_and_cameras_that_go_are_taken_from_home_assistant(start: Start, consumer: Consumer) -> None:
    """A line's sensors are told to be none, a camera's device is told to be nothing."""
    running = start()
    until(lambda: consumer.last(DEVICE))
    running.site.now = [replace(GATE, lines=("street",))]
    until(lambda: len(consumer.payloads(DEVICE)) == 2)
    parts = orjson.loads(consumer.last(DEVICE) or b"")["components"]
    assert [part for part in parts.values() if list(part) == ["platform"]] == [{"platform": "sensor"}] * 2
    running.site.now = []
    until(lambda: consumer.last(DEVICE) == b"")


def test_without_discovery_nothing_is_said_to_home_assistant(start: Start, consumer: Consumer) -> None:
    """Another prefix holds for all topics."""
    start(discovery="", prefix="site/north")
    until(lambda: consumer.last("site/north/gate/zones/hall"))
    assert all(topic.startswith("site/north/") for topic, _, _ in consumer.heard)


def test_commands_reach_the_cameras(start: Start, consumer: Consumer, caplog: pytest.LogCaptureFixture) -> None:
    """In order; what is no command is noted and does nothing, and one that was kept by the broker is not obeyed."""
    consumer.say("camcount/gate/set", b"OFF", retain=True)
    running = start()
    until(lambda: consumer.last("camcount/available") == b"online")
    for payload in (b"OFF", b"dance", b"on", b"RESET_OCCUPANCY"):
        consumer.say("camcount/gate/set", payload)
    consumer.say("camcount/in%2Fout/set", b"ON")
    expected = [("gate", "off"), ("gate", "on"), ("gate", "reset_occupancy"), ("in/out", "on")]
    until(lambda: running.site.commands == expected)
    assert "none of ON, OFF" in caplog.text


def test_everything_is_said_again_when_the_broker_has_forgotten_it(broker: Broker, start: Start) -> None:
    """A broker that comes back empty hears availability, discovery, totals and occupancy again."""
    running = start()
    until(lambda: running.delivery.health().state == "up")
    broker.stop()
    (broker.folder / "mosquitto.db").unlink()
    until(lambda: running.delivery.health().state == "away")
    broker.start()
    fresh = Consumer(broker)
    for topic in ("camcount/available", DEVICE, TOTAL, "camcount/gate/zones/hall", "camcount/gate/state"):
        until(lambda topic=topic: fresh.last(topic))  # type: ignore[misc] # bound at once
    assert fresh.last("camcount/available") == b"online"
    fresh.close()


def test_a_database_that_is_away_is_no_outage_for_the_broker(start: Start, consumer: Consumer) -> None:
    """The connection stays, so that Home Assistant does not see the server go and come."""
    running = start()
    until(lambda: running.delivery.health().state == "up")
    running.log.away = True
    until(lambda: "the log is away" in running.delivery.health().error)
    running.log.away = False
    committed(running.log, running.feed, 10)
    until(lambda: consumer.last("camcount/gate/events"))
    until(lambda: running.delivery.health().state == "up")
    assert consumer.payloads("camcount/available") == [b"online"]


_KILLED = """
import sys
from camcount.delivery.mqtt_session import MqttSession
from camcount.delivery.options import MqttSettings
settings = MqttSettings(host="127.0.0.1", port=int(sys.argv[1]))
session = MqttSession(settings, None, ("camcount/available", b"offline", True), "camcount/+/set", print)
session.publish([("camcount/available", b"online", True)])
print("there", flush=True)
sys.stdin.read()
"""


def test_the_broker_says_offline_for_a_server_that_was_killed(broker: Broker, consumer: Consumer) -> None:
    """The last will, retained."""
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(broker.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        until(lambda: consumer.last("camcount/available") == b"online")
        os.kill(process.pid, signal.SIGKILL)
    until(lambda: consumer.last("camcount/available") == b"offline")


def test_passwords_are_asked_for_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The right one is let in; of the wrong one neither log nor health nor settings say anything."""
    caplog.set_level(logging.DEBUG)
    with mqtt_broker(tmp_path / "guarded", password="s3cret") as broker:
        wrong = Running(broker, tmp_path, username="cam", password="wr0ng")
        until(lambda: wrong.delivery.health().state == "away")
        assert "Not authorized" in wrong.delivery.health().error
        wrong.close()
        right = Running(broker, tmp_path, username="cam", password="s3cret")
        until(lambda: right.delivery.health().state == "up")
        right.close()
    shown = (
        caplog.text + wrong.delivery.health().error + repr(MqttSettings(host="a", username="b", password="s3cret"))
    )
    assert "wr0ng" not in shown
    assert "s3cret" not in shown


def test_a_broker_s_certificate_is_checked(tmp_path: Path) -> None:
    """By the file of authorities; by the system's, which do not know it, it is refused."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    with mqtt_broker(tmp_path / "tls", extra=f"certfile {certificate}\nkeyfile {key}\n") as broker:
        trusting = Running(broker, tmp_path, tls=True, tls_ca=str(certificate))
        until(lambda: trusting.delivery.health().state == "up")
        trusting.close()
        doubting = Running(broker, tmp_path, tls=True)
        until(lambda: doubting.delivery.health().state == "away")
        assert "certificate" in doubting.delivery.health().error
        doubting.close()
