"""Real mosquitto brokers for the tests, and consumers that outlive their restarts."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

try:
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError:
    mqtt = None  # type: ignore[assignment]

_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_CONFIG = """
user root
listener {port} 127.0.0.1
{extra}persistence true
persistence_location {folder}/
max_queued_messages 0
"""


@dataclass
class Broker:
    """A mosquitto on a free port of this machine; ``password`` is that of the user ``cam``, if it asks for one."""

    folder: Path
    password: str = ""
    extra: str = ""
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Starts it, on the same port as before, and waits until it answers."""
        if not self.port:
            self.port = free_port()
        config = _CONFIG.format(port=self.port, folder=self.folder, extra=self.extra)
        if self.password:
            names = self.folder / "passwords"
            tool = shutil.which("mosquitto_passwd", path=_PLACES) or ""
            subprocess.run([tool, "-b", "-c", names, "cam", self.password], check=True, capture_output=True)
            config += f"password_file {names}\n"
        (self.folder / "broker.conf").write_text(config + f"allow_anonymous {'false' if self.password else 'true'}\n")
        program = shutil.which("mosquitto", path=_PLACES) or ""
        command = [program, "-c", str(self.folder / "broker.conf")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        pytest.fail("mosquitto did not start")

    def stop(self) -> None:
        """Ends it; it writes down what its consumers have not had yet."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)


@contextmanager
def mqtt_broker(folder: Path, password: str = "", extra: str = "") -> Iterator[Broker]:
    """A running broker; skips where there is none to run."""
    if mqtt is None or shutil.which("mosquitto", path=_PLACES) is None:
        pytest.skip('no MQTT broker: apt-get install mosquitto, pip install "camcount[mqtt]"')
    folder.mkdir(exist_ok=True)
    broker = Broker(folder, password, extra)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class Consumer:
    """Hears everything on a broker, and goes on hearing it after the broker was away."""

    def __init__(self, broker: Broker, topics: str = "#") -> None:
        self._lock = threading.Lock()
        self.heard: list[tuple[str, bytes, bool]] = []
        """Topic, payload, and whether it was kept from before."""
        self.connected = threading.Event()
        self._topics = topics
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, f"consumer-{id(self)}", clean_session=False)
        if broker.password:
            self._client.username_pw_set("cam", broker.password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect, self._client.on_message = self._on_connect, self._on_message
        self._client.on_subscribe = lambda *_: self.connected.set()
        self._client.connect("127.0.0.1", broker.port, 10)
        self._client.loop_start()
        assert self.connected.wait(10)

    def payloads(self, topic: str) -> list[bytes]:
        """What was said on one topic, in order."""
        with self._lock:
            return [payload for name, payload, _ in self.heard if name == topic]

    def last(self, topic: str) -> bytes | None:
        """What was said last on a topic."""
        return (self.payloads(topic) or [None])[-1]  # type: ignore[list-item] # nothing was said

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publishes something."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def close(self) -> None:
        """Leaves."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, *_: Any) -> None:
        client.subscribe(self._topics, qos=1)

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        with self._lock:
            self.heard.append((message.topic, message.payload, message.retain))
