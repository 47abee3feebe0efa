"""What a request brings: its headers, its query, its body, and its end when the client goes."""

from __future__ import annotations

import asyncio
import binascii
import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from camcount.api.errors import ClientGone, Refused
from camcount.api.schemas import NO_QUERY, Query, from_strings
from camcount.errors import InvalidInput
from camcount.models.references import registry_reference

T = TypeVar("T")

PICTURE_TYPES = frozenset(
    {b"image/jpeg", b"image/jpg", b"image/png", b"image/webp", b"image/bmp", b"application/octet-stream", b"image/*"}
)
JSON_TYPE = b"application/json"
LEAVERS = "camcount.leavers"
"""In the ``extensions`` of a request's scope: functions as keys, called when its client goes away."""
_BODY_S = 60.0
_REMEMBERED_BYTES = 200


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers by their names in small letters; of several of one name the last."""
    return dict(scope["headers"])


def media_type(headers: dict[bytes, bytes]) -> bytes:
    """The media type of the body without its parameters; empty where none is said."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower()


def query_of(scope: Scope) -> Query:
    """The query of an inference.

    Raises:
        InvalidFields: an option is unknown or out of its range.
        InvalidInput: an option is given twice.
    """
    text: bytes = scope["query_string"]
    return _query(text) if len(text) <= _REMEMBERED_BYTES else _query.__wrapped__(text)


@lru_cache(maxsize=256)
def _query(text: bytes) -> Query:
    """Remembered, because a client says the same every time, and reading it took a fifth of all reading."""
    if not text:
        return NO_QUERY
    try:
        pairs = parse_qsl(text.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise InvalidInput("the query cannot be read: write ?confidenceThreshold=0.5&maxDetections=10") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise InvalidInput("an option stands twice in the query: give each once")
    return from_strings(Query, values)


def model_of(scope: Scope) -> str:
    """The model that the address names: ``name``, ``name:version`` or ``name@alias``, never a path.

    Raises:
        ModelNotFound, ModelVersionMismatch, UsageError: it is none of them.
    """
    return registry_reference(scope["path_params"]["model_id"]).text


async def body_of(receive: Receive) -> bytes:
    """The whole body.

    Raises:
        ClientGone: the client went away in the middle of it.
        Refused: 413, from the entrance, if it is too long; 408 if it does not come within a minute.
    """
    try:
        async with asyncio.timeout(_BODY_S):
            return await _whole(receive)
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_BODY_S:g} s", headers={"Connection": "close"}) from None


async def _whole(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)
    raise ClientGone


def picture_in(text: str) -> bytes:
    """The picture's file in base64 text, also in the form of a ``data:`` address and in the alphabet for addresses.

    Raises:
        InvalidInput: it is no base64.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        coded = text.encode("ascii")
        if b"-" in coded or b"_" in coded:
            coded = coded.replace(b"-", b"+").replace(b"_", b"/")
        return binascii.a2b_base64(coded + b"=" * (-len(coded) % 4), strict_mode=bool(coded))
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidInput("the image is no base64: send the file's bytes in base64, or as the body itself") from None


def wrong_type(kind: bytes, expected: str) -> Refused:
    """What to say of a body of a media type that is not read here."""
    shown = kind.decode("latin-1")[:100] or "no media type"
    return Refused(415, f"a body of {shown} is not read here: send {expected}")


async def while_connected(scope: Scope, receive: Receive, work: Awaitable[T]) -> T:
    """Waits for ``work`` and cancels it when the client goes away; the body must have been read.

    A server that has ``extensions`` with `LEAVERS` in its scope, as `camcount serve` does, calls what is in there
    when the client goes; of another one it is learned by a task that waits for its next message.

    Raises:
        ClientGone: it went away.
    """
    waiting = asyncio.current_task()
    assert waiting is not None
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        waiting.cancel()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        leave()

    leavers: dict[Callable[[], None], None] | None = scope.get("extensions", {}).get(LEAVERS)
    unwatch: Callable[[], object]
    if leavers is None:
        unwatch = asyncio.get_running_loop().create_task(watch()).cancel
    else:
        leavers[leave] = None
        unwatch = partial(leavers.pop, leave, None)
    try:
        return await work
    except asyncio.CancelledError:
        if gone:
            waiting.uncancel()
            raise ClientGone from None
        raise
    finally:
        unwatch()


def now_ms() -> float:
    """Milliseconds of a clock that only goes forward."""
    return time.perf_counter() * 1000


def trace_of(headers: dict[bytes, bytes]) -> str:
    """The W3C trace that a request belongs to; empty where it says none."""
    return headers.get(b"traceparent", b"").decode("latin-1")[:200]


def request_id_of(scope: Scope) -> str:
    """The id under which the entrance let this request in."""
    found: Any = scope.get("request_id", "")
    return str(found)
