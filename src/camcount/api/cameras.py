"""The calls about cameras: which there are, what they count, and what is to be counted at them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from camcount.api.errors import Refused
from camcount.api.formats import json_answer
from camcount.api.openapi import error_responses
from camcount.api.reading import body_of
from camcount.api.schemas import from_json
from camcount.cameras.cameras import Cameras
from camcount.cameras.settings import CAMERA_NAME, zone_named
from camcount.cameras.states import CameraState
from camcount.errors import InvalidInput
from camcount.server_settings import CameraEntry, ShapesEntry
from camcount.storage.counts import StoredInterval

Name = Annotated[str, Path(description="the camera's name", pattern=CAMERA_NAME)]
Step = Literal["1m", "15m", "1h", "1d"]
_CODES = ("INF_001", "SRC_001", "GEO_001", "CFG_001", "MODEL_001", "SYS_001", "SYS_002")


class Definitions(Protocol):
    """The cameras' definitions as they stand, and how to change one; changes outlive a restart."""

    entries: dict[str, CameraEntry]

    def define(self, name: str, entry: CameraEntry) -> None: ...

    def redraw(self, name: str, change: ShapesEntry) -> None: ...

    def delete(self, name: str) -> None: ...


class Counts(Protocol):
    """What was counted, from the database."""

    def intervals(
        self, *, camera_id: str | None, line: str | None, since: datetime, until: datetime, step: Step, zone: Any
    ) -> list[StoredInterval]: ...


class CameraCalls:
    """The calls, over the cameras of a server.

    Args:
        definitions: changed by calls.
    """

    def __init__(self, cameras: Cameras, counts: Counts, definitions: Definitions) -> None:
        self._cameras, self._counts, self._definitions = cameras, counts, definitions

    def router(self) -> APIRouter:
        """Their routes, described."""
        router = APIRouter(prefix="/api/v1/cameras", tags=["cameras"])
        errors, one = error_responses(_CODES, refused=(404,)), "/{name}"
        calls: list[tuple[str, str, Any, str]] = [
            ("GET", "", self.list, "All cameras"),
            ("GET", one, self.get, "One camera"),
            ("PUT", one, self.put, "Make a camera, or define it anew"),
            ("DELETE", one, self.delete, "Delete a camera; its counts stay"),
            ("PATCH", f"{one}/shapes", self.shapes, "Change lines and zones while it runs"),
            ("POST", f"{one}/start", self.start, "Start a camera"),
            ("POST", f"{one}/stop", self.stop, "Stop a camera"),
            ("GET", f"{one}/snapshot", self.snapshot, "Its picture as it is now"),
            ("GET", f"{one}/counts", self.counts, "What it counted over time"),
        ]
        for method, path, call, summary in calls:
            extra: dict[str, Any] = {}
            if call in (self.put, self.shapes):
                kind = CameraEntry if call == self.put else ShapesEntry
                schema = {"schema": kind.model_json_schema(ref_template="#/components/schemas/{model}")}
                extra = {
                    "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": schema}}}
                }
            router.add_api_route(
                path, call, methods=[method], summary=summary, responses=errors, response_class=Response, **extra
            )
        return router

    async def list(self) -> Response:
        """With state, rate, lag, coverage and totals."""
        states = await asyncio.to_thread(self._cameras.states)
        return json_answer({"cameras": [self._answer(state) for state in states]})

    async def get(self, name: Name) -> Response:
        """With its definition; secrets in its source are not shown."""
        return json_answer(self._answer(await self._state(name)))

    async def put(self, name: Name, request: Request) -> Response:
        """201 for a new one. A running camera is stopped and started with the new definition; counts go on."""
        entry = from_json(CameraEntry, await body_of(request.receive))
        known = name in self._definitions.entries
        await asyncio.to_thread(self._definitions.define, name, entry)
        return json_answer(self._answer(await self._state(name)), 200 if known else 201)

    async def delete(self, name: Name) -> Response:
        """What it counted can still be asked for."""
        await self._state(name)
        await asyncio.to_thread(self._definitions.delete, name)
        return Response(status_code=204)

    async def shapes(self, name: Name, request: Request) -> Response:
        """What is given replaces all lines, or all zones; no count is lost."""
        change = from_json(ShapesEntry, await body_of(request.receive))
        await self._state(name)
        await asyncio.to_thread(self._definitions.redraw, name, change)
        return json_answer(self._answer(await self._state(name)))

    async def start(self, name: Name) -> Response:
        """A camera that runs is left alone."""
        await self._state(name)
        await asyncio.to_thread(self._cameras.start, name)
        return json_answer(self._answer(await self._state(name)))

    async def stop(self, name: Name) -> Response:
        """What it has counted is stored first."""
        await self._state(name)
        await asyncio.to_thread(self._cameras.stop, name)
        return json_answer(self._answer(await self._state(name)))

    async def snapshot(
        self, name: Name, overlay: Annotated[bool, Query(description="with lines, boxes and counts on it")] = True
    ) -> Response:
        """A JPEG."""
        await self._state(name)
        picture = await asyncio.to_thread(self._cameras.snapshot, name, overlay=overlay)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    async def counts(
        self,
        name: Name,
        step: Annotated[Step, Query(description="how long a span is")] = "1h",
        since: Annotated[str | None, Query(description="ISO 8601 with zone; a day ago unless given")] = None,
        until: Annotated[str | None, Query(description="ISO 8601 with zone; now unless given")] = None,
        line: Annotated[str | None, Query(description="one line only")] = None,
    ) -> Response:
        """Spans on the camera's clock, with bounds and coverage; what was not seen is a gap, never zero."""
        entry = self._definitions.entries.get(name)
        end = _moment("until", until) or datetime.now(UTC)
        begin = _moment("since", since) or end - timedelta(days=1)
        zone = zone_named(entry.time_zone if entry else "UTC")
        found = await asyncio.to_thread(
            self._counts.intervals, camera_id=name, line=line, since=begin, until=end, step=step, zone=zone
        )
        return json_answer({"camera": name, "step": step, "intervals": [interval.as_dict() for interval in found]})

    async def _state(self, name: str) -> CameraState:
        for state in await asyncio.to_thread(self._cameras.states):
            if state.name == name:
                return state
        raise Refused(404, f"there is no camera {name!r}")

    def _answer(self, state: CameraState) -> dict[str, Any]:
        entry, promise = self._definitions.entries.get(state.name), state.promise
        return {
            "name": state.name,
            "source": state.source,
            "state": str(state.state),
            "reason": state.reason,
            "since": state.since.isoformat(),
            "fps": round(state.fps, 2),
            "detectedFps": round(state.detected_fps, 2),
            "promise": {"viewSeconds": round(promise.view_s, 3), "heightsPerSecond": round(promise.speed, 3)}
            if promise
            else None,
            "lagSeconds": round(state.lag_s, 3),
            "coverage": round(state.coverage, 4),
            "droppedFrames": state.dropped,
            "totals": state.totals,
            "occupancy": state.occupancy,
            "pending": state.pending,
            "lost": state.lost,
            "alarm": state.alarm,
            "connects": state.connects,
            "warnings": list(state.warnings),
            "definition": entry.as_json(shown=state.source) if entry else None,
        }


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise InvalidInput(f"{name} {text[:40]!r} is no moment: write 2026-05-04T08:00:00+02:00")
    return moment
