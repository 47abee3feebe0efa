"""The WebSocket over which a page gets the pictures that are in sight, all over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from contextlib import suppress
from urllib.parse import urlsplit

import orjson
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from camcount.dashboard.pictures import WIDTHS, Key, Pictures

PATH = "/_dashboard/pictures"
_MOST = 64
_NOT_OURS, _NOT_UNDERSTOOD = 1008, 1007


def pictures_route(pictures: Pictures, known: Container[str]) -> WebSocketRoute:
    """The route; ``known`` are the cameras' names as they stand.

    The browser sends ``[["gate", 640], …]``, all that it wants to see from now on, whenever that changes. It is sent
    binary messages: a byte with the length of the camera's name, the name, a JPEG. What it takes too slowly is left
    out, never queued.
    """

    async def endpoint(socket: WebSocket) -> None:
        if not _is_ours(socket):
            await socket.close(_NOT_OURS)
            return
        await socket.accept()
        with suppress(WebSocketDisconnect):
            await _serve(pictures, socket, known)

    return WebSocketRoute(PATH, endpoint)


async def _serve(pictures: Pictures, socket: WebSocket, known: Container[str]) -> None:
    """Sends what was asked for last, until the next wish comes."""
    wishes = asyncio.create_task(socket.receive_text())
    sending: asyncio.Task[None] | None = None
    try:
        while True:
            await asyncio.wait({wishes, sending} if sending else {wishes}, return_when=asyncio.FIRST_COMPLETED)
            if sending is not None and sending.done():
                sending.result()
                return
            wish = _read(wishes.result(), known)
            if wish is None:
                await socket.close(_NOT_UNDERSTOOD)
                return
            await _ended(sending)
            sending = asyncio.create_task(_send(pictures, socket, wish))
            wishes = asyncio.create_task(socket.receive_text())
    finally:
        wishes.cancel()
        await _ended(sending)


async def _send(pictures: Pictures, socket: WebSocket, wish: list[Key]) -> None:
    seen = dict.fromkeys(wish, 0)
    with pictures.watching(wish):
        while True:
            for (camera, _), picture in await pictures.news(seen):
                name = camera.encode()
                await socket.send_bytes(bytes([len(name)]) + name + picture)


async def _ended(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await task


def _read(text: str, known: Container[str]) -> list[Key] | None:
    """The cameras that there are, of those wished for; None where it is no wish."""
    try:
        wishes = [(str(name), int(width)) for name, width in orjson.loads(text)][:_MOST]
    except (ValueError, TypeError):
        return None
    return [
        (name, next((width for width in WIDTHS if width >= wanted), WIDTHS[-1]))
        for name, wanted in wishes
        if name in known
    ]


def _is_ours(socket: WebSocket) -> bool:
    """Whether it is our own page that asks: a page of anybody else must not see the cameras of whoever opens it."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host", "")
