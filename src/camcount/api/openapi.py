"""The OpenAPI document: what FastAPI cannot see of the picture calls, and an example of every error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from camcount.api.errors import STATUS
from camcount.api.schemas import (
    BatchAnswer,
    BatchBody,
    ErrorAnswer,
    InferenceAnswer,
    InferenceBody,
    Query,
    json_schemas,
)
from camcount.server_settings import CameraEntry, ShapesEntry

MODEL_CODES = (
    "MODEL_001",
    "MODEL_002",
    "MODEL_004",
    "INF_001",
    "CFG_001",
    "RES_001",
    "RES_002",
    "SYS_001",
    "SYS_002",
)
JOB_CODES = ("INF_001", "SYS_001")
PICTURE_CODES = tuple(code for code in STATUS if not code.startswith(("SRC", "GEO")))

EXAMPLES: Mapping[str, str] = {
    "MODEL_001": "no model 'yolox-nana': did you mean yolox-nano?",
    "MODEL_002": "yolox-nano:1.0.0 cannot be loaded: model.onnx does not have the digest that its manifest names",
    "MODEL_003": "yolox-nano:1.0.0 failed while it ran: out of memory in node Conv_17",
    "MODEL_004": "'1.0' is no version: write MAJOR.MINOR.PATCH, such as 1.0.0",
    "INF_001": "confidenceThreshold: input should be less than or equal to 1; "
    "it is the least confidence returned, a number from 0 to 1",
    "INF_002": "the picture is damaged inside and cannot be decoded: send it anew",
    "INF_003": "yolox-nano:1.0.0 found a box that is not finite",
    "INF_004": "no answer within 30 s",
    "RES_001": "there is too little memory for this request at the moment",
    "RES_002": "there is too little memory on the GPU to load yolox-nano:1.0.0",
    "RES_003": "all cores are taken",
    "RES_004": "the disk is full: free some space",
    "SYS_001": "yolox-nano:1.0.0 has 256 requests waiting: try again in 2 s",
    "SYS_002": "the database does not answer",
    "SYS_003": "the cache does not answer",
    "SYS_004": "the remote server of yolox-nano:1.0.0 does not answer",
    "SRC_001": "clip.mp4 is not there: check the spelling, or give the full path",
    "SRC_002": "clip.mp4 is no video that can be read",
    "SRC_003": "rtsp://gate did not answer within 10 s",
    "GEO_001": "line gate has zero length",
    "CFG_001": "'yolox-nano:1.0.0@champion' names a version and an alias: choose one",
}
_REFUSED = {
    404: ("there is no such address, or no such job", "there is no job 'x': it was cancelled"),
    413: ("the body is too long", "the body is longer than 20 MiB: send smaller pictures, or fewer at once"),
    415: (
        "the body is of a media type that is not read here",
        "a body of text/plain is not read here: send image/jpeg",
    ),
}
_ERROR_SCHEMA = {"$ref": "#/components/schemas/ErrorAnswer"}


def error_responses(codes: Sequence[str], *, refused: Sequence[int] = ()) -> dict[int | str, dict[str, Any]]:
    """A response for each status that these codes have, with an example for each code."""
    told = {status: [("INF_001", *_REFUSED[status])] for status in refused}
    for code in codes:
        text = EXAMPLES[code]
        told.setdefault(STATUS[code].http, []).append((code, text.partition(":")[0], text))
    told.setdefault(500, []).append(
        (
            "SYS_001",
            "an unexpected error",
            "something went wrong in the server, its log says what under request id 7",
        )
    )
    return {status: _response(examples) for status, examples in sorted(told.items())}


def _response(examples: Sequence[tuple[str, str, str]]) -> dict[str, Any]:
    shown = {
        (code if code not in {c for c, _, _ in examples[:row]} else f"{code} ({row})"): {
            "summary": summary,
            "value": {"error": {"code": code, "message": message, "details": None, "requestId": "7f3a-1"}},
        }
        for row, (code, summary, message) in enumerate(examples)
    }
    return {
        "description": "; ".join(dict.fromkeys(code for code, _, _ in examples)),
        "content": {"application/json": {"schema": _ERROR_SCHEMA, "examples": shown}},
    }


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document with the calls that take pictures, which it knows nothing of."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(
        json_schemas(InferenceBody, BatchBody, InferenceAnswer, BatchAnswer, ErrorAnswer, CameraEntry, ShapesEntry)
    )
    for name in ("HTTPValidationError", "ValidationError"):  # nothing answers so here
        schemas.pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None) if _is_default(operation) else None
    paths = document["paths"]
    paths["/api/v1/models/{modelId}/inference"] = {"post": _inference()}
    paths["/api/v1/models/{modelId}/batch-inference"] = {"post": _batch()}
    return document


def _is_default(operation: Mapping[str, Any]) -> bool:
    content = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
    return bool(content.get("schema", {}).get("$ref", "").endswith("HTTPValidationError"))


def _inference() -> dict[str, Any]:
    raw = {"schema": {"type": "string", "format": "binary"}}
    kinds = ("image/jpeg", "image/png", "image/webp", "image/bmp", "application/octet-stream")
    example = InferenceBody.model_json_schema()["properties"]["image"]["examples"][0]
    in_json = {
        "schema": {"$ref": "#/components/schemas/InferenceBody"},
        "example": {"image": example, "options": {"confidenceThreshold": 0.5, "maxDetections": 20}},
    }
    return _picture_call(
        "Find the objects in one picture",
        "The picture's file as the body, with options in the query, is the fast way; JSON with the picture in base64 "
        "and options in it is the other. The format is told by the first bytes, whatever the media type says. "
        "`processingTime` is in milliseconds, `bbox` is left, top, width, height in pixels of the upright picture.",
        {**dict.fromkeys(kinds, raw), "application/json": in_json},
        "InferenceAnswer",
        list(Query.model_fields.values()),
    )


def _batch() -> dict[str, Any]:
    example = InferenceBody.model_json_schema()["properties"]["image"]["examples"][0]
    in_json = {
        "schema": {"$ref": "#/components/schemas/BatchBody"},
        "example": {"images": [example, example], "options": {"confidenceThreshold": 0.5}, "batchSize": 16},
    }
    return _picture_call(
        "Find the objects in several pictures",
        "Each picture has its own detections or its own error; single pictures of others go first.",
        {"application/json": in_json},
        "BatchAnswer",
        [Query.model_fields[name] for name in ("mode", "webhook")],
    )


def _picture_call(
    summary: str, description: str, content: dict[str, Any], answer: str, fields: Sequence[Any]
) -> dict[str, Any]:
    properties = Query.model_json_schema()["properties"]
    aliases = [field.alias or "" for field in fields]
    parameters = [{"name": "modelId", "in": "path", "required": True, "schema": {"type": "string"}}]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": _plain(properties[name])} for name in aliases
    ]
    formats = {
        "application/json": {"schema": {"$ref": f"#/components/schemas/{answer}"}},
        "application/xml": {"schema": {"type": "string"}},
        "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
    }
    job = {"type": "object", "properties": {"jobId": {"type": "string"}, "statusUrl": {"type": "string"}}}
    accepted = {"description": "a job, with mode=async", "content": {"application/json": {"schema": job}}}
    return {
        "tags": ["inference"],
        "summary": summary,
        "description": description,
        "operationId": summary.lower().replace(" ", "_"),
        "parameters": parameters,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "what was found", "content": formats},
            "202": accepted,
            **{str(status): told for status, told in error_responses(PICTURE_CODES, refused=(413, 415)).items()},
        },
    }


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A field's schema without ``null``, which a query cannot say."""
    own = {key: value for key, value in schema.items() if key not in ("anyOf", "default", "title")}
    for variant in schema.get("anyOf", ()):
        if variant.get("type") != "null":
            own.update(variant)
    return own
