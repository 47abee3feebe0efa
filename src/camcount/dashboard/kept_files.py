"""Files of the pages that never change, compressed once and then answered from memory."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PLACES = ("/_nicegui/", "/_dashboard/")
_MOST_BYTES = 32 * 2**20


class KeptFiles:
    """An application in front of another one, whose answers it keeps where they say that they are immutable.

    A page consists of a megabyte of scripts: compressing them for every browser anew took the event loop a fifth of a
    second, in which no page was shown and no other door answered.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._kept: dict[tuple[str, bytes, bool], list[Message]] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(_PLACES):
            await self._application(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "range" in headers or "if-none-match" in headers or "if-modified-since" in headers:
            await self._application(scope, receive, send)
            return
        key = scope["path"], scope["query_string"], "gzip" in headers.get("accept-encoding", "")
        if (kept := self._kept.get(key)) is not None:
            for message in kept:
                await send(dict(message))  # whoever sends it on may add to it
            return
        given: list[Message] = []

        async def told(message: Message) -> None:
            given.append(dict(message))
            await send(message)

        await self._application(scope, receive, told)
        self._keep(key, given)

    def _keep(self, key: tuple[str, bytes, bool], given: list[Message]) -> None:
        start, *parts = given or [{"status": 0, "headers": []}]
        immutable = "immutable" in Headers(raw=list(start["headers"])).get("cache-control", "")
        size = sum(len(part.get("body", b"")) for part in parts)
        whole = bool(parts) and not parts[-1].get("more_body", False)
        if start["status"] == 200 and immutable and whole and self._bytes + size <= _MOST_BYTES:
            self._bytes += size
            self._kept[key] = [start, {"type": "http.response.body", "body": b"".join(p["body"] for p in parts)}]
