"""Runs a model that another server has loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from camcount.engines.remote_http import Channel
from camcount.engines.remote_open_inference import OpenInferenceHttp
from camcount.engines.remote_plain import Body, PlainHttp
from camcount.engines.remote_tfserving import TensorFlowServing
from camcount.engines.tensors import Array, checked, described, owned
from camcount.errors import ModelError, UsageError
from camcount.protocols import TensorInfo


class _Server(Protocol):
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]

    def infer(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]: ...
    def close(self) -> None: ...


class RemoteEngine:
    """A model of an inference server, whatever runs it there. The address says which protocol is spoken:

    - ``http://host:8000/v2/models/name`` (or ``/v2/models/name/versions/1``): the Open Inference Protocol over HTTP,
      as Triton, KServe, MLServer, OpenVINO Model Server and TorchServe speak it;
    - ``grpc://host:8001/name`` (``grpcs://`` encrypted): the same over gRPC, and the faster one where tensors would
      go as JSON over HTTP (MLServer);
    - ``http://host:8501/v1/models/name:predict``: TensorFlow Serving;
    - any other ``http://`` or ``https://`` address: plain HTTP, for BentoML, Ray Serve and one's own
      (see `PlainHttp`).

    Args:
        url: the address.
        timeout_s: how long to wait for an answer.
        inputs, outputs: what the model takes and gives, for servers that do not say (see
            `camcount.engines.tensors.described`).
        headers: sent with every request, such as ``Authorization``.
        binary: whether tensors go in binary over HTTP; found out unless given.
        body: how plain HTTP sends tensors: ``json``, ``npy`` or ``png``.
        signature: TensorFlow Serving's function to call.

    Raises:
        ModelNotFound: the server has no such model.
        ServiceError: there is no server, or it is not ready.
        InferenceTimeout: the server did not answer, here or in `run`.
        UsageError: the address or the options cannot be used.
    """

    concurrency = 0

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 10.0,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        binary: bool | None = None,
        body: Body = "json",
        signature: str = "serving_default",
    ) -> None:
        self.url = _address(url)
        given, giving = described(inputs, "inputs"), described(outputs, "outputs")
        if self.url.startswith("grpc"):
            # gRPC and its stubs take their time to import, and plain HTTP needs neither
            from camcount.engines.remote_grpc import OpenInferenceGrpc

            server: _Server = OpenInferenceGrpc(self.url, timeout_s=timeout_s, headers=headers)
        else:
            channel = Channel(timeout_s, headers)
            server = _http(self.url, channel, given, giving, binary, body, signature)
        self._server: _Server | None = server
        self.inputs: Mapping[str, TensorInfo] = given or server.inputs
        self.outputs: Mapping[str, TensorInfo] = giving or server.outputs
        if not self.inputs or not self.outputs:
            self.close()
            raise UsageError(f"{self.url} does not say what its model takes and gives: describe inputs and outputs")

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """All outputs, in the order of `outputs`.

        Raises:
            ModelError: the model failed there, or takes other tensors.
            ServiceError: the server is gone or not ready.
            InferenceTimeout: it gave no answer in time.
        """
        arrays = checked(feeds, self.inputs, self.url)
        server = self._server
        if server is None:
            raise ModelError(f"{self.url} was closed: connect again")
        found = server.infer(dict(zip(self.inputs, arrays, strict=True)), list(self.outputs))
        return [owned(array) for array in found]

    def close(self) -> None:
        """Closes the connections; the model stays loaded there."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


def _address(url: str) -> str:
    # a path in a manifest loses one of the two slashes
    found = re.fullmatch(r"(https?|grpcs?):/+(.+)", str(url))
    if found is None:
        raise UsageError(
            f"{str(url)!r} is no address of an inference server: it starts with http://, https:// or grpc://"
        )
    return f"{found[1]}://{found[2]}"


def _http(
    url: str,
    channel: Channel,
    inputs: Mapping[str, TensorInfo],
    outputs: Mapping[str, TensorInfo],
    binary: bool | None,
    body: Body,
    signature: str,
) -> _Server:
    if "/v2/models/" in url:
        return OpenInferenceHttp(url, channel, binary=binary)
    if re.search(r"/v1/models/[^/]+(/versions/\d+)?(:predict)?/?$", url):
        return TensorFlowServing(url, channel, signature=signature)
    return PlainHttp(url, channel, inputs=inputs, outputs=outputs, body=body)
