"""Arrays as the Open Inference Protocol (KServe V2) writes them in HTTP bodies, with and without binary tensors.

Protocol: KServe, Open Inference Protocol v2. Binary tensors: Triton Inference Server, binary tensor data extension:
the JSON part comes first, its length stands in a header, and the tensors follow it row-major and little-endian.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from camcount.engines.tensors import Array, shape_of
from camcount.protocols import TensorInfo

LENGTH_HEADER = "Inference-Header-Content-Length"
"""Says how many bytes of the body are JSON."""

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
}
CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where a tensor of a gRPC message that is not in its raw contents has its values."""

_NAMES = {dtype: name for name, dtype in DATATYPES.items()}


def datatype(array: Array) -> str:
    """The protocol's word for the array's dtype.

    Raises:
        ValueError: it has none.
    """
    try:
        return _NAMES[array.dtype]
    except KeyError:
        raise ValueError(f"the protocol has no datatype for {array.dtype}") from None


def tensors(metadata: Sequence[Mapping[str, Any]]) -> dict[str, TensorInfo]:
    """What a model's metadata says of its inputs or outputs.

    Raises:
        ValueError: a datatype that is no number.
    """
    found = {}
    for entry in metadata:
        dtype = DATATYPES.get(entry["datatype"])
        if dtype is None:
            raise ValueError(f"{entry['name']} is {entry['datatype']}, which holds no numbers")
        found[entry["name"]] = TensorInfo(entry["name"], shape_of(entry["shape"]), dtype)
    return found


def write_request(feeds: Mapping[str, Array], outputs: Sequence[str], *, binary: bool) -> tuple[bytes, int | None]:
    """A request's body, and the length of its JSON part where tensors follow it.

    Raises:
        ValueError: an array's dtype has no word in the protocol.
    """
    inputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, array in feeds.items():
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": datatype(array)}
        if binary:
            blobs.append(array.tobytes())
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = np.ascontiguousarray(array).ravel()
        inputs.append(entry)
    wanted = [{"name": name, "parameters": {"binary_data": True}} if binary else {"name": name} for name in outputs]
    head = orjson.dumps({"inputs": inputs, "outputs": wanted}, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([head, *blobs]), len(head)) if binary else (head, None)


def read_response(body: bytes, head_length: int | None, outputs: Sequence[str]) -> list[Array]:
    """The outputs of those names, in that order.

    Args:
        body: what the server answered.
        head_length: the length of the JSON part; ``None``: all of it.
        outputs: names, as far as they are known; all that came, in their own order, if there are none.

    Raises:
        ValueError: the body is cut off, is no such answer or lacks an output.
    """
    end = len(body) if head_length is None else head_length
    try:
        entries = orjson.loads(body[:end])["outputs"]
        found: dict[str, Array] = {}
        for entry in entries:
            size = entry.get("parameters", {}).get("binary_data_size") if "data" not in entry else None
            found[entry["name"]] = _array(entry, None if size is None else body[end : end + size])
            end += size or 0
        return [found[name] for name in outputs or found]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the answer lacks {error}") from error


def _array(entry: Mapping[str, Any], blob: bytes | None) -> Array:
    dtype = DATATYPES[entry["datatype"]]
    flat = np.array(entry["data"], dtype) if blob is None else np.frombuffer(bytearray(blob), dtype)
    return flat.reshape(entry["shape"])
