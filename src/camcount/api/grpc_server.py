"""The Open Inference Protocol over gRPC: ``inference.GRPCInferenceService``, health checks and reflection."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from camcount.api.entrance import BODY_LIMIT
from camcount.api.grpc_health import Health
from camcount.api.grpc_messages import POOL, SERVICE
from camcount.api.grpc_service import inference_service
from camcount.api.v2_service import OpenInference
from camcount.api.v2_statistics import Tally
from camcount.errors import ServiceError
from camcount.serving.dataplane import DataPlane
from camcount.video.encoded import LARGEST

_HEALTH = "grpc.health.v1.Health"


class GrpcServer:
    """A running server: ``port`` is where it listens."""

    def __init__(self, server: Any, port: int, health: Health) -> None:
        self._server = server
        self._health = health
        self.port = port

    async def stop(self, grace_s: float = 10.0) -> None:
        """Takes no more calls, says so to health checks, and calls off what is not done after ``grace_s`` seconds."""
        self._health.stopping = True
        await self._server.stop(grace_s)

    async def wait(self) -> None:
        """Returns when it has stopped."""
        await self._server.wait_for_termination()


async def start_grpc(
    plane: DataPlane,
    tally: Tally,
    host: str,
    port: int,
    *,
    largest_message: int = BODY_LIMIT,
    largest_pixels: int = LARGEST,
    tls: tuple[bytes, bytes] | None = None,
) -> GrpcServer:
    """Starts the gRPC door in the running event loop.

    Args:
        plane: what answers.
        tally: the recorder of the plane that counts for ``ModelStatistics``.
        host, port: where to listen; port 0 takes a free one.
        largest_message: bytes of one message from a client.
        largest_pixels: of one picture.
        tls: certificate chain and private key, both PEM, for an encrypted port.

    Raises:
        ServiceError: the port is taken or may not be used.
    """
    options = [
        ("grpc.max_receive_message_length", largest_message),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # a port that another server has is an error, not shared
    ]
    server = grpc.aio.server(options=options)
    health = Health(plane)
    server.add_generic_rpc_handlers((inference_service(plane, OpenInference(plane, tally), largest_pixels),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    reflection.enable_server_reflection((SERVICE, _HEALTH, reflection.SERVICE_NAME), server, pool=POOL)
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if tls is None:
            bound = server.add_insecure_port(where)
        else:
            chain, key = tls
            bound = server.add_secure_port(where, grpc.ssl_server_credentials([(key, chain)]))
    except RuntimeError as error:
        raise ServiceError(
            f"cannot listen for gRPC on {where}: is the port taken? give another --grpc-port"
        ) from error
    await server.start()
    return GrpcServer(server, bound, health)
