"""What every HTTP request passes first: its id, the limit of its body, its errors, its line in the access log."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from camcount.api.answers import new_id
from camcount.api.errors import ClientGone, Failure, InvalidFields, Refused, failure

_access = logging.getLogger("camcount.access")
_log = logging.getLogger("camcount.api")

BODY_LIMIT = 20 * 2**20
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
_DRAINED_BYTES = 256 * 2**20
_DRAINED_S = 10.0


class Entrance:
    """An ASGI application before another one.

    - A request keeps its ``X-Request-Id``, or is given one; the answer carries it.
    - A body beyond ``body_limit`` bytes, or what ``larger`` gives for the beginning of its path, is refused with 413
      that the client can read: what it still sends is taken and thrown away for a while before the connection is
      closed: closing at once would make it lose the answer.
    - Every exception becomes the one form of error, and never a traceback.
    """

    def __init__(
        self, app: ASGIApp, *, body_limit: int = BODY_LIMIT, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._body_limit, self._larger = body_limit, tuple((larger or {}).items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets one request in; WebSockets and the life of the server pass through with an id."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        scope["request_id"] = _request_id(headers)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send, self._limit(scope["path"]))
        try:
            visit.check_length(headers)
            await self._app(scope, visit.receive, visit.send)
        except ClientGone:
            visit.status = 499  # nobody sees it but the log
        except Exception as error:
            await visit.fail(error)
        finally:
            visit.note()

    def _limit(self, path: str) -> int:
        return next((limit for begin, limit in self._larger if path.startswith(begin)), self._body_limit)


class _Visit:
    """One request on its way."""

    __slots__ = ("_limit", "_pending", "_receive", "_scope", "_send", "_started", "_taken", "status")

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self._scope, self._receive, self._send, self._limit = scope, receive, send, limit
        self._started = time.perf_counter()
        self._pending = True
        self._taken = 0
        self.status = 0

    def check_length(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuses a body that says beforehand that it is too long."""
        stated = headers.get(b"content-length", b"")
        if stated.isdigit() and int(stated) > self._limit:
            raise self._too_long()

    async def receive(self) -> Message:
        """Counts what comes, for not every body says beforehand how long it is."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._pending = message.get("more_body", False)
            self._taken += len(message.get("body", b""))
            if self._taken > self._limit:
                raise self._too_long()
        else:
            self._pending = False
        return message

    async def send(self, message: Message) -> None:
        """Adds the request's id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._scope["request_id"].encode())]
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answers with an error, if nothing was answered yet."""
        told = failure(_from_http(error), self._scope["request_id"])
        if self.status:
            _log.error("request %s failed after its answer had begun", self._scope["request_id"], exc_info=error)
            raise error
        body = told.body(self._scope["request_id"])
        await self.send({"type": "http.response.start", "status": told.status.http, "headers": _headers(told, body)})
        await self.send({"type": "http.response.body", "body": body, "more_body": True})
        await self._drain()
        await self.send({"type": "http.response.body", "body": b""})

    async def _drain(self) -> None:
        """Takes what the client still sends, within limits: it reads no answer before it has sent all."""
        taken = 0
        try:
            async with asyncio.timeout(_DRAINED_S):
                while self._pending and taken < _DRAINED_BYTES:
                    message = await self._receive()
                    taken += len(message.get("body", b""))
                    self._pending = message["type"] == "http.request" and message.get("more_body", False)
        except TimeoutError:
            pass

    def note(self) -> None:
        """Writes the line of the access log: of every request at DEBUG, of what went wrong at INFO.

        A line costs a tenth of what a small model does, and the metrics count all requests anyway.
        """
        level = logging.INFO if self.status >= 400 else logging.DEBUG
        if not _access.isEnabledFor(level):
            return
        scope, took = self._scope, time.perf_counter() - self._started
        path = scope.get("raw_path", b"").decode("latin-1")
        fields: dict[str, Any] = {
            "request_id": scope["request_id"],
            "method": scope["method"],
            "path": path,
            "status": self.status,
            "duration_s": round(took, 6),
            "body_bytes": self._taken,
            "client": (scope.get("client") or ("",))[0],
        }
        _access.log(level, "%s %s %d in %.1f ms", scope["method"], path, self.status, took * 1000, extra=fields)

    def _too_long(self) -> Refused:
        limit = f"{self._limit / 2**20:g} MiB" if self._limit >= 2**20 else f"{self._limit} bytes"
        return Refused(
            413,
            f"the body is longer than {limit}: send smaller or more strongly compressed pictures, or fewer at once",
            grpc="RESOURCE_EXHAUSTED",
            headers={"Connection": "close"},
        )


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.match(given):
        return given.decode()
    return new_id()


def _from_http(error: Exception) -> Exception:
    """The router's own refusals in our form."""
    if isinstance(error, RequestValidationError):
        details = [{"field": str(problem["loc"][-1]), "problem": str(problem["msg"])} for problem in error.errors()]
        return InvalidFields(f"{details[0]['field']}: {details[0]['problem']}", details)
    if not isinstance(error, HTTPException):
        return error
    message = {404: "there is no such address: GET /docs lists all", 405: "there is no such method at this address"}
    return Refused(error.status_code, message.get(error.status_code, str(error.detail)), headers=error.headers)


def _headers(told: Failure, body: bytes) -> list[tuple[bytes, bytes]]:
    own = [(name.lower().encode(), value.encode()) for name, value in told.headers.items()]
    return [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *own]
