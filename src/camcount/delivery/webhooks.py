"""Events as HTTP POSTs, signed as https://www.standardwebhooks.com describes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import urlsplit

from camcount.delivery.cloudevents import CONTENT_TYPE, as_json
from camcount.delivery.log import StoredEvent
from camcount.delivery.options import WebhookSettings
from camcount.errors import Undelivered, UsageError, words_of

_SECRET = "whsec_"
_BATCH = 50
_GONE = 410
_LONGEST_RETRY_AFTER_S = 3600.0


class WebhookOutlet:
    """An `Outlet` that posts one event after the other over one connection.

    2xx takes an event, 410 ends the webhook for good, everything else (redirects too) is tried again.

    Args:
        turns: how many POSTs all webhooks together may have under way.
    """

    batch = _BATCH

    def __init__(self, settings: WebhookSettings, turns: threading.Semaphore) -> None:
        self._settings, self._turns = settings, turns
        parts = urlsplit(settings.url)
        self._path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        self._host, self._port, self._secure = parts.hostname or "", parts.port, parts.scheme == "https"
        self._key = signing_key(settings.secret) if settings.secret else b""
        self._connection: http.client.HTTPConnection | None = None
        self.identity = hashlib.sha256(settings.url.encode()).hexdigest()[:16]

    def open(self) -> None:
        """The first POST connects."""

    def send(self, events: Sequence[StoredEvent]) -> None:
        """Posts each until all are taken or one is not."""
        for delivered, stored in enumerate(events):
            try:
                with self._turns:
                    status, headers = self._post(stored)
            except (OSError, http.client.HTTPException) as error:
                reason = words_of(error, 200)
                raise Undelivered(f"the receiver cannot be reached: {reason}", delivered=delivered) from None
            if not 200 <= status < 300:
                raise _refused(status, headers, delivered)

    def tend(self) -> None:
        """Nothing to do between events."""

    def close(self) -> None:
        """Lets the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, stored: StoredEvent) -> tuple[int, Mapping[str, str]]:
        body = as_json(stored)
        headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "camcount"}
        if self._key:
            headers |= signature_headers(self._key, stored.event.event_id, time.time(), body)
        reused = self._connection is not None
        try:
            return self._ask(body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not reused:
                raise
            return self._ask(body, headers)  # receivers close connections that were quiet for a while

    def _ask(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        if self._connection is None:
            self._connection = self._new()
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            response.read(65536)
            if response.will_close or not response.isclosed():
                self.close()
        except BaseException:
            self.close()
            raise
        return response.status, dict(response.headers)

    def _new(self) -> http.client.HTTPConnection:
        timeout_s = self._settings.timeout_s
        if self._secure:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=_tls())
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)


def signing_key(secret: str) -> bytes:
    """The bytes of a secret: what follows ``whsec_`` in base64, or else the text itself.

    Raises:
        UsageError: what follows is no base64.
    """
    if not secret.startswith(_SECRET):
        return secret.encode()
    try:
        return base64.b64decode(secret[len(_SECRET) :], validate=True)
    except binascii.Error:
        raise UsageError(f"a webhook's secret that begins with {_SECRET} must go on in base64") from None


def signature_headers(key: bytes, event_id: str, now: float, body: bytes) -> dict[str, str]:
    """The headers that prove where a body comes from, and when.

    >>> signature_headers(b"key", "af2c", 1700000000.0, b"{}")["webhook-signature"]
    'v1,Tf6pCOLZpZT5q9R6hhEig5hYPNPqSEUEFLU5TxuzLG4='
    """
    timestamp = str(int(now))
    digest = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": event_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def _refused(status: int, headers: Mapping[str, str], delivered: int) -> Undelivered:
    if status == _GONE:
        return Undelivered("the receiver answered 410: it wants no more events", delivered=delivered, gone=True)
    asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    wait_s = min(float(asked), _LONGEST_RETRY_AFTER_S) if asked.isascii() and asked.isdigit() else None
    hint = ": redirects are not followed" if 300 <= status < 400 else ""
    return Undelivered(f"the receiver answered {status}{hint}", delivered=delivered, retry_after_s=wait_s)


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
