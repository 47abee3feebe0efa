"""Events as they are committed: pages, Server-Sent Events and a WebSocket at one address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from camcount.api.errors import failure
from camcount.api.event_document import described
from camcount.api.formats import json_answer
from camcount.api.reading import request_id_of
from camcount.delivery.cloudevents import as_cloudevent
from camcount.delivery.feed import CAPACITY, Feed, Missed, News
from camcount.delivery.log import EventLog, StoredEvent
from camcount.errors import CamcountError, InvalidInput
from camcount.events import Crossing, FlowCompleted, ZoneEntered, ZoneLeft
from camcount.storage.event_log import EventQuery

EVENTS_PATH = "/api/v1/events"
HEARTBEAT_S = 15.0
PARAMETERS = ("camera", "line", "zone", "label", "type", "after", "limit", "format")

_TYPES = tuple(kind.type for kind in (Crossing, ZoneEntered, ZoneLeft, FlowCompleted))
_PAGE, _LARGEST_PAGE, _MOST_PAGES = 100, 1000, 20
_RETRY = b"retry: 2000\n\n"


def event_router(
    log: EventLog, feed: Feed, *, heartbeat_s: float = HEARTBEAT_S, capacity: int = CAPACITY
) -> APIRouter:
    """The routes of events, described; whoever stops the server closes the feed first, which ends the streams.

    Args:
        heartbeat_s: after so long without an event a stream says that it is alive, and how far it has come.
        capacity: events that a reader may be behind before the oldest are dropped.
    """
    door, router = _Events(log, feed, heartbeat_s, capacity), APIRouter(tags=["events"])
    router.add_api_route(
        EVENTS_PATH, door.get, methods=["GET"], response_class=Response, **described(_TYPES, _PAGE, _LARGEST_PAGE)
    )
    router.routes.append(WebSocketRoute(EVENTS_PATH, door.stream))
    return router


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a client wants: empty strings are everything."""

    camera: str = ""
    line: str = ""
    zone: str = ""
    label: str = ""
    type: str = ""
    after: int | None = None
    limit: int = _PAGE

    def holds(self, stored: StoredEvent) -> bool:
        event = stored.event
        names = {"camera_id": self.camera, "line": self.line, "zone": self.zone, "label": self.label}
        return (not self.type or event.type == self.type) and all(
            not name or getattr(event, field, None) == name for field, name in names.items()
        )

    def in_log(self) -> EventQuery:
        """As far as the log can tell."""
        return {"camera_id": self.camera or None, "line": self.line or None, "label": self.label or None}


@dataclass(frozen=True, slots=True)
class _Beat:
    """Nothing came; everything up to ``number`` was looked at."""

    number: int


