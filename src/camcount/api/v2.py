"""The Open Inference Protocol over HTTP."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from camcount.api.entrance import BODY_LIMIT
from camcount.api.errors import ClientGone, Refused, failure
from camcount.api.formats import json_answer
from camcount.api.reading import body_of, headers_of, request_id_of, trace_of, while_connected
from camcount.api.v2_body import read_body, write_reply
from camcount.api.v2_infer import Call, infer
from camcount.api.v2_models import asked
from camcount.api.v2_service import OpenInference
from camcount.api.v2_statistics import Tally
from camcount.engines.open_inference import LENGTH_HEADER
from camcount.errors import InvalidInput
from camcount.serving.dataplane import DataPlane
from camcount.video.encoded import LARGEST

Endpoint = Callable[[Request], Awaitable[Response]]

_PACKED = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}
_LONG = 256 * 1024
"""Bytes of JSON above which reading them would keep the event loop from others."""


def v2_routes(
    plane: DataPlane, tally: Tally, *, largest_body: int = BODY_LIMIT, largest_pixels: int = LARGEST
) -> list[Route]:
    """The protocol's addresses, below ``/v2``.

    Args:
        plane: what answers.
        tally: the recorder of the plane that counts for the statistics.
        largest_body: bytes of a request, unpacked.
        largest_pixels: of one picture.
    """
    door = _Door(plane, OpenInference(plane, tally), largest_body, largest_pixels)
    model = "/v2/models/{model}"
    routes: list[tuple[str, str, Endpoint]] = [
        ("GET", "/v2", door.server),
        ("GET", "/v2/health/live", door.live),
        ("GET", "/v2/health/ready", door.ready),
        ("GET", "/v2/models/stats", door.statistics),
        ("POST", "/v2/repository/index", door.index),
        ("POST", "/v2/repository/models/{model}/load", door.load),
        ("POST", "/v2/repository/models/{model}/unload", door.unload),
    ]
    for at in (model, model + "/versions/{version}"):
        routes += [
            ("GET", at, door.metadata),
            ("GET", at + "/ready", door.model_ready),
            ("GET", at + "/config", door.configuration),
            ("GET", at + "/stats", door.statistics),
            ("POST", at + "/infer", door.infer),
        ]
    known = [Route(path, _answering(endpoint), methods=[method]) for method, path, endpoint in routes]
    return [*known, Route("/v2/{rest:path}", _answering(door.nowhere), methods=["GET", "POST", "PUT", "DELETE"])]


class _Door:
    """Reads requests and writes answers."""

    def __init__(self, plane: DataPlane, service: OpenInference, largest_body: int, largest_pixels: int) -> None:
        self._plane = plane
        self._service = service
        self._largest, self._largest_pixels = largest_body, largest_pixels

    async def server(self, request: Request) -> Response:
        return json_answer(self._service.server())

    async def live(self, request: Request) -> Response:
        return json_answer({"live": True})

    async def ready(self, request: Request) -> Response:
        return _readiness({}, self._plane.ready())

    async def metadata(self, request: Request) -> Response:
        return json_answer(await self._service.metadata(*_named(request)))

    async def configuration(self, request: Request) -> Response:
        return json_answer(await self._service.configuration(*_named(request)))

    async def model_ready(self, request: Request) -> Response:
        name, version = _named(request)
        return _readiness({"name": name}, await self._service.model_ready(name, version))

    async def statistics(self, request: Request) -> Response:
        return json_answer(await self._service.statistics(*_named(request)))

    async def index(self, request: Request) -> Response:
        wanted = await self._object(request)
        return json_answer(await self._service.index(ready_only=wanted.get("ready") is True))

    async def load(self, request: Request) -> Response:
        await self._object(request)
        await self._service.load(request.path_params["model"])
        return json_answer({})

    async def unload(self, request: Request) -> Response:
        await self._object(request)
        await self._service.unload(request.path_params["model"])
        return json_answer({})

    async def infer(self, request: Request) -> Response:
        wanted = asked(*_named(request))
        content = await _content(request, self._largest)
        head_length = _head_length(request)
        if (len(content) if head_length is None else head_length) > _LONG:
            body = await asyncio.to_thread(read_body, content, head_length)
        else:
            body = read_body(content, head_length)
        call = Call(
            model=wanted,
            inputs=body.inputs,
            outputs=tuple(body.outputs),
            parameters=body.parameters,
            id=body.id,
            request_id=request_id_of(request.scope),
            trace=trace_of(headers_of(request.scope)),
        )
        work = infer(self._plane, call, largest_pixels=self._largest_pixels)
        reply = await while_connected(request.scope, request.receive, work)
        written, length = write_reply(reply, body)
        if length is None:
            return Response(written, media_type="application/json")
        return Response(written, headers={LENGTH_HEADER: str(length)}, media_type="application/octet-stream")

    async def nowhere(self, request: Request) -> Response:
        raise Refused(404, f"there is no {request.method} {request.url.path}: docs/serving-v2.md lists what there is")

    async def _object(self, request: Request) -> dict[str, Any]:
        content = await _content(request, self._largest)
        try:
            found = orjson.loads(content) if content.strip() else {}
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"the request is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise InvalidInput("the request must be a JSON object, or empty")
        return found


def _named(request: Request) -> tuple[str, str]:
    return request.path_params.get("model", ""), request.path_params.get("version", "")


def _readiness(about: dict[str, Any], ready: bool) -> Response:
    """The protocol says that the status tells, 4xx for no; its schema has ``live`` here, its text ``ready``."""
    return json_answer({**about, "ready": ready, "live": True}, 200 if ready else 400)


def _head_length(request: Request) -> int | None:
    given = request.headers.get(LENGTH_HEADER)
    if given is None:
        return None
    if not given.isascii() or not given.isdigit():
        raise InvalidInput(f"{LENGTH_HEADER} is {given!r}: write how many bytes of the body are JSON")
    return int(given)


def _answering(endpoint: Endpoint) -> Endpoint:
    """The protocol's own way to tell an error: its ``error`` is text, not an object as elsewhere."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientGone:
            raise
        except Exception as error:
            request_id = request_id_of(request.scope)
            said = failure(error, request_id)
            told = {"error": said.message, "code": said.code, "requestId": request_id}
            return Response(orjson.dumps(told), said.status.http, dict(said.headers), "application/json")

    return answer


async def _content(request: Request, largest: int) -> bytes:
    """The body, unpacked where the client packed it; how much comes in is limited by the entrance.

    Raises:
        Refused: it unfolds to more than ``largest`` bytes, or is packed in an unknown way.
    """
    given = request.headers.get("content-encoding", "identity").strip().lower()
    if given != "identity" and given not in _PACKED:
        raise Refused(415, f"the body is packed as {given!r}: send it plain, or as gzip or deflate")
    content = await body_of(request.receive)
    return content if given == "identity" else await asyncio.to_thread(_unpacked, content, _PACKED[given], largest)


def _unpacked(content: bytes, window: int, largest: int) -> bytes:
    unpacking = zlib.decompressobj(window)
    try:
        found = unpacking.decompress(content, largest + 1)
    except zlib.error as error:
        raise InvalidInput(f"the body cannot be unpacked: {error}") from None
    if len(found) > largest:
        raise Refused(413, f"the body unfolds to more than {largest} bytes: send fewer or smaller pictures")
    if not unpacking.eof:
        raise InvalidInput("the packed body is cut off: send all of it")
    return found
