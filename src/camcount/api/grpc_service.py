"""The calls of ``inference.GRPCInferenceService``."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from camcount.api.errors import failure
from camcount.api.grpc_calls import call_of, reply_message, values_in, written
from camcount.api.grpc_messages import RPCS, SERVICE, Rpc
from camcount.api.in_order import in_order
from camcount.api.v2_infer import infer
from camcount.api.v2_service import OpenInference
from camcount.serving.dataplane import DataPlane

Unary = Callable[[Any, Any], Awaitable[Mapping[str, Any]]]

_STREAMED = 16
"""Requests of one stream that are under way at once."""
_MANY = 100_000
"""Values given one by one, above which reading them would keep the event loop from others."""


def inference_service(plane: DataPlane, service: OpenInference, largest_pixels: int) -> Any:
    """The service, as a gRPC server takes it."""

    async def ready(request: Any, context: Any) -> Mapping[str, Any]:
        return {"ready": await service.model_ready(request.name, request.version)}

    async def statistics(request: Any, context: Any) -> Mapping[str, Any]:
        return await service.statistics(request.name, request.version)

    async def metadata(request: Any, context: Any) -> Mapping[str, Any]:
        return await service.metadata(request.name, request.version)

    async def configuration(request: Any, context: Any) -> Mapping[str, Any]:
        return {"config": await service.configuration(request.name, request.version)}

    async def index(request: Any, context: Any) -> Mapping[str, Any]:
        return {"models": await service.index(ready_only=request.ready)}

    async def load(request: Any, context: Any) -> Mapping[str, Any]:
        await service.load(request.model_name)
        return {}

    async def unload(request: Any, context: Any) -> Mapping[str, Any]:
        await service.unload(request.model_name)
        return {}

    calls: dict[str, Unary] = {
        "ServerLive": _always({"live": True}),
        "ServerReady": lambda request, context: _now({"ready": plane.ready()}),
        "ServerMetadata": _always(service.server()),
        "ModelReady": ready,
        "ModelMetadata": metadata,
        "ModelConfig": configuration,
        "ModelStatistics": statistics,
        "RepositoryIndex": index,
        "RepositoryModelLoad": load,
        "RepositoryModelUnload": unload,
    }
    handlers = {name: _unary(RPCS[name], _written(RPCS[name], call)) for name, call in calls.items()}
    single = _infer(plane, largest_pixels)
    handlers["ModelInfer"] = _unary(RPCS["ModelInfer"], single)
    handlers["ModelStreamInfer"] = _stream(RPCS["ModelStreamInfer"], single)
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _always(values: Mapping[str, Any]) -> Unary:
    return lambda request, context: _now(values)


async def _now(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return values


def _written(rpc: Rpc, call: Unary) -> Callable[[Any, Any], Awaitable[Any]]:
    async def answer(request: Any, context: Any) -> Any:
        return written(rpc.response(), await call(request, context))

    return answer


def _infer(plane: DataPlane, largest_pixels: int) -> Callable[[Any, Any], Awaitable[Any]]:
    async def answer(request: Any, context: Any) -> Any:
        metadata = _metadata(context)
        read = partial(
            call_of,
            request,
            remaining_s=context.time_remaining(),
            request_id=metadata["x-request-id"],
            trace=metadata.get("traceparent", ""),
        )
        call = await asyncio.to_thread(read) if values_in(request) > _MANY else read()
        return reply_message(await infer(plane, call, largest_pixels=largest_pixels))

    return answer


def _metadata(context: Any) -> dict[str, str]:
    """What came with the call, and a request id in any case."""
    given = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    return {"x-request-id": uuid.uuid4().hex, **given}


def _unary(rpc: Rpc, call: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    async def answer(request: Any, context: Any) -> Any:
        try:
            return await call(request, context)
        except Exception as error:
            said = failure(error, _metadata(context)["x-request-id"])
            wait = [("retry-after", said.headers["Retry-After"])] if "Retry-After" in said.headers else []
            status = grpc.StatusCode[said.status.grpc]
            await context.abort(status, said.message, (("camcount-code", said.code), *wait))

    return grpc.unary_unary_rpc_method_handler(answer, rpc.request.FromString, rpc.response.SerializeToString)


def _stream(rpc: Rpc, single: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    async def answers(requests: Any, context: Any) -> AsyncIterator[Any]:
        async def answer(request: Any) -> Any:
            try:
                return rpc.response(infer_response=await single(request, context))
            except Exception as error:
                said = failure(error, _metadata(context)["x-request-id"])
                message = rpc.response(error_message=f"{said.code}: {said.message}")
                message.infer_response.id = request.id
                return message

        async with aclosing(in_order(aiter(requests), answer, _STREAMED)) as found:
            async for message in found:
                yield message

    return grpc.stream_stream_rpc_method_handler(answers, rpc.request.FromString, rpc.response.SerializeToString)
