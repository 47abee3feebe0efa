"""The real systems that events are delivered to, each stopped and started by the tests."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import orjson

from camcount.delivery.options import MqttSettings, RedisStreamSettings, SinkSettings, WebhookSettings
from tests.mqtt_brokers import Broker, Consumer, mqtt_broker
from tests.redis_servers import RedisServer, redis_server


class Receiver(Protocol):
    """A system that takes events, and what came there, in order."""

    settings: SinkSettings

    def received(self) -> list[dict[str, Any]]: ...
    def stop(self) -> None: ...
    def start(self) -> None: ...


class Hook:
    """An HTTP server on a port of its own; ``answer`` gives the status of an answer, and may take long."""

    def __init__(self, secret: str | None = None, name: str = "") -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[bytes] = []
        self.answer: Callable[[], int] = lambda: 204
        self.headers: dict[str, str] = {}
        self._port = 0
        self.start()
        url = f"http://127.0.0.1:{self._port}/events?token=abc"
        self.webhook = WebhookSettings(url=url, secret=secret, name=name, timeout_s=0.5)
        self.settings = SinkSettings(webhooks=(self.webhook,))

    def received(self) -> list[dict[str, Any]]:
        """Bodies that were answered with 204."""
        return [orjson.loads(body) for body in list(self.taken)]

    def start(self) -> None:
        """On the same port as before."""
        hook = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(length := int(self.headers["Content-Length"]))
                if len(body) < length:  # who posted was killed in the middle of it
                    self.close_connection = True
                    return
                hook.posts.append((dict(self.headers), body))
                status = hook.answer()
                if status == 204:
                    hook.taken.append(body)
                self.send_response(status)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """A test's output is its own."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def __init__(self) -> None:
                self.open: list[Any] = []
                super().__init__(("127.0.0.1", hook._port), Answering)

            def process_request(self, request: Any, client_address: Any) -> None:
                self.open.append(request)
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Who posts may have left."""

        self._server = Server()
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Also ends the connections that are open."""
        self._server.shutdown()
        self._thread.join()
        for connection in self._server.open:
            with suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


class Stream:
    """A Redis server that keeps what it was told when it ends."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.settings = SinkSettings(redis_stream=RedisStreamSettings(url=server.url))

    def received(self) -> list[dict[str, Any]]:
        """What stands in the stream."""
        with self._server.client() as client:
            entries: Any = client.xrange("camcount:events")
        return [orjson.loads(fields[b"event"]) for _, fields in entries]

    def stop(self) -> None:
        """At once."""
        self._server.kill()

    def start(self) -> None:
        """Again."""
        self._server.start()


class Topic:
    """A broker, and a consumer that was there first."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.consumer = Consumer(broker, "camcount/+/events")
        self.settings = SinkSettings(mqtt=MqttSettings(host="127.0.0.1", port=broker.port))

    def received(self) -> list[dict[str, Any]]:
        """What the consumer heard."""
        return [orjson.loads(payload) for _, payload, _ in list(self.consumer.heard)]

    def stop(self) -> None:
        """It writes down what the consumer has not heard yet."""
        self.broker.stop()

    def start(self) -> None:
        """Again."""
        self.broker.start()


@contextmanager
def receiver_of(kind: str, folder: Path) -> Iterator[Receiver]:
    """A running receiver: ``webhook``, ``redis`` or ``mqtt``."""
    if kind == "webhook":
        hook = Hook()
        yield hook
        hook.stop()
    elif kind == "redis":
        with redis_server(folder, "--appendonly", "yes", "--appendfsync", "always") as server:
            yield Stream(server)
    else:
        with mqtt_broker(folder / "broker") as broker:
            topic = Topic(broker)
            yield topic
            topic.consumer.close()
