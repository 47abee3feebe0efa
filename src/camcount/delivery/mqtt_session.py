"""One connection to an MQTT broker, from its greeting to its end; MQTT 3.1.1, which every broker speaks."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

from camcount.delivery.options import MqttSettings
from camcount.errors import Undelivered, UsageError

try:
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError:
    raise UsageError('MQTT needs the paho-mqtt library: pip install "camcount[mqtt]"') from None

_CONNECT_S = 5.0
_ACKNOWLEDGED_S = 10.0
_LOOKED_EVERY_S = 0.05
_IN_FLIGHT = 200

Message = tuple[str, bytes, bool]
"""Topic, payload, and whether the broker keeps it for those who come later."""


class MqttSession:
    """Connects at once; a connection that is lost stays lost.

    Args:
        tls: of `tls_of`.
        will: what the broker says when this connection breaks.
        topic: to subscribe to.
        received: told topic and payload of what comes there and is not retained, in the client's thread.

    Raises:
        Undelivered: the broker cannot be reached, or refuses.
    """

    def __init__(
        self,
        settings: MqttSettings,
        tls: ssl.SSLContext | None,
        will: Message,
        topic: str,
        received: Callable[[str, bytes], None],
    ) -> None:
        self._settings, self._tls, self._topic, self._received = settings, tls, topic, received
        self._greeted = threading.Event()
        self._lost = ""
        self._client = self._new(will)
        try:
            self._client.connect(settings.host, settings.at_port, settings.keepalive_s)
        except (OSError, ValueError) as error:
            raise self._away(str(error)) from None
        self._client.loop_start()
        if not self._greeted.wait(_CONNECT_S) or self._lost:
            self.close()
            raise self._away(self._lost or f"no greeting within {_CONNECT_S:g} s")

    @property
    def lost(self) -> str:
        """Why the connection is no more; empty while it is."""
        return self._lost

    def publish(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has acknowledged them all.

        Raises:
            Undelivered: with the number of those at the beginning that it has acknowledged.
        """
        sent = [self._client.publish(topic, payload, qos=1, retain=kept) for topic, payload, kept in messages]
        until = time.monotonic() + _ACKNOWLEDGED_S
        for number, one in enumerate(sent):
            while not (one.rc == mqtt.MQTT_ERR_SUCCESS and one.is_published()):
                if self._lost or one.rc != mqtt.MQTT_ERR_SUCCESS or time.monotonic() > until:
                    raise self._away(self._lost or "it does not acknowledge", delivered=number)
                one.wait_for_publish(_LOOKED_EVERY_S)

    def close(self) -> None:
        """Takes leave, so that the will is not said."""
        self._client.disconnect()
        self._client.loop_stop()

    def abandon(self) -> None:
        """Lets go of the connection without taking leave: the broker says the will, if it is still there."""
        self._client.on_disconnect = None
        if (plain := self._client.socket()) is not None:
            with suppress(OSError):
                cast(socket.socket, plain).shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _new(self, will: Message) -> mqtt.Client:
        settings = self._settings
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, settings.client_id, reconnect_on_failure=False, protocol=mqtt.MQTTv311
        )
        client.username_pw_set(settings.username, settings.password)
        client.connect_timeout = _CONNECT_S
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.will_set(will[0], will[1], qos=1, retain=will[2])
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost = f"it refuses the connection: {reason}"
        else:
            client.subscribe(self._topic, qos=1)
        self._greeted.set()

    def _on_disconnect(self, client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._lost = self._lost or f"the connection is lost ({reason})"
        self._greeted.set()

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        if not message.retain:
            self._received(message.topic, bytes(message.payload))

    def _away(self, why: str, *, delivered: int = 0) -> Undelivered:
        return Undelivered(f"the broker {self._settings.address} is away: {why}", delivered=delivered)


def tls_of(settings: MqttSettings) -> ssl.SSLContext | None:
    """What a broker's certificate is judged by; ``None`` where the connection is not encrypted.

    Raises:
        UsageError: ``tls_ca`` cannot be read.
    """
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"tls_ca {settings.tls_ca} cannot be used: {error}") from None
    context.sslsocket_class = _Closing
    return context


class _Closing(ssl.SSLSocket):
    """Closes itself where the broker's certificate is not accepted, which the client forgets."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise
