"""Events, totals and occupancy to an MQTT broker, commands from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import orjson

from camcount.delivery.cameras import CameraOutline, Command, Site
from camcount.delivery.cloudevents import as_json
from camcount.delivery.home_assistant import discovery, slug, without
from camcount.delivery.log import StoredEvent
from camcount.delivery.mqtt_session import Message, MqttSession, tls_of
from camcount.delivery.options import MqttSettings
from camcount.delivery.topics import Topics
from camcount.delivery.totals import Totals
from camcount.errors import CamcountError, Undelivered

_COMMANDS: dict[bytes, Command] = {b"ON": "on", b"OFF": "off", b"RESET_OCCUPANCY": "reset_occupancy"}
_log = logging.getLogger("camcount.delivery")


class MqttOutlet:
    """An `Outlet` to a broker, over a new connection after each failure.

    What is retained is published on every connection, and whenever it has changed.

    Args:
        site: whose cameras are shown, and are told commands, one after the other in a thread of their own.
        totals: as far as events were delivered.
    """

    batch = 100
    identity = ""

    def __init__(self, settings: MqttSettings, site: Site, totals: Totals) -> None:
        self._settings, self._site, self._totals = settings, site, totals
        self._tls, self._topics = tls_of(settings), Topics(settings.prefix)
        self._session: MqttSession | None = None
        self._said: dict[str, bytes] = {}
        self._devices: dict[str, dict[str, Any]] = {}
        self._commands: ThreadPoolExecutor | None = None

    def open(self) -> None:
        """Connects, and says everything that is retained."""
        topics = self._topics
        self._commands = ThreadPoolExecutor(1, "camcount-mqtt-commands")
        will = (topics.available, b"offline", True)
        self._session = MqttSession(self._settings, self._tls, will, topics.commands, self._received)
        self._said.clear()
        self._say([(topics.available, b"online", True), *self._retained()])

    def send(self, events: Sequence[StoredEvent]) -> None:
        """Publishes events; returns when the broker has them."""
        self._say([(self._topics.camera(s.event.camera_id, "events"), as_json(s), False) for s in events])

    def tend(self) -> None:
        """Publishes what has changed of what is retained."""
        if (session := self._session) is None or session.lost:
            raise Undelivered(session.lost if session else "there is no connection")
        self._say(self._retained())

    def close(self) -> None:
        """Says that this server is not there any more, if anybody still listens."""
        if self._commands is not None:
            self._commands.shutdown(wait=False)
        session, self._session = self._session, None
        if session is None:
            return
        if not session.lost:
            try:
                session.publish([(self._topics.available, b"offline", True)])
            except Undelivered:
                session.abandon()
                return
        session.close()

    def _say(self, messages: Sequence[Message]) -> None:
        assert self._session is not None
        self._session.publish(messages)
        self._said |= {topic: payload for topic, payload, kept in messages if kept}

    def _retained(self) -> list[Message]:
        """All that is retained and was not said on this connection yet."""
        cameras = self._site.outlines()
        now = self._discovered(cameras) if self._settings.discovery else {}
        topics = self._topics
        lines = dict.fromkeys([*((camera.name, line) for camera in cameras for line in camera.lines)])
        for camera, line in [*lines, *(place for place in self._totals.lines() if place not in lines)]:
            now[topics.line(camera, line)] = orjson.dumps(self._totals.of(camera, line))
        for outline in cameras:
            now[topics.camera(outline.name, "available")] = b"online" if outline.online else b"offline"
            now[topics.camera(outline.name, "state")] = b"ON" if outline.on else b"OFF"
            for zone, inside in outline.occupancy.items():
                now[topics.zone(outline.name, zone)] = str(inside).encode()
        return [(topic, payload, True) for topic, payload in now.items() if self._said.get(topic) != payload]

    def _discovered(self, cameras: Sequence[CameraOutline]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for camera in cameras:
            told = discovery(camera, self._topics)
            told = without(self._devices.get(camera.name, told), told)
            self._devices[camera.name] = told
            found[self._device_topic(camera.name)] = orjson.dumps(told)
        for name in self._devices.keys() - {camera.name for camera in cameras}:
            found[self._device_topic(name)] = b""  # Home Assistant forgets the device
        return found

    def _device_topic(self, camera: str) -> str:
        return f"{self._settings.discovery}/device/{slug(self._settings.prefix)}_{slug(camera)}/config"

    def _received(self, topic: str, payload: bytes) -> None:
        camera, command = self._topics.commanded(topic), _COMMANDS.get(payload.strip().upper())
        if command is None:
            _log.warning("mqtt: a command for camera %s is none of ON, OFF and RESET_OCCUPANCY", camera)
            return
        if self._commands is not None:
            with suppress(RuntimeError):  # it was told to end in this moment
                self._commands.submit(self._obey, camera, command)

    def _obey(self, camera: str, command: Command) -> None:
        try:
            self._site.command(camera, command)
        except CamcountError as error:
            _log.warning("mqtt: %s of camera %s was not possible: %s (%s)", command, camera, error, error.code)
        except Exception:
            _log.exception("mqtt: %s of camera %s failed", command, camera)
