"""Messages of the gRPC service to inference calls, and replies to messages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from camcount.api.grpc_messages import RPCS
from camcount.api.v2_infer import Call, Reply
from camcount.api.v2_models import asked
from camcount.api.v2_tensors import dtype_of, from_raw, from_values, shape_given, to_raw, word
from camcount.engines.open_inference import CONTENTS
from camcount.engines.tensors import Array
from camcount.errors import InvalidInput

_OUTSIDE = "shared_memory_region"


def call_of(request: Any, *, remaining_s: float | None, request_id: str = "", trace: str = "") -> Call:
    """A ``ModelInferRequest`` as a call.

    Args:
        request: the message.
        remaining_s: seconds until the client gives up, if it ever does.
        request_id, trace: of the call.

    Raises:
        InvalidInput: inputs that cannot be read.
        ModelNotFound, ModelVersionMismatch: as `camcount.api.v2_models.asked`.
    """
    if any(_OUTSIDE in tensor.parameters for tensor in (*request.inputs, *request.outputs)):
        raise InvalidInput("tensors in shared memory cannot be reached: send them in the message")
    return Call(
        model=asked(request.model_name, request.model_version),
        inputs=_inputs(request),
        outputs=tuple(output.name for output in request.outputs),
        parameters={name: _parameter(value) for name, value in request.parameters.items()},
        deadline=None if remaining_s is None else time.monotonic() + remaining_s,
        id=request.id,
        door="grpc",
        request_id=request_id,
        trace=trace,
    )


def values_in(request: Any) -> int:
    """How many values a ``ModelInferRequest`` gives one by one."""
    return sum(len(values) for tensor in request.inputs for _, values in tensor.contents.ListFields())


def _inputs(request: Any) -> dict[str, Array]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidInput(f"{len(request.inputs)} inputs and {len(raw)} raw_input_contents: give one for each")
    found: dict[str, Array] = {}
    for number, tensor in enumerate(request.inputs):
        if tensor.name in found:
            raise InvalidInput(f"input {tensor.name!r} is there twice: send it once")
        found[tensor.name] = _input(tensor, raw[number] if raw else None)
    return found


def _input(tensor: Any, raw: bytes | None) -> Array:
    dtype, shape = dtype_of(tensor.datatype, tensor.name), shape_given(list(tensor.shape), tensor.name)
    if raw is not None:
        if tensor.HasField("contents") and tensor.contents.ByteSize():
            raise InvalidInput(f"input {tensor.name!r} has contents beside raw_input_contents: use one of them")
        return from_raw(raw, dtype, shape, tensor.name)
    field = CONTENTS.get(tensor.datatype)
    if field is None:
        raise InvalidInput(f"input {tensor.name!r} is {tensor.datatype}, which goes into raw_input_contents only")
    if strange := [given.name for given, _ in tensor.contents.ListFields() if given.name != field]:
        raise InvalidInput(
            f"input {tensor.name!r} is {tensor.datatype}, whose values go into {field}, not {strange[0]}"
        )
    return from_values(list(getattr(tensor.contents, field)), dtype, shape, tensor.name)


def _parameter(value: Any) -> Any:
    choice = value.WhichOneof("parameter_choice")
    return None if choice is None else getattr(value, choice)


def reply_message(reply: Reply) -> Any:
    """A ``ModelInferResponse``; outputs are raw."""
    message = RPCS["ModelInfer"].response(
        model_name=reply.call.model.name, model_version=reply.version, id=reply.call.id
    )
    for name, value in reply.parameters.items():
        choice = "bool_param" if isinstance(value, bool) else "string_param"
        setattr(message.parameters[name], choice, value)
    for name, array in reply.outputs.items():
        message.outputs.add(name=name, datatype=word(array.dtype), shape=array.shape)
        message.raw_output_contents.append(to_raw(array))
    return message


def written(message: Any, values: Mapping[str, Any]) -> Any:
    """The message with these values, as JSON names them.

    >>> written(RPCS["ServerReady"].response(), {"ready": True}).ready
    True
    """
    return json_format.ParseDict(values, message, descriptor_pool=None)