class _Events:
    def __init__(self, log: EventLog, feed: Feed, heartbeat_s: float, capacity: int) -> None:
        self._log, self._feed, self._heartbeat_s, self._capacity = log, feed, heartbeat_s, capacity

    async def get(self, request: Request) -> Response:
        """A page, or a stream for who accepts ``text/event-stream``."""
        form = _format_of(request)
        asked = _asked(request.query_params, request.headers.get("last-event-id", ""))
        if form == "json":
            return json_answer(await asyncio.to_thread(self._page, asked))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._lines(asked), headers=headers, media_type="text/event-stream")

    async def stream(self, websocket: WebSocket) -> None:
        """The WebSocket."""
        try:
            asked = _asked(websocket.query_params, "")
        except CamcountError as error:
            said = failure(error, request_id := request_id_of(websocket.scope))
            body = said.body(request_id)
            await websocket.send_denial_response(
                Response(body, said.status.http, dict(said.headers), "application/json")
            )
            return
        await websocket.accept()
        sending = asyncio.ensure_future(self._send(websocket, asked))
        gone = asyncio.ensure_future(_until_gone(websocket))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.gather(sending, gone, return_exceptions=True)

    async def _send(self, websocket: WebSocket, asked: _Asked) -> None:
        try:
            async for news in self._news(asked):
                await websocket.send_text(orjson.dumps(_message(news)).decode())
            await websocket.close(1001)
        except CamcountError as error:
            said = failure(error, request_id := request_id_of(websocket.scope))
            await websocket.send_text(orjson.dumps({"error": said.fields(request_id)}).decode())
            await websocket.close(1011)
        except (WebSocketDisconnect, RuntimeError):  # Starlette's words for a connection that is closed
            return

    async def _lines(self, asked: _Asked) -> AsyncIterator[bytes]:
        yield _RETRY
        async for news in self._news(asked):
            yield _event(news)

    def _page(self, asked: _Asked) -> dict[str, Any]:
        at, found = asked.after or 0, list[StoredEvent]()
        more = True
        for _ in range(_MOST_PAGES):
            events = self._log.events(after=at, limit=asked.limit, **asked.in_log())
            for stored in filter(asked.holds, events):
                if len(found) == asked.limit:
                    break
                found.append(stored)
                at = stored.number
            if len(found) == asked.limit:
                break
            at = events[-1].number if events else at
            if more := len(events) == asked.limit:
                continue
            break
        return {"events": [as_cloudevent(stored) for stored in found], "next": at, "more": more}

    async def _news(self, asked: _Asked) -> AsyncIterator[News | _Beat]:
        """What the log has after ``after``, and then what is committed, without a gap."""
        with self._feed.subscribe(capacity=self._capacity) as live:
            at = begin = await self._begin(asked.after, live.since)
            while at < live.since:
                page = await asyncio.to_thread(self._log.events, after=at, limit=500, **asked.in_log())
                for stored in page:
                    if stored.number <= live.since and asked.holds(stored):
                        yield stored
                at = page[-1].number if page else live.since
            at = max(live.since, begin)
            while not live.ended:
                coming: list[News | _Beat] = [*await live.wait(self._heartbeat_s)]
                if not coming and not live.ended:
                    coming.append(_Beat(at))
                for news in coming:
                    if isinstance(news, Missed | _Beat):
                        yield news
                        continue
                    at = max(at, news.number)
                    if news.number > begin and asked.holds(news):
                        yield news

    async def _begin(self, after: int | None, since: int) -> int:
        if after is None:
            return since
        if after > since and after > await asyncio.to_thread(self._log.last_number):
            return since  # a number of another database: there is nothing to go on from
        return after


def _format_of(request: Request) -> str:
    form = request.query_params.get("format", "")
    if form not in ("", "json", "sse"):
        raise InvalidInput(f"format is {form[:40]!r}: choose json (a page) or sse (a stream)")
    streams = "text/event-stream" in request.headers.get("accept", "")
    return form or ("sse" if streams else "json")


def _asked(query: Mapping[str, str], last_id: str) -> _Asked:
    if unknown := [name for name in query if name not in PARAMETERS]:
        raise InvalidInput(f"there is no {unknown[0][:40]!r} here: choose from {', '.join(PARAMETERS)}")
    kind = query.get("type", "").removeprefix("camcount.")
    if kind and kind not in _TYPES:
        raise InvalidInput(f"type is {kind[:40]!r}: choose from {', '.join(_TYPES)}")
    limit = _number("limit", query.get("limit", str(_PAGE)))
    if not 1 <= limit <= _LARGEST_PAGE:
        raise InvalidInput(f"limit is {limit}: write a number from 1 to {_LARGEST_PAGE}")
    after = last_id or query.get("after", "")  # who reconnects knows better than the address it began with
    names = {name: query.get(name, "") for name in ("camera", "line", "zone", "label")}
    return _Asked(**names, type=kind, after=_number("after", after) if after else None, limit=limit)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < 2**63):
        raise InvalidInput(f"{name} is {text[:40]!r}: write a whole number")
    return int(text)


def _message(news: News | _Beat) -> dict[str, Any]:
    if isinstance(news, Missed):
        return {"type": "camcount.missed", "missed": news.count, "after": news.after}
    if isinstance(news, _Beat):
        return {"type": "camcount.heartbeat", "after": news.number}
    return as_cloudevent(news)


def _event(news: News | _Beat) -> bytes:
    return b"\n".join(_fields(news)) + b"\n\n"


def _fields(news: News | _Beat) -> Iterator[bytes]:
    if isinstance(news, _Beat):
        yield b": heartbeat"
        yield b"id: %d" % news.number
        return
    if isinstance(news, Missed):
        yield b"event: missed"
    else:
        yield b"id: %d" % news.number
    yield b"data: " + orjson.dumps(_message(news))


async def _until_gone(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
