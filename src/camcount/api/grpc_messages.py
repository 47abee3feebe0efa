"""The messages and calls of ``inference.proto``, ready to use.

They live in a descriptor pool of their own: Triton's client registers the same names in the common pool, and a
process may hold both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

SERVICE = "inference.GRPCInferenceService"
"""The service's full name."""

POOL = descriptor_pool.DescriptorPool()
"""Describes everything that the server offers, for reflection."""


def _fill() -> None:
    compiled = files("camcount.api").joinpath("inference.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled).file:
        POOL.Add(file)
    for module in (health_pb2, reflection_pb2):
        POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)


_fill()


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call of the service: its messages' classes, and whether either side sends a stream."""

    name: str
    request: Any
    response: Any
    streams: bool


def _rpcs() -> Iterator[Rpc]:
    for method in POOL.FindServiceByName(SERVICE).methods:
        yield Rpc(
            method.name,
            message_factory.GetMessageClass(method.input_type),
            message_factory.GetMessageClass(method.output_type),
            method.client_streaming,
        )


RPCS: Mapping[str, Rpc] = {rpc.name: rpc for rpc in _rpcs()}
"""Every call by its name."""
