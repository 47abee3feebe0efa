"""A model behind gRPC that speaks the Open Inference Protocol, with the stubs of Triton's client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

from camcount.engines.open_inference import CONTENTS, DATATYPES, datatype, tensors
from camcount.engines.tensors import Array, one_line
from camcount.errors import (
    CamcountError,
    InferenceTimeout,
    ModelError,
    ModelLoadFailed,
    ModelNotFound,
    ServiceError,
    UsageError,
)
from camcount.protocols import TensorInfo

_ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class OpenInferenceGrpc:
    """One model of a server that speaks the Open Inference Protocol over gRPC.

    Args:
        url: ``grpc://host:port/name`` or ``grpcs://…`` (encrypted), with or without ``/versions/1``.
        timeout_s: how long to wait for an answer.
        headers: sent with every request, such as ``authorization``.

    Raises:
        ModelNotFound: the server has no such model.
        ServiceError: there is no server.
        UsageError: the address has no port or no name.
    """

    def __init__(self, url: str, *, timeout_s: float, headers: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._headers = [(name.lower(), value) for name, value in (headers or {}).items()]
        target, self._name, self._version = _parts(url)
        secure = url.startswith("grpcs")
        self._channel = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials(), _ANY_SIZE)
            if secure
            else grpc.insecure_channel(target, _ANY_SIZE)
        )
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        try:
            metadata = self._call(
                self._stub.ModelMetadata,
                service_pb2.ModelMetadataRequest(name=self._name, version=self._version),
            )
            self.inputs: Mapping[str, TensorInfo] = _described(metadata.inputs)
            self.outputs: Mapping[str, TensorInfo] = _described(metadata.outputs)
        except ValueError as error:
            self.close()
            raise ModelLoadFailed(f"{url} describes its model in a way that cannot be used: {error}") from error
        except CamcountError:
            self.close()
            raise

    def infer(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs of those names."""
        request = service_pb2.ModelInferRequest(model_name=self._name, model_version=self._version)
        request.outputs.extend(
            service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs
        )
        try:
            for name, array in feeds.items():
                request.inputs.add(name=name, datatype=datatype(array), shape=array.shape)
                request.raw_input_contents.append(array.tobytes())
            reply = self._call(self._stub.ModelInfer, request)
            return _arrays(reply, outputs)
        except (KeyError, ValueError) as error:
            raise ModelError(f"{self._url}: tensors that cannot be used: {error}") from error

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_s, metadata=self._headers)
        except grpc.RpcError as error:
            raise self._fault(error) from error

    def _fault(self, error: Any) -> CamcountError:
        said = " ".join(str(error.details()).split())[:200]
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                return ServiceError(
                    f"{self._url}: the server does not take connections: is it running, on that port?"
                )
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return InferenceTimeout(
                    f"{self._url} gave no answer within {self._timeout_s:g} s: raise timeout_s or look there"
                )
            case grpc.StatusCode.NOT_FOUND:
                return ModelNotFound(f"{self._url} is not there ({said}): check the model's name and version")
            case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
                return ServiceError(
                    f"{self._url} lets nobody in without leave ({said}): give its token under headers"
                )
            case grpc.StatusCode.UNIMPLEMENTED:
                return ServiceError(
                    f"{self._url} does not speak the Open Inference Protocol: is the port its gRPC port?"
                )
            case code:
                return ModelError(f"{self._url} answered {code.name}: {said or one_line(error)}")


def _parts(url: str) -> tuple[str, str, str]:
    """Host and port, the model's name, its version or nothing."""
    wanted = UsageError(f"{url} names no model: write grpc://host:port/name or grpc://host:port/name/versions/1")
    try:
        parts = urlsplit(url)
        usable = parts.hostname is not None and parts.port is not None
    except ValueError as error:
        raise wanted from error
    name, _, version = parts.path.strip("/").removeprefix("v2/models/").partition("/versions/")
    if not usable or not name or "/" in name:
        raise wanted
    return parts.netloc, name, version.strip("/")


def _described(entries: Any) -> dict[str, TensorInfo]:
    return tensors([{"name": e.name, "datatype": e.datatype, "shape": list(e.shape)} for e in entries])


def _arrays(reply: Any, outputs: Sequence[str]) -> list[Array]:
    found: dict[str, Array] = {}
    for number, entry in enumerate(reply.outputs):
        dtype = DATATYPES[entry.datatype]
        if reply.raw_output_contents:
            flat = np.frombuffer(bytearray(reply.raw_output_contents[number]), dtype)
        else:
            flat = np.array(getattr(entry.contents, CONTENTS[entry.datatype]), dtype)
        found[entry.name] = flat.reshape(list(entry.shape))
    return [found[name] for name in outputs or found]
