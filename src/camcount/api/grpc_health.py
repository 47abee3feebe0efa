"""The standard gRPC health check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from camcount.api.grpc_messages import SERVICE
from camcount.serving.dataplane import DataPlane

_WATCH_S = 0.5


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # it has no types
    """The standard health check: serving while every model that should be loaded is."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane
        self.stopping = False

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 (gRPC's name)
        """The state now."""
        status = self._status(request.service)
        if status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service!r}")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 (gRPC's name)
        """The state now and whenever it changes."""
        last = None
        while not (self.stopping and last == health_pb2.HealthCheckResponse.NOT_SERVING):
            status = self._status(request.service)
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            await asyncio.sleep(_WATCH_S)

    def _status(self, service: str) -> Any:
        states = health_pb2.HealthCheckResponse
        if service not in ("", SERVICE):
            return states.SERVICE_UNKNOWN
        return states.SERVING if self._plane.ready() and not self.stopping else states.NOT_SERVING
