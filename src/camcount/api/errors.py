"""Errors as the doors tell them: one table from codes to HTTP and gRPC status, and the body that goes with it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from camcount.errors import CamcountError, InvalidInput, ResourceError

_log = logging.getLogger("camcount.api")


@dataclass(frozen=True, slots=True)
class Status:
    """One code over HTTP and over gRPC (the name of a ``grpc.StatusCode``); ``retry``: trying later may help."""

    http: int
    grpc: str
    retry: bool = False


STATUS: Mapping[str, Status] = {
    "MODEL_001": Status(404, "NOT_FOUND"),
    "MODEL_002": Status(503, "UNAVAILABLE"),
    "MODEL_003": Status(500, "INTERNAL"),
    "MODEL_004": Status(409, "FAILED_PRECONDITION"),
    "INF_001": Status(400, "INVALID_ARGUMENT"),
    "INF_002": Status(422, "INVALID_ARGUMENT"),
    "INF_003": Status(500, "INTERNAL"),
    "INF_004": Status(504, "DEADLINE_EXCEEDED"),
    "RES_001": Status(503, "RESOURCE_EXHAUSTED", retry=True),
    "RES_002": Status(503, "RESOURCE_EXHAUSTED", retry=True),
    "RES_003": Status(503, "RESOURCE_EXHAUSTED", retry=True),
    "RES_004": Status(507, "RESOURCE_EXHAUSTED"),
    "SYS_001": Status(503, "UNAVAILABLE", retry=True),
    "SYS_002": Status(503, "UNAVAILABLE", retry=True),
    "SYS_003": Status(503, "UNAVAILABLE", retry=True),
    "SYS_004": Status(503, "UNAVAILABLE", retry=True),
    "SRC_001": Status(404, "NOT_FOUND"),
    "SRC_002": Status(422, "INVALID_ARGUMENT"),
    "SRC_003": Status(504, "DEADLINE_EXCEEDED"),
    "GEO_001": Status(400, "INVALID_ARGUMENT"),
    "CFG_001": Status(400, "INVALID_ARGUMENT"),
}
"""Every code; a request refused for what HTTP itself says of it has a status of its own, see `Refused`."""

_UNKNOWN = Status(500, "INTERNAL")


class Refused(InvalidInput):
    """A request refused for its method, path, media type or length: INF_001 with an HTTP status of its own."""

    def __init__(
        self, status: int, message: str, *, grpc: str = "INVALID_ARGUMENT", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = Status(status, grpc)
        self.headers = dict(headers or {})


class InvalidFields(InvalidInput):
    """Some fields of a body cannot be used; ``details`` names each with what is wrong."""

    def __init__(self, message: str, details: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.details = details


class ClientGone(Exception):  # no error of ours: there is nobody left to tell
    """The client closed its connection before the answer was there."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One error, ready to be told: nothing in it says more than a client may know."""

    code: str
    message: str
    details: Any
    status: Status
    headers: Mapping[str, str]

    def body(self, request_id: str) -> bytes:
        """``{"error": {"code", "message", "details", "requestId"}}``."""
        return orjson.dumps({"error": self.fields(request_id)})

    def fields(self, request_id: str) -> dict[str, Any]:
        """The inner object of `body`, for answers that hold an error among others."""
        return {"code": self.code, "message": self.message, "details": self.details, "requestId": request_id}


def failure(error: BaseException, request_id: str = "") -> Failure:
    """What to tell of an error. One that camcount did not raise on purpose goes to the log, with the request's id."""
    if isinstance(error, MemoryError):
        error = ResourceError("there is too little memory for this request at the moment")
    if not isinstance(error, CamcountError):
        _log.error("request %s failed", request_id, exc_info=error, extra={"request_id": request_id})
        message = f"something went wrong in the server, its log says what under request id {request_id}"
        return Failure("SYS_001", message, None, _UNKNOWN, {})
    status = getattr(error, "status", None) or STATUS.get(error.code, _UNKNOWN)
    headers = dict(getattr(error, "headers", {}))
    wait_s = getattr(error, "retry_after_s", None)
    if status.retry or wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s or 1)))
    return Failure(error.code, str(error), getattr(error, "details", None), status, headers)
