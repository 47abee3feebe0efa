"""What happened: frozen values in the past tense, with an id that the same input always gives again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Literal

Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something one track did, dated when it happened (not when it was understood).

    Attributes:
        camera_id: the camera, or the source's name.
        time_s: seconds since the start of the source, presentation time.
        time: the same moment on the clock, timezone-aware UTC, where the source knows it.
        track_id: the track that did it.
        label: the class name of the track.
        confidence: 0..1, how sure the detector was of the object around that moment.
        reason: why this was counted, in one clause.
        point: the counted point in pixels of the frame at ``time_s``.
    """

    type: ClassVar[str] = "event"

    camera_id: str
    time_s: float
    time: datetime | None = None
    track_id: int
    label: str
    confidence: float
    reason: str
    point: tuple[float, float]

    @property
    def event_id(self) -> str:
        """16 hex digits, the same for the same event however often it is computed."""
        parts = [self.type] + [repr(getattr(self, name)) for name in self._identity()]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]

    @classmethod
    def _identity(cls) -> list[str]:
        weak = {"time", "confidence", "reason", "point", "dwell_s"}  # may be refined without being another event
        return [f.name for f in fields(cls) if f.name not in weak]

    def as_dict(self) -> dict[str, Any]:
        """A flat mapping ready for JSON: ids first, times in seconds and ISO 8601."""
        row: dict[str, Any] = {"event_id": self.event_id, "type": self.type}
        for name in (f.name for f in fields(self)):
            row[name] = getattr(self, name)
        row["time"] = self.time.isoformat() if self.time else None
        row["time_s"] = round(self.time_s, 3)
        row["confidence"] = round(self.confidence, 4)
        row["point"] = [round(v, 1) for v in self.point]
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing(Event):
    """A track went over a line. ``in`` is to the right-hand side of someone walking from a to b on the screen."""

    type: ClassVar[str] = "crossing"

    line: str
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneEntered(Event):
    """A track came into a zone (or was first seen inside it)."""

    type: ClassVar[str] = "zone_entered"

    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLeft(Event):
    """A track left a zone, or was lost inside it; ``dwell_s`` is the time between entering and leaving."""

    type: ClassVar[str] = "zone_left"

    zone: str
    dwell_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowCompleted(Event):
    """A track crossed line ``origin`` and later line ``destination``: one origin-destination movement."""

    type: ClassVar[str] = "flow_completed"

    origin: str
    destination: str
    travel_s: float
