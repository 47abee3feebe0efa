"""Pictures in and detections out over one WebSocket, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from camcount.api.answers import detection_answers
from camcount.api.errors import failure
from camcount.api.reading import headers_of, model_of, request_id_of, trace_of
from camcount.api.schemas import Options, from_json, from_strings
from camcount.errors import CamcountError, InvalidInput
from camcount.protocols import Thresholds
from camcount.serving.dataplane import DataPlane
from camcount.serving.requests import Answer, DetectionRequest
from camcount.video.encoded import LARGEST, picture_frame

MOST_IN_FLIGHT = 16
_UNSENT = 64
"""Answers that a client may leave unread before no more pictures are read."""


def stream_routes(plane: DataPlane, *, largest_pixels: int = LARGEST) -> list[WebSocketRoute]:
    """The address of picture streams; a picture may have so many pixels."""

    async def stream(websocket: WebSocket) -> None:
        request_id = request_id_of(websocket.scope)
        try:
            session = await _opened(plane, websocket, request_id, largest_pixels)
        except CamcountError as error:
            said = failure(error, request_id)
            await websocket.send_denial_response(
                Response(said.body(request_id), said.status.http, dict(said.headers), "application/json")
            )
            return
        await websocket.accept()
        await session.run()

    return [WebSocketRoute("/api/v1/models/{model_id}/stream", stream)]


async def _opened(plane: DataPlane, websocket: WebSocket, request_id: str, largest_pixels: int) -> _Session:
    query = dict(websocket.query_params)
    limits = _Limits(_in_flight(query.pop("inFlight", "4")), query.pop("drop", "none"), largest_pixels)
    if limits.drop not in ("none", "oldest"):
        raise InvalidInput(f"drop is {limits.drop!r}: choose none (the client waits) or oldest")
    options = _json_only(from_strings(Options, query))
    reference = model_of(websocket.scope)
    await asyncio.to_thread(plane.model, reference)
    trace = trace_of(headers_of(websocket.scope))
    return _Session(plane, websocket, reference, limits, options.thresholds, request_id, trace)


def _in_flight(given: str) -> int:
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MOST_IN_FLIGHT):
        raise InvalidInput(f"inFlight is {given!r}: write a whole number from 1 to {MOST_IN_FLIGHT}")
    return int(given)


@dataclass(frozen=True, slots=True)
class _Limits:
    in_flight: int
    drop: str
    pixels: int


@dataclass(slots=True)
class _Picture:
    """One picture on its way: ``told`` gets what the client is answered."""

    number: int
    content: bytes
    thresholds: Thresholds
    told: asyncio.Future[Mapping[str, Any]]


class _Session:
    """One connection.

    At most ``in_flight`` pictures are in work. One more may wait; with ``drop=oldest`` the next picture takes its
    place, with ``drop=none`` nothing is read until there is room, so that the client's sending comes to a halt.
    Everything that is answered goes out in the order of what came in.
    """

    def __init__(
        self,
        plane: DataPlane,
        websocket: WebSocket,
        reference: str,
        limits: _Limits,
        thresholds: Thresholds,
        request_id: str,
        trace: str,
    ) -> None:
        self._plane, self._websocket, self._reference = plane, websocket, reference
        self._limits, self._thresholds = limits, thresholds
        self._request_id, self._trace = request_id, trace
        self._frames = 0
        self._waiting: deque[_Picture] = deque()
        self._working: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._answers: asyncio.Queue[asyncio.Future[Mapping[str, Any]]] = asyncio.Queue(_UNSENT)

    async def run(self) -> None:
        """Until either side closes; what is queued then is called off."""
        sending = asyncio.ensure_future(self._send())
        reading = asyncio.ensure_future(self._read())
        try:
            ended, _ = await asyncio.wait((sending, reading), return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in (sending, reading, *self._working):
                task.cancel()
            await asyncio.gather(sending, reading, *self._working, return_exceptions=True)

    async def _send(self) -> None:
        try:
            while True:
                told = await (await self._answers.get())
                await self._websocket.send_text(orjson.dumps(told).decode())
        except (WebSocketDisconnect, RuntimeError):  # Starlette's words for a connection that is closed
            return

    async def _read(self) -> None:
        while (message := await self._websocket.receive())["type"] == "websocket.receive":
            told: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
            await self._answers.put(told)
            if message.get("bytes") is not None:
                await self._take(_Picture(self._frames, message["bytes"], self._thresholds, told))
                self._frames += 1
            else:
                told.set_result(self._changed(message["text"]))

    async def _take(self, picture: _Picture) -> None:
        self._waiting.append(picture)
        self._start()
        if self._limits.drop == "oldest":
            while len(self._waiting) > 1:
                oldest = self._waiting.popleft()
                oldest.told.set_result({"frame": oldest.number, "dropped": True})
        while self._limits.drop == "none" and self._waiting:
            self._room.clear()
            await self._room.wait()

    def _start(self) -> None:
        """Sets to work what waits, as far as there is room."""
        while self._waiting and len(self._working) < self._limits.in_flight:
            task = asyncio.ensure_future(self._work(self._waiting.popleft()))
            self._working.add(task)
            task.add_done_callback(self._done)
        self._room.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            self._start()

    async def _work(self, picture: _Picture) -> None:
        request_id = f"{self._request_id}-{picture.number}"
        try:
            request = DetectionRequest(
                model=self._reference,
                frame=picture_frame(picture.content, largest_pixels=self._limits.pixels),
                content=picture.content,
                thresholds=picture.thresholds,
                door="websocket",
                request_id=request_id,
                trace=self._trace,
            )
            told = _found(await self._plane.infer(request))
        except Exception as error:
            told = {"error": failure(error, request_id).fields(request_id)}
        picture.told.set_result({"frame": picture.number, **told})

    def _changed(self, text: str) -> Mapping[str, Any]:
        """Takes new options for the pictures that follow, and says which hold now."""
        try:
            options = _options(text)
        except CamcountError as error:
            return {"error": failure(error, self._request_id).fields(self._request_id)}
        self._thresholds = options.thresholds
        return {"options": options.model_dump(by_alias=True, exclude={"output_format"})}


def _options(text: str) -> Options:
    try:
        options = orjson.loads(text)["options"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InvalidInput('a text message must be {"options": {…}}; pictures go in binary messages') from None
    return _json_only(from_json(Options, orjson.dumps(options)))


def _json_only(options: Options) -> Options:
    if options.output_format not in (None, "json"):
        raise InvalidInput(f"outputFormat is {options.output_format}: a stream answers in json")
    return options


def _found(answer: Answer) -> dict[str, Any]:
    told = {
        "modelId": answer.model,
        "version": answer.version,
        "detections": detection_answers(answer.detections),
        "processingTime": round(answer.total_s * 1000, 3),
        "cached": answer.cached,
    }
    return {**told, "fallback": answer.fallback} if answer.fallback else told
