"""One answer as JSON, as XML, or as the protocol buffers of ``docs/detections.proto``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

import orjson
from starlette.responses import Response

from camcount.api.schemas import OutputFormat

MEDIA_TYPES: dict[OutputFormat, bytes] = {
    "json": b"application/json",
    "xml": b"application/xml",
    "protobuf": b"application/x-protobuf",
}
_ACCEPTED: dict[str, OutputFormat] = {
    "application/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "application/x-protobuf": "protobuf",
    "application/protobuf": "protobuf",
    "application/vnd.google.protobuf": "protobuf",
}


def format_of(option: OutputFormat | None, accept: bytes) -> OutputFormat:
    """The format that an option asks for, or else the first known one of an ``Accept`` header; JSON otherwise.

    >>> format_of(None, b"text/html, application/xml;q=0.9")
    'xml'
    """
    if option is not None or not accept:
        return option or "json"
    named = (part.partition(";")[0].strip().lower() for part in accept.decode("latin-1").split(","))
    return next((_ACCEPTED[name] for name in named if name in _ACCEPTED), "json")


def written(answer: Mapping[str, Any], form: OutputFormat) -> bytes:
    """An inference's or a batch's answer in one format."""
    if form == "json":
        return orjson.dumps(answer)
    if form == "xml":
        return _xml(answer)
    return _protobuf(answer)


def json_answer(body: Any, status: int = 200) -> Response:
    """Plain values as an answer in JSON."""
    return Response(orjson.dumps(body, option=orjson.OPT_UTC_Z), status, media_type="application/json")


def _xml(answer: Mapping[str, Any]) -> bytes:
    root = "batchAnswer" if "batchId" in answer else "inferenceAnswer"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(root, answer)}'.encode()


_ROWS = {"detections": "detection", "results": "result", "details": "detail"}


def _element(name: str, value: Any) -> str:
    """Fields become elements, a list an element of its rows, a box four numbers with spaces between."""
    if isinstance(value, Mapping):
        inner = "".join(_element(key, part) for key, part in value.items() if part is not None)
    elif name == "bbox":
        inner = " ".join(map(str, value))
    elif isinstance(value, list):
        inner = "".join(_element(_ROWS.get(name, "item"), row) for row in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    else:
        inner = escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value)))
    return f"<{name}>{inner}</{name}>"


def _protobuf(answer: Mapping[str, Any]) -> bytes:
    fields = dict(answer)
    if "batchId" in answer:
        fields["results"] = [_renamed(item) for item in answer["results"]]
        return _filled("BatchAnswer", fields)
    results = fields.pop("results")
    fields.update(processingTime=results["processingTime"], timestamp=results["timestamp"])
    return _filled("InferenceAnswer", {**fields, **_renamed(results)})


def _renamed(item: Mapping[str, Any]) -> dict[str, Any]:
    """``class`` is a word that most languages keep for themselves; ``details`` have no fixed shape."""
    fields = dict(item)
    if "detections" in item:
        rows = item["detections"]
        fields["detections"] = [{**row, "label": row["class"]} for row in rows]
        for row in fields["detections"]:
            del row["class"]
    if "error" in item:
        fields["error"] = {key: value for key, value in item["error"].items() if key != "details"}
    return fields


def _filled(name: str, fields: Mapping[str, Any]) -> bytes:
    from google.protobuf.json_format import ParseDict

    message = ParseDict(fields, message_class(name)())
    return bytes(message.SerializeToString())


_MESSAGES: dict[str, dict[str, str]] = {
    "Detection": {"label": "string", "confidence": "float", "bbox": "repeated float"},
    "Decision": {"variant": "string", "reason": "string"},
    "InferenceAnswer": {
        "model_id": "string",
        "version": "string",
        "inference_id": "string",
        "detections": "repeated Detection",
        "processing_time": "double",
        "timestamp": "string",
        "decision": "Decision",
        "cached": "bool",
        "fallback": "string",
    },
    "Error": {"code": "string", "message": "string", "request_id": "string"},
    "BatchItem": {
        "image_index": "int32",
        "detections": "repeated Detection",
        "processing_time": "double",
        "error": "Error",
    },
    "BatchAnswer": {
        "batch_id": "string",
        "model_id": "string",
        "results": "repeated BatchItem",
        "total_processing_time": "double",
        "timestamp": "string",
    },
}
"""The messages of ``docs/detections.proto``: fields in order of their numbers, with their types."""


@cache
def message_class(name: str) -> Any:
    """The class of one message of ``docs/detections.proto``."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="detections.proto", package="camcount.v1", syntax="proto3")
    scalar = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, (field_name, kind) in enumerate(fields.items(), 1):
            *repeated, kind = kind.split()
            field = message.field.add(name=field_name, number=number)
            field.label = scalar.LABEL_REPEATED if repeated else scalar.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = scalar.TYPE_MESSAGE, f".camcount.v1.{kind}"
            else:
                field.type = scalar.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"camcount.v1.{name}"))
