"""A model behind TensorFlow Serving's REST interface: its metadata, and its predict method in column format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from camcount.engines.remote_http import Channel, refused
from camcount.engines.tensors import Array, shape_of
from camcount.errors import ModelError, ModelLoadFailed
from camcount.protocols import TensorInfo

_DTYPES = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_HALF": np.float16,
    "DT_UINT8": np.uint8,
    "DT_INT8": np.int8,
    "DT_UINT16": np.uint16,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_BOOL": np.bool_,
}


class TensorFlowServing:
    """One signature of one model.

    Args:
        url: ``http://host:port/v1/models/name:predict``, with or without ``/versions/2`` before the colon.
        signature: the function to call.

    Raises:
        ModelNotFound: the server has no such model.
        ModelLoadFailed: the model has no such signature.
        ServiceError: there is no server.
    """

    def __init__(self, url: str, channel: Channel, *, signature: str = "serving_default") -> None:
        self._model = url.removesuffix(":predict").rstrip("/")
        self._url = f"{self._model}:predict"
        self._channel = channel
        self._signature = signature
        address = f"{self._model}/metadata"
        reply = channel.get(address)
        if reply.status != 200:
            raise refused(address, reply)
        try:
            known = reply.json(address)["metadata"]["signature_def"]["signature_def"][signature]
            self.inputs: Mapping[str, TensorInfo] = _described(known["inputs"])
            self.outputs: Mapping[str, TensorInfo] = _described(known["outputs"])
        except (KeyError, TypeError) as error:
            raise ModelLoadFailed(f"{address} describes no signature {signature!r} with numbers: check it") from error

    def infer(self, feeds: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The outputs of those names."""
        columns = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        request = {"signature_name": self._signature, "inputs": columns}
        reply = self._channel.post(self._url, orjson.dumps(request, option=orjson.OPT_SERIALIZE_NUMPY))
        if reply.status != 200:
            raise refused(self._url, reply)
        try:
            found = reply.json(self._url)["outputs"]
            # one output comes without its name
            by_name = found if isinstance(found, Mapping) else {outputs[0]: found}
            return [np.array(by_name[name], self.outputs[name].dtype) for name in outputs]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ModelError(f"{self._url} answered with outputs that cannot be read: {error}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._channel.close()


def _described(entries: Mapping[str, Any]) -> dict[str, TensorInfo]:
    found = {}
    for name, entry in entries.items():
        sizes = [side["size"] for side in entry["tensor_shape"].get("dim", ())]
        found[name] = TensorInfo(name, shape_of(sizes), np.dtype(_DTYPES[entry["dtype"]]))
    return found
