"""What the OpenAPI document says of the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from camcount.api.openapi import error_responses

_TEXT = {"type": "string"}
_EVENT = {
    "type": "object",
    "description": "a CloudEvent 1.0; docs/event.schema.json has it in full",
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": _TEXT | {"description": "the event's own: delivered twice, it is the same"},
        "source": _TEXT | {"description": "/cameras/ and the camera"},
        "type": _TEXT | {"description": "camcount.crossing, …"},
        "subject": _TEXT | {"description": "the line or the zone"},
        "time": _TEXT | {"format": "date-time"},
        "sequence": _TEXT | {"description": "its number in the log, of 20 digits"},
        "datacontenttype": _TEXT,
        "data": {"type": "object"},
    },
    "required": ["specversion", "id", "source", "type", "subject", "sequence", "data"],
}
_PAGE = {
    "type": "object",
    "properties": {
        "events": {"type": "array", "items": _EVENT},
        "next": {"type": "integer", "description": "give this as `after` for the page that follows"},
        "more": {"type": "boolean", "description": "whether the log goes on"},
    },
    "required": ["events", "next", "more"],
}
_MESSAGE = {
    "type": "object",
    "description": "one message of the stream, its fields as text",
    "properties": {
        "id": _TEXT | {"description": "the event's number"},
        "event": _TEXT | {"description": "`missed`, else not there"},
        "data": _TEXT | {"contentMediaType": "application/json", "contentSchema": _EVENT},
    },
}
_STREAM = (
    "id: 481\n"
    'data: {"specversion":"1.0","id":"47c29bdca854f732","source":"/cameras/gate","type":"camcount.crossing",'
    '"subject":"street","sequence":"00000000000000000481","datacontenttype":"application/json","data":{"type":"crossing"}}\n\n'
    ": heartbeat\nid: 481\n\n"
)
_DESCRIPTION = (
    "A page as JSON, or for `Accept: text/event-stream` or `format=sse` a stream that ends with the connection: "
    "Server-Sent Events, `id` the event's number, `data` the event. A comment with an `id` says every 15 s without "
    "an event that the stream is alive; `event: missed` that its reader was too slow, and how many events a page "
    "has to bring back. The same address takes a WebSocket, on which each event is a text message; an `after` "
    "resumes it."
)
_FILTERS = ("camera", "line", "zone", "label")


def described(types: Sequence[str], page: int, largest_page: int) -> dict[str, Any]:
    """How FastAPI is told of the call: what it cannot see, for the call reads its query itself."""
    largest = 2**63 - 1
    query: Mapping[str, Mapping[str, Any]] = {
        **{name: _TEXT | {"description": f"only events of this {name}"} for name in _FILTERS},
        "type": {"type": "string", "enum": list(types), "description": "only events of this type"},
        "after": {
            "type": "integer",
            "minimum": 0,
            "maximum": largest,
            "description": "only events with higher numbers; a page begins with the first unless given, a stream now",
        },
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": largest_page,
            "default": page,
            "description": "events of a page",
        },
        "format": {"type": "string", "enum": ["json", "sse"], "description": "a page, or a stream"},
    }
    last_id = {"type": "integer", "minimum": 0, "maximum": largest, "description": "as `after`, and goes before it"}
    parameters = [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in query.items()
    ]
    parameters.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": last_id})
    content = {
        "application/json": {"schema": _PAGE},
        "text/event-stream": {"schema": _MESSAGE, "example": _STREAM},
    }
    return {
        "summary": "Events as they are committed: pages, or a stream",
        "description": _DESCRIPTION,
        "responses": {200: {"description": "events, in order of number", "content": content}}
        | error_responses(("INF_001", "SYS_002")),
        "openapi_extra": {"parameters": parameters},
    }
