"""Files of the pages that never change, compressed once and then answered from memory."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from camcount.dashboard.assets import PLACE

_THEIRS, _OURS = "/_nicegui/", f"{PLACE}/"
_MOST_BYTES = 32 * 2**20
_Key = tuple[str, bytes, bool]


class KeptFiles:
    """An application in front of another one, whose answers it keeps where they say that they are immutable.

    A page consists of a megabyte of scripts: compressing them for every browser anew took the event loop a fifth of a
    second, in which no page was shown and no other door answered.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._kept: dict[_Key, list[Message]] = {}
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _may_be_kept(scope):
            await self._application(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "range" in headers or "if-none-match" in headers or "if-modified-since" in headers:
            await self._application(scope, receive, send)
            return
        key = scope["path"], scope["query_string"], "gzip" in headers.get("accept-encoding", "")
        if (answer := self._kept.get(key)) is None:
            answer = await self._asked(scope)
            self._keep(key, answer)
        for message in answer:
            await send(dict(message))  # whoever sends it on may add to it

    async def _asked(self, scope: Scope) -> list[Message]:
        """The application's whole answer. It hears nothing of a client that leaves: it would end its answer early."""
        answer: list[Message] = []

        async def told(message: Message) -> None:
            answer.append(message)

        asked = False

        async def never_gone() -> Message:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._application(scope, never_gone, told)
        return answer

    def _keep(self, key: _Key, answer: list[Message]) -> None:
        start, *parts = answer
        headers = Headers(raw=list(start["headers"]))
        body = b"".join(part.get("body", b"") for part in parts)
        whole = int(headers.get("content-length", len(body))) == len(body)
        immutable = "immutable" in headers.get("cache-control", "") or key[0].startswith(_OURS)
        if start["status"] == 200 and immutable and whole and self._bytes + len(body) <= _MOST_BYTES:
            self._bytes += len(body)
            self._kept[key] = [start, {"type": "http.response.body", "body": body}]


def _may_be_kept(scope: Scope) -> bool:
    """Of our own, what `assets.linked` names: its address changes with its content."""
    path: str = scope["path"]
    return path.startswith(_THEIRS) or (path.startswith(_OURS) and scope["query_string"].startswith(b"v="))
