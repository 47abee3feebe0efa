"""One inference call of the Open Inference Protocol, from its inputs to its outputs, whatever carries it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camcount.api.v2_models import FOUND, PICTURE, Asked
from camcount.api.v2_tensors import as_bytes
from camcount.detections import Detections
from camcount.engines.tensors import Array
from camcount.errors import CamcountError, InvalidInput
from camcount.protocols import Thresholds
from camcount.serving.dataplane import DataPlane
from camcount.serving.requests import Answer, DetectionRequest, Priority, TensorRequest
from camcount.video.encoded import LARGEST, picture_frame

MOST_PICTURES = 64
"""In one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a client asks.

    Attributes:
        model: which model, and which of its interfaces.
        inputs: by name; BYTES are arrays of ``bytes``.
        outputs: the names asked for; all if there are none.
        parameters: of the whole request; unknown ones are ignored, as the protocol says.
        deadline: on the clock of ``time.monotonic``.
        id: the client's own name for the request, given back.
        door, request_id, trace: see `camcount.stats.RequestStats`.
    """

    model: Asked
    inputs: Mapping[str, Array]
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    id: str = ""
    door: str = "v2"
    request_id: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What it is answered: outputs in order, and how the answer came about."""

    call: Call
    version: str
    outputs: Mapping[str, Array]
    parameters: Mapping[str, Any] = field(default_factory=dict)


async def infer(plane: DataPlane, call: Call, *, largest_pixels: int = LARGEST) -> Reply:
    """Runs the model; cancelling this cancels the work.

    Parameters of the request that count: ``confidence_threshold``, ``nms_threshold`` and ``max_detections`` (pictures
    only), ``timeout`` in microseconds, ``priority`` (2 and above: after everything interactive).

    Raises:
        InvalidInput: a name, datatype, shape, picture or parameter that cannot be used.
        CamcountError: whatever the data plane raises.
    """
    return await (_tensors(plane, call) if call.model.tensors else _pictures(plane, call, largest_pixels))


async def _tensors(plane: DataPlane, call: Call) -> Reply:
    request = TensorRequest(model=call.model.reference, feeds=call.inputs, **_circumstances(call))
    answer = await plane.run(request)
    names = _wanted(call, list(answer.outputs))
    return Reply(call=call, version=answer.version, outputs={name: answer.outputs[name] for name in names})


async def _pictures(plane: DataPlane, call: Call, largest_pixels: int) -> Reply:
    contents = _contents(call)
    names = _wanted(call, [output.name for output in FOUND])
    thresholds, rest = _thresholds(call.parameters), _circumstances(call)
    requests = []
    for number, content in enumerate(contents):
        with _naming(number, len(contents)):
            frame = picture_frame(content, largest_pixels=largest_pixels)
        requests.append(
            DetectionRequest(model=call.model.reference, frame=frame, content=content, thresholds=thresholds, **rest)
        )
    answers = await _all(plane, requests)
    found = _rows([answer.detections for answer in answers])
    if not call.outputs and len(answers) == 1:
        names = [name for name in names if name != "image_index"]
    return Reply(
        call=call,
        version=answers[0].version,
        outputs={name: found[name] for name in names},
        parameters=_circumstance(answers),
    )


def _contents(call: Call) -> list[bytes]:
    if list(call.inputs) != [PICTURE.name]:
        given = ", ".join(call.inputs) or "none"
        raise InvalidInput(f"{call.model.name} was given the inputs {given}: it takes image, BYTES [pictures]")
    array = call.inputs[PICTURE.name]
    if array.dtype != PICTURE.dtype or array.ndim != 1:
        raise InvalidInput(
            f"{call.model.name} was given image {array.dtype} {list(array.shape)}: it takes BYTES [pictures], "
            "each element an encoded picture"
        )
    if not 1 <= array.size <= MOST_PICTURES:
        raise InvalidInput(f"{call.model.name} was given {array.size} pictures: it takes 1 to {MOST_PICTURES}")
    return [as_bytes(element) for element in array]


def _wanted(call: Call, known: list[str]) -> list[str]:
    if strange := [name for name in call.outputs if name not in known]:
        raise InvalidInput(f"{call.model.name} has no output {strange[0]!r}: it gives {', '.join(known)}")
    return list(dict.fromkeys(call.outputs)) or known


@contextmanager
def _naming(number: int, of: int) -> Iterator[None]:
    """Says in an error which picture of several it is about."""
    try:
        yield
    except CamcountError as error:
        if of > 1:
            error.args = (f"image {number}: {error}", *error.args[1:])
        raise


async def _all(plane: DataPlane, requests: Sequence[DetectionRequest]) -> list[Answer]:
    """The answers in order; where one fails, the rest is called off."""
    if len(requests) == 1:
        return [await plane.infer(requests[0])]

    async def one(number: int, request: DetectionRequest) -> Answer:
        with _naming(number, len(requests)):
            return await plane.infer(request)

    tasks = [asyncio.ensure_future(one(number, request)) for number, request in enumerate(requests)]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _rows(found: Sequence[Detections]) -> dict[str, Array]:
    labels = [detections.label(row).encode() for detections in found for row in range(len(detections))]
    names = np.empty(len(labels), PICTURE.dtype)
    names[:] = labels
    return {
        "boxes": np.concatenate([detections.xyxy for detections in found]),
        "scores": np.concatenate([detections.confidence for detections in found]),
        "labels": names,
        "image_index": np.repeat(np.arange(len(found), dtype=np.int32), [len(detections) for detections in found]),
    }


def _circumstance(answers: Sequence[Answer]) -> dict[str, Any]:
    decision = answers[0].decision
    fallback = next((answer.fallback for answer in answers if answer.fallback), "")
    told = {"variant": decision.variant, "reason": decision.reason, "cached": all(a.cached for a in answers)}
    return {**told, "fallback": fallback} if fallback else told


def _circumstances(call: Call) -> dict[str, Any]:
    limit = _number(call.parameters, "timeout", 0, 1e15)
    until = [call.deadline] if call.deadline is not None else []
    if limit:
        until.append(time.monotonic() + limit / 1e6)
    later = (_number(call.parameters, "priority", 0, 2**64) or 0) >= 2
    return {
        "deadline": min(until, default=None),
        "priority": Priority.BATCH if later else Priority.INTERACTIVE,
        "door": call.door,
        "request_id": call.request_id,
        "trace": call.trace,
    }


def _thresholds(parameters: Mapping[str, Any]) -> Thresholds:
    most = _number(parameters, "max_detections", 1, 10_000)
    if most is not None and most != int(most):
        raise InvalidInput(f"max_detections is {most:g}: write a whole number")
    overlap = _number(parameters, "nms_threshold", 0, 1)
    if overlap == 0:
        raise InvalidInput("nms_threshold is 0: write a number above 0 and up to 1")
    confidence = _number(parameters, "confidence_threshold", 0, 1)
    return Thresholds(confidence, overlap, None if most is None else int(most))


def _number(parameters: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    """A parameter that is a number, or text that reads as one: not every client can send all kinds."""
    given = parameters.get(name)
    if given is None:
        return None
    try:
        number = float("nan") if isinstance(given, bool) else float(given)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not least <= number <= most:
        raise InvalidInput(f"{name} is {given!r}: write a number from {least:g} to {most:g}")
    return number
