"""Connections to an inference server over HTTP: kept open, shared by threads, every fault in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import urllib3
from urllib3 import exceptions

from camcount.engines.open_inference import LENGTH_HEADER
from camcount.errors import CamcountError, InferenceTimeout, ModelError, ModelNotFound, ServiceError

_CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    head_length: int | None

    def json(self, url: str) -> Any:
        """The body as JSON.

        Raises:
            ServiceError: it is something else.
        """
        try:
            return orjson.loads(self.body)
        except ValueError as error:
            raise ServiceError(f"{url} answered something that is not JSON: is this an inference server?") from error


class Channel:
    """Connections to one server, shared by all threads.

    Args:
        timeout_s: how long to wait for a connection, and for each part of an answer.
        headers: sent with every request, such as ``Authorization``.
    """

    def __init__(self, timeout_s: float, headers: Mapping[str, str] | None = None) -> None:
        self._timeout_s = timeout_s
        self._headers = dict(headers or {})
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=timeout_s, retries=False)

    def get(self, url: str) -> Reply:
        """What is at that address."""
        return self._exchange("GET", url, None, {})

    def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """The answer to a body, JSON unless the headers say otherwise."""
        return self._exchange("POST", url, body, {"Content-Type": "application/json", **(headers or {})})

    def close(self) -> None:
        """Closes every connection."""
        self._pool.clear()

    def _exchange(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        sent = {**self._headers, **headers}
        try:
            try:
                reply = self._pool.request(method, url, body=body, headers=sent, redirect=False)
            except exceptions.ProtocolError:
                # a server may close a kept connection in the very moment in which it is used again
                reply = self._pool.request(method, url, body=body, headers=sent, redirect=False)
        except exceptions.HTTPError as error:
            raise self._fault(url, error) from error
        length = reply.headers.get(LENGTH_HEADER)
        return Reply(reply.status, reply.data, int(length) if length else None)

    def _fault(self, url: str, error: exceptions.HTTPError) -> CamcountError:
        if isinstance(error, exceptions.NameResolutionError):
            return ServiceError(f"{url}: no such host: check the name")
        if isinstance(error, exceptions.NewConnectionError):
            return ServiceError(f"{url}: the server does not take connections: is it running, on that port?")
        if isinstance(error, exceptions.TimeoutError):
            return InferenceTimeout(
                f"{url} gave no answer within {self._timeout_s:g} s: raise timeout_s or look there"
            )
        if isinstance(error, exceptions.SSLError):
            return ServiceError(f"{url}: no secure connection: check its certificate, or use http://")
        return ServiceError(f"{url}: the connection broke: is this an inference server?")


def refused(url: str, reply: Reply) -> CamcountError:
    """The error for a status other than 200, in the server's own words."""
    said = words(reply.body)
    if reply.status == 404:
        return ModelNotFound(f"{url} is not there ({said}): check the model's name and version")
    if reply.status in (408, 504):
        return InferenceTimeout(f"{url} did not finish in time ({said}): try again later")
    if reply.status in (401, 403):
        return ServiceError(f"{url} lets nobody in without leave ({said}): give its token under headers")
    if reply.status in (429, 502, 503):
        return ServiceError(f"{url} is not ready ({said}): try again later")
    return ModelError(f"{url} answered {reply.status}: {said}")


def words(body: bytes) -> str:
    """What a refusing server says, on one line."""
    text = body[:2000].decode("utf-8", "replace")
    try:
        found = orjson.loads(text)
    except ValueError:
        found = None
    if isinstance(found, Mapping):
        text = str(found.get("error") or found.get("detail") or found.get("message") or text)
    return " ".join(text.split())[:200] or "no reason given"
