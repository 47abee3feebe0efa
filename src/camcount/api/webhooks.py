"""Telling a client's address that its job has ended, without being led into the network that the server stands in."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

import stamina

from camcount.errors import InvalidInput, ServiceError

_log = logging.getLogger("camcount.api")

_TIMEOUT_S = 10.0
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address to POST to; ``private``: it may be one of the server's own network or machine."""

    secure: bool
    host: str
    port: int
    path: str
    private: bool

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"


def webhook_of(text: str | None, *, private: bool) -> Webhook | None:
    """Reads an address; where its host lies is looked up only when it is told.

    Raises:
        InvalidInput: it is no http or https address, or names a private one.
    """
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise InvalidInput("webhook is no address: write https://host/path") from None
    unprintable = not text.isascii() or not text.isprintable() or " " in text
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or unprintable:
        raise InvalidInput("webhook is no address to post to: write https://host/path, without user and password")
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    webhook = Webhook(parts.scheme == "https", parts.hostname, port, path, private)
    if not private and _is_private(parts.hostname):
        raise InvalidInput(f"webhook {parts.hostname} is in the server's own network: give a public address")
    return webhook


async def tell(webhook: Webhook, body: bytes) -> None:
    """Posts ``body``; tries again with growing pauses, and gives up with a line in the log."""
    try:
        await asyncio.to_thread(_post_until_taken, webhook, body)
    except (OSError, ServiceError, http.client.HTTPException) as error:
        _log.warning("webhook %s was not told: %s", webhook, error)


@stamina.retry(
    on=(OSError, ServiceError, http.client.HTTPException), attempts=_ATTEMPTS, timeout=60.0, wait_initial=0.5
)
def _post_until_taken(webhook: Webhook, body: bytes) -> None:
    _post(webhook, body)


def _post(webhook: Webhook, body: bytes) -> None:
    """Posts once. The connection goes to the address that was judged: asking twice could give two answers."""
    kind = http.client.HTTPSConnection if webhook.secure else http.client.HTTPConnection
    connection = kind(webhook.host, webhook.port, timeout=_TIMEOUT_S)
    plain = socket.create_connection((_judged_address(webhook), webhook.port), _TIMEOUT_S)
    try:
        connection.sock = _tls().wrap_socket(plain, server_hostname=webhook.host) if webhook.secure else plain
        connection.request("POST", webhook.path, body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
    finally:
        connection.close()
        plain.close()
    if status >= 500 or status in (408, 429):
        raise ServiceError(f"it answered {status}")
    if status >= 300:
        _log.warning("webhook %s answered %d: redirects are not followed, and it is not asked again", webhook, status)


def _judged_address(webhook: Webhook) -> str:
    found = socket.getaddrinfo(webhook.host, webhook.port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    allowed = [address for address in addresses if webhook.private or not _is_private(address)]
    if not allowed:
        raise ServiceError(f"{webhook.host} is in the server's own network")
    return allowed[0]


def _is_private(host: str) -> bool:
    """Whether a written-out address is not of the public internet; names are judged by what they stand for."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global or address.is_multicast


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
