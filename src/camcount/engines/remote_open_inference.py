"""A model behind HTTP that speaks the Open Inference Protocol (KServe V2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from camcount.engines.open_inference import LENGTH_HEADER, read_response, tensors, write_request
from camcount.engines.remote_http import Channel, Reply, refused, words
from camcount.engines.tensors import Array
from camcount.errors import CamcountError, ModelError, ModelLoadFailed, ModelNotFound
from camcount.protocols import TensorInfo


class OpenInferenceHttp:
    """One model of a server that speaks the Open Inference Protocol over HTTP.

    Tensors go in binary where the server takes them so, which not all do (MLServer does not): what it lists among its
    extensions decides, and else the first request.

    Args:
        url: ``http://host:port/v2/models/name`` with or without ``/versions/1``.
        binary: whether to send tensors in binary; found out unless given.

    Raises:
        ModelNotFound: the server has no such model.
        ServiceError: there is no server.
    """

    def __init__(self, url: str, channel: Channel, *, binary: bool | None = None) -> None:
        self._url = url.removesuffix("/infer").rstrip("/")
        self._channel = channel
        reply = channel.get(self._url)
        if reply.status != 200:
            raise _no_model(self._url, reply)
        metadata = reply.json(self._url)
        try:
            self.inputs: Mapping[str, TensorInfo] = tensors(metadata.get("inputs") or ())
            self.outputs: Mapping[str, TensorInfo] = tensors(metadata.get("outputs") or ())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelLoadFailed(f"{self._url} describes its model in a way that cannot be used: {error}") from error
        self._binary = binary if binary is not None else self._lists_binary()

    def infer(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs of those names."""
        reply = self._ask(feeds, outputs, binary=self._binary is not False)
        if reply.status != 200 and self._binary is None:
            reply = self._ask(feeds, outputs, binary=False)
            self._binary = False if reply.status == 200 else None
        elif reply.status == 200 and self._binary is None:
            self._binary = True
        if reply.status != 200:
            raise refused(self._url, reply)
        try:
            return read_response(reply.body, reply.head_length, outputs)
        except ValueError as error:
            raise ModelError(f"{self._url} answered with outputs that cannot be read: {error}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._channel.close()

    def _ask(self, feeds: Mapping[str, Array], outputs: Sequence[str], *, binary: bool) -> Reply:
        try:
            body, head_length = write_request(feeds, outputs, binary=binary)
        except ValueError as error:
            raise ModelError(f"{self._url}: {error}") from error
        headers = {}
        if head_length is not None:
            headers = {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(head_length)}
        return self._channel.post(f"{self._url}/infer", body, headers)

    def _lists_binary(self) -> bool | None:
        reply = self._channel.get(self._url.partition("/v2/")[0] + "/v2")
        listed = reply.json(self._url).get("extensions", ()) if reply.status == 200 else ()
        return True if "binary_tensor_data" in listed else None


def _no_model(url: str, reply: Reply) -> CamcountError:
    if reply.status == 400:  # Triton's answer for a model that it does not have
        return ModelNotFound(f"{url} is not there ({words(reply.body)}): check the model's name and version")
    return refused(url, reply)
