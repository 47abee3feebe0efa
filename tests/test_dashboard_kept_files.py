"""Which files of the pages are kept in memory."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from camcount.dashboard import kept_files
from camcount.dashboard.kept_files import KeptFiles

SCRIPT = b"let camera = 1;\n" * 1000
PLACE = "/_nicegui/3/static/a.js"
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Files:
    """An application that counts how often it is asked, behind the kept files and in front of them compression."""

    def __init__(self, headers: dict[str, str], status: int = 200) -> None:
        self.asked = 0
        self.leaves = False  # the client, before it has its answer
        self._headers, self._status = headers, status
        self._kept = KeptFiles(GZipMiddleware(self._answer))

    async def get(self, path: str, query: str = "", **headers: str) -> tuple[bytes, bytes]:
        """The body of the answer, and how it is coded."""
        told: list[Message] = []

        async def send(message: Message) -> None:
            told.append(dict(message))
            if "headers" in message:  # as the entrance does
                assert b"x-request-id" not in dict(message["headers"])
                message["headers"] = [*message["headers"], (b"x-request-id", b"1")]

        async def receive() -> Message:
            return {"type": "http.disconnect" if self.leaves else "http.request"}

        raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope: Scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": raw,
        }
        await self._kept(scope, receive, send)
        coding = dict(told[0]["headers"]).get(b"content-encoding", b"")
        return b"".join(part.get("body", b"") for part in told[1:]), coding

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        body = SCRIPT + scope["query_string"]
        if scope["query_string"] != b"parts":
            await Response(body, self._status, self._headers)(scope, receive, send)
            return

        async def parts() -> AsyncIterator[bytes]:
            for at in range(0, len(body), 1000):
                await asyncio.sleep(0)
                yield body[at : at + 1000]

        await StreamingResponse(parts(), self._status, self._headers)(scope, receive, send)


def test_what_never_changes_is_asked_for_once() -> None:
    """Once for each form: compressed and plain, and each query; every answer is whole."""
    files = Files(FOR_EVER)

    async def ask() -> None:
        for _ in range(3):
            packed, coding = await files.get(PLACE, accept_encoding="gzip, br")
            assert (gzip.decompress(packed), coding) == (SCRIPT, b"gzip")
            assert await files.get(PLACE) == (SCRIPT, b"")
            assert await files.get(PLACE, "v=2") == (SCRIPT + b"v=2", b"")

    asyncio.run(ask())
    assert files.asked == 3


def test_who_leaves_early_takes_nothing_from_others() -> None:
    """An answer ends early when its client has gone; what is kept is whole."""
    files = Files(FOR_EVER)

    async def ask() -> None:
        files.leaves = True
        await files.get(PLACE, "parts")
        files.leaves = False
        assert await files.get(PLACE, "parts") == (SCRIPT + b"parts", b"")

    asyncio.run(ask())
    assert files.asked == 1


@pytest.mark.parametrize(
    ("headers", "status", "path", "asks"),
    [
        ({}, 200, PLACE, {}),
        ({"Cache-Control": "no-cache"}, 200, PLACE, {}),
        (FOR_EVER, 404, PLACE, {}),
        (FOR_EVER, 200, "/counts", {}),
        (FOR_EVER, 200, PLACE, {"range": "bytes=0-9"}),
        (FOR_EVER, 200, PLACE, {"if_none_match": "x"}),
    ],
)
def test_everything_else_is_asked_for_each_time(
    headers: dict[str, str], status: int, path: str, asks: dict[str, str]
) -> None:
    """What may change, what is an error, pages, and parts of files."""
    files = Files(headers, status)

    async def ask() -> None:
        for _ in range(3):
            await files.get(path, **asks)

    asyncio.run(ask())
    assert files.asked == 3


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it files are answered and not kept."""
    monkeypatch.setattr(kept_files, "_MOST_BYTES", 1)
    files = Files(FOR_EVER)
    assert [asyncio.run(files.get(PLACE))[0] for _ in range(2)] == [SCRIPT] * 2
    assert files.asked == 2
