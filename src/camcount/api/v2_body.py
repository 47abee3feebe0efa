"""HTTP bodies of the Open Inference Protocol's inference calls, JSON with or without binary tensors behind it.

Binary tensors: Triton Inference Server, binary tensor data extension: the JSON part comes first, its length stands
in a header, and the tensors follow in the order of the inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from camcount.api.reading import picture_in
from camcount.api.v2_infer import Reply
from camcount.api.v2_models import PICTURE
from camcount.api.v2_tensors import BYTES, as_bytes, dtype_of, from_raw, from_values, shape_given, to_raw, word
from camcount.engines.tensors import Array
from camcount.errors import InvalidInput

_OUTSIDE = "shared_memory_region"


@dataclass(frozen=True, slots=True)
class Body:
    """An inference request as it stands in a body.

    Attributes:
        inputs: by name.
        outputs: for each output that was named, whether it is wanted in binary (``None``: as ``binary`` says).
        binary: whether outputs are wanted in binary where nothing else is said.
        parameters: of the request.
        id: the client's name for it.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, bool | None]
    binary: bool
    parameters: Mapping[str, Any]
    id: str


def read_body(body: bytes, head_length: int | None) -> Body:
    """An inference request.

    Args:
        body: unpacked.
        head_length: of its JSON part; ``None``: all of it is JSON; 0: all of it is one picture.

    Raises:
        InvalidInput: it is no such request.
    """
    if head_length == 0:
        picture = np.empty(1, BYTES)
        picture[0] = body
        return Body({PICTURE.name: picture}, {}, binary=False, parameters={}, id="")
    if head_length is not None and not 0 < head_length <= len(body):
        raise InvalidInput(f"the header says {head_length} bytes of JSON: the body has {len(body)} bytes")
    try:
        head = orjson.loads(memoryview(body)[:head_length])
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the request is no JSON: {error}") from None
    parameters = _object(_object(head, "the request").get("parameters"), "parameters")
    rest = memoryview(body)[head_length:] if head_length is not None else memoryview(b"")
    return Body(
        _inputs(_list(head, "inputs"), rest),
        dict(_output(entry) for entry in _list(head, "outputs")),
        binary=parameters.get("binary_data_output") is True,
        parameters=parameters,
        id=str(head.get("id") or ""),
    )


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if value is None and what != "the request":
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{what} must be a JSON object, not {type(value).__name__}")
    return value


def _list(head: Mapping[str, Any], what: str) -> list[Any]:
    found = head.get(what)
    if found is None and what == "outputs":
        return []
    if not isinstance(found, list) or not all(
        isinstance(e, Mapping) and isinstance(e.get("name"), str) for e in found
    ):
        raise InvalidInput(f"{what} must be a list of objects that each have a name")
    return found


def _inputs(entries: list[Mapping[str, Any]], rest: memoryview) -> dict[str, Array]:
    found: dict[str, Array] = {}
    at = 0
    for entry in entries:
        name = entry["name"]
        if name in found:
            raise InvalidInput(f"input {name!r} is there twice: send it once")
        size = _object(entry.get("parameters"), f"parameters of {name!r}").get("binary_data_size")
        if size is not None and (not isinstance(size, int) or not 0 <= size <= len(rest) - at):
            raise InvalidInput(f"input {name!r} says binary_data_size {size!r}: {len(rest) - at} bytes are left")
        found[name] = _input(entry, None if size is None else rest[at : at + size])
        at += size or 0
    if at != len(rest):
        raise InvalidInput(f"{len(rest) - at} bytes of the body belong to no input: give each its binary_data_size")
    return found


def _input(entry: Mapping[str, Any], raw: memoryview | None) -> Array:
    name = entry["name"]
    dtype, shape = dtype_of(entry.get("datatype"), name), shape_given(entry.get("shape"), name)
    parameters = entry.get("parameters") or {}
    if _OUTSIDE in parameters:
        raise InvalidInput(f"input {name!r} lies in shared memory: send it in the body")
    if raw is not None:
        return from_raw(raw, dtype, shape, name)
    if "data" not in entry:
        raise InvalidInput(
            f"input {name!r} has no data: give data, or binary_data_size and the bytes behind the JSON"
        )
    array = from_values(entry["data"], dtype, shape, name)
    if dtype == BYTES and (name == PICTURE.name or parameters.get("content_type") == "base64"):
        _decode(array, name)
    return array


def _decode(texts: Array, name: str) -> None:
    """JSON cannot hold a picture's bytes as they are."""
    flat = texts.reshape(-1)
    for number, text in enumerate(flat):
        try:
            flat[number] = picture_in(text.decode())
        except InvalidInput as error:
            raise InvalidInput(f"input {name!r}, element {number}: {error}") from None


def _output(entry: Mapping[str, Any]) -> tuple[str, bool | None]:
    parameters = _object(entry.get("parameters"), f"parameters of {entry['name']!r}")
    if _OUTSIDE in parameters:
        raise InvalidInput(f"output {entry['name']!r} is wanted in shared memory: take it from the answer's body")
    wanted = parameters.get("binary_data")
    return entry["name"], wanted if isinstance(wanted, bool) else None


def write_reply(reply: Reply, body: Body) -> tuple[bytes, int | None]:
    """The answer's body, and the length of its JSON part where tensors follow it."""
    outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, array in reply.outputs.items():
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "datatype": word(array.dtype)}
        asked = body.outputs.get(name)
        if body.binary if asked is None else asked:
            blobs.append(to_raw(array))
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = _values(array)
        outputs.append(entry)
    answer: dict[str, Any] = {"model_name": reply.call.model.name, "model_version": reply.version, "outputs": outputs}
    if body.id:
        answer["id"] = body.id
    if reply.parameters:
        answer["parameters"] = reply.parameters
    head = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join([head, *blobs]), len(head)) if blobs else (head, None)


def _values(array: Array) -> Any:
    if word(array.dtype) == "BYTES":
        return [as_bytes(element).decode("utf-8", "replace") for element in array.ravel()]
    return np.ascontiguousarray(array).ravel()
