"""Where events go: the ``sinks`` section of `camcount.yaml`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from camcount.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """A broker.

    Attributes:
        host, port: 1883, or 8883 with ``tls``, unless given.
        username, password: never shown.
        tls: by the system's certificates, or those in the file ``tls_ca``.
        prefix: what topics begin with.
        discovery: what Home Assistant's discovery topics begin with; empty for no discovery.
        client_id: known to the broker; given by chance unless given here.
        keepalive_s: how often the broker hears of us; it says that we are away after one and a half times that.
    """

    host: str
    port: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    tls_ca: str | None = None
    prefix: str = "camcount"
    discovery: str = "homeassistant"
    client_id: str = ""
    keepalive_s: int = 30

    def __post_init__(self) -> None:
        if not self.host or "/" in self.host or "@" in self.host:
            shown = self.host.rpartition("@")[2]
            raise UsageError(
                f"the MQTT host is {shown!r}: write its name alone, with port, username and password apart"
            )
        _in_range("the MQTT port", self.at_port, 1, 65535)
        _in_range("the MQTT keepalive_s", self.keepalive_s, 5, 3600)
        if self.password is not None and self.username is None:
            raise UsageError("the MQTT password has no username: give both, or neither")
        if self.tls_ca is not None and not self.tls:
            raise UsageError("tls_ca is given and tls is off: set tls: true")
        for name, topic in (("prefix", self.prefix), ("discovery", self.discovery)):
            if set(topic) & set("+#\0") or topic.startswith(("/", "$")) or topic.endswith("/"):
                raise UsageError(
                    f"the MQTT {name} {topic!r} is no beginning of a topic: write a name such as camcount"
                )
        if not self.prefix:
            raise UsageError("the MQTT prefix is empty: write a name such as camcount")

    @property
    def at_port(self) -> int:
        """The port, given or usual."""
        return self.port if self.port is not None else 8883 if self.tls else 1883

    @property
    def address(self) -> str:
        """Where the broker is."""
        return f"{'mqtts' if self.tls else 'mqtt'}://{self.host}:{self.at_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """An address that is posted every event.

    Attributes:
        url: http or https; never shown, for it may hold a token.
        secret: that bodies are signed with; ``whsec_`` and base64, or any text. Never shown.
        name: for messages, and the position is kept under it; the host unless given.
        timeout_s: for each answer.
    """

    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    name: str = ""
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            known = False
        printable = self.url.isascii() and self.url.isprintable() and " " not in self.url
        if not known or not printable or parts.username is not None:
            raise UsageError(f"webhook {self.name or '?'} has no address to post to: write https://host/path")
        if self.secret == "":
            raise UsageError(f"the secret of webhook {self.label} is empty: give one, or leave it out")
        _in_range(f"the timeout_s of webhook {self.label}", self.timeout_s, 0.1, 300)

    @property
    def label(self) -> str:
        """Its name."""
        return self.name or urlsplit(self.url).hostname or "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisStreamSettings:
    """A stream in Redis.

    Attributes:
        url: ``redis://``, ``rediss://`` or ``unix://``. It may hold a password: it is never shown, `address` is.
        stream: its key.
        keep: about so many entries stay, the oldest go first.
    """

    url: str = field(repr=False)
    stream: str = "camcount:events"
    keep: int = 100_000

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("redis", "rediss", "unix"):
            raise UsageError("the address of the Redis stream is not one of redis://, rediss:// or unix://")
        if not self.stream:
            raise UsageError("the Redis stream has no name: write one such as camcount:events")
        _in_range("keep of the Redis stream", self.keep, 1000, math.inf)

    @property
    def address(self) -> str:
        """The url without user, password and options."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """All of the section.

    Attributes:
        webhooks_at_once: POSTs that all webhooks together may have under way.
    """

    mqtt: MqttSettings | None = None
    webhooks: tuple[WebhookSettings, ...] = ()
    redis_stream: RedisStreamSettings | None = None
    webhooks_at_once: int = 8

    def __post_init__(self) -> None:
        labels = [webhook.label for webhook in self.webhooks]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise UsageError(f"two webhooks are called {twice[0]}: give each a name of its own")
        _in_range("webhooks_at_once", self.webhooks_at_once, 1, 100)


def _in_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        bound = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        raise UsageError(f"{name} is {value}, expected a number {bound}")
