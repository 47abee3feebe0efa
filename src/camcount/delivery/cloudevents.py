"""One form for every event that leaves the server: CloudEvents 1.0, docs/event.schema.json."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from camcount.delivery.log import StoredEvent
from camcount.events import Event

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SEQUENCE_DIGITS = 20


def as_cloudevent(stored: StoredEvent) -> dict[str, Any]:
    """An event in CloudEvents' structured form (CNCF, version 1.0.2, with the extension ``sequence``).

    ``id`` is the event's own id: delivered twice, it is the same. ``sequence`` is its number in the log, of 20
    digits, so that order of text is order of number. ``time`` is left out where the source knows no clock.
    """
    event = stored.event
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": f"/cameras/{quote(event.camera_id, safe='')}",
        "type": f"camcount.{event.type}",
        "subject": subject_of(event),
    }
    if event.time is not None:
        envelope["time"] = event.time.isoformat()
    envelope["sequence"] = f"{stored.number:0{SEQUENCE_DIGITS}d}"
    return envelope | {"datacontenttype": "application/json", "data": event.as_dict()}


def as_json(stored: StoredEvent) -> bytes:
    """`as_cloudevent` on one line."""
    return orjson.dumps(as_cloudevent(stored))


def subject_of(event: Event) -> str:
    """The line or zone of an event, ``origin/destination`` of a flow."""
    if place := getattr(event, "line", None) or getattr(event, "zone", None):
        return str(place)
    return f"{getattr(event, 'origin', '')}/{getattr(event, 'destination', '')}"
