"""Polygon zones: who came in, who went out, for how long, how many are inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from camcount.detections import Tracks
from camcount.events import Event, ZoneEntered, ZoneLeft
from camcount.geometry import Anchor, Points, Zone, anchor_points, in_polygon

ENDED = "still inside when the source ended"
"""The reason of a `ZoneLeft` that closes a visit without anybody having left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneSettings:
    """When a change counts.

    Attributes:
        hold_s: how long a track must be seen on the new side of the edge, in seconds; shorter visits and
            shorter absences are jitter.
        grace_s: how long a track may be unseen before it is taken for lost, in seconds.
    """

    hold_s: float = 0.3
    grace_s: float = 2.0


@dataclass(slots=True)
class _Sight:
    """One look at a track: when, where, and how sure the detector was."""

    time_s: float
    point: tuple[float, float]
    confidence: float


@dataclass(slots=True)
class _Stay:
    """One track and one zone."""

    inside: bool = False
    change: _Sight | None = None
    """The first look on the other side, while it is not yet known to last."""
    first_look: bool = False
    entered_s: float = 0.0
    label: str | None = None
    """What the visit was counted as; None if the zone does not count such a thing."""


@dataclass(slots=True)
class _Track:
    stays: list[_Stay]
    label: str = ""
    confirmed: bool = False
    seen_s: float = 0.0
    confidence: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list)
    """Where it was last seen, by zone: they may count different points of the box."""
    waiting: list[Event] = field(default_factory=list)
    """What it did before it was confirmed."""

    def sight(self, zone: int) -> _Sight:
        """The last look at it."""
        x, y = self.points[zone]
        return _Sight(self.seen_s, (x, y), self.confidence)


class ZoneCounter:
    """A `Counter` giving `ZoneEntered` and `ZoneLeft`, dated when the edge was passed.

    A track first seen inside enters there and then. A track lost inside leaves when it was last seen; one still
    inside at the end leaves with the reason `ENDED`. A zone's own ``anchor`` and ``labels`` go before
    the general ones. Memory: one entry per track seen in the last ``grace_s`` seconds.

    Raises:
        GeometryError: a zone cannot be used in a picture of this size.
    """

    def __init__(
        self,
        zones: Sequence[Zone],
        width: int,
        height: int,
        *,
        anchor: Anchor = "foot",
        camera_id: str = "",
        start_time: datetime | None = None,
        settings: ZoneSettings | None = None,
    ) -> None:
        self._zones = tuple(zones)
        self._polygons = [zone.at(width, height) for zone in zones]
        self._anchors: list[Anchor] = [zone.anchor or anchor for zone in zones]
        self._camera_id = camera_id
        self._start = start_time and start_time.astimezone(UTC)
        self._settings = settings or ZoneSettings()
        self._tracks: dict[int, _Track] = {}

    def update(self, tracks: Tracks, time_s: float) -> list[Event]:
        """Takes one frame's tracks."""
        events: list[Event] = []
        if len(tracks) and self._zones:
            points, inside = self._look(tracks)
            confidences, confirmed = tracks.confidence.tolist(), tracks.confirmed.tolist()
            for row, number in enumerate(tracks.track_id.tolist()):
                track = self._tracks.get(number)
                if track is None:
                    track = self._tracks[number] = _Track([_Stay(first_look=True) for _ in self._zones])
                track.label, track.seen_s, track.confidence = tracks.label(row), time_s, confidences[row]
                track.points = points[row]
                track.confirmed |= confirmed[row]
                for zone, (stay, is_inside) in enumerate(zip(track.stays, inside[row], strict=True)):
                    if is_inside != stay.inside or stay.change is not None or stay.first_look:
                        self._step(number, track, zone, is_inside)
                events += self._told(track)
        return events + self._lost(time_s)

    def finish(self, time_s: float) -> list[Event]:
        """Closes every open visit."""
        events = self._lost(time_s)
        for number, track in self._tracks.items():
            events += self._ended(number, track, ENDED)
        self.reset()
        return events

    def reset(self) -> None:
        """Forgets all tracks."""
        self._tracks = {}

    def occupancy(self) -> dict[str, dict[str, int]]:
        """How many are inside each zone now, by label; without those not yet confirmed."""
        inside: dict[str, dict[str, int]] = {zone.name: {} for zone in self._zones}
        for track in self._tracks.values():
            for zone, stay in zip(self._zones, track.stays, strict=True):
                if track.confirmed and stay.inside and stay.label is not None:
                    inside[zone.name][stay.label] = inside[zone.name].get(stay.label, 0) + 1
        return inside

    def _look(self, tracks: Tracks) -> tuple[list[list[tuple[float, float]]], list[list[bool]]]:
        """Counted points ``[N][Z]`` and whether they are inside ``[N][Z]``, for every track and zone."""
        by_anchor: dict[Anchor, Points] = {a: anchor_points(tracks.xyxy, a) for a in set(self._anchors)}
        points = np.stack([by_anchor[a] for a in self._anchors])
        inside = np.stack([in_polygon(p, polygon) for p, polygon in zip(points, self._polygons, strict=True)])
        return points.transpose(1, 0, 2).tolist(), inside.T.tolist()

    def _step(self, number: int, track: _Track, zone: int, inside: bool) -> None:
        stay = track.stays[zone]
        if inside == stay.inside:
            stay.change = None
            stay.first_look = stay.first_look and inside
            return
        stay.change = stay.change or track.sight(zone)
        # a hair less, so that three frames at 10 frames/s are 0.3 s in floating point too
        if track.seen_s - stay.change.time_s < self._settings.hold_s - 1e-6:
            return
        change, stay.change, stay.inside = stay.change, None, inside
        if inside:
            self._enter(number, track, zone, change)
        else:
            self._leave(number, track, zone, change, f"went out and stayed out {self._settings.hold_s:g} s")
        stay.first_look = False

    def _enter(self, number: int, track: _Track, zone: int, at: _Sight) -> None:
        stay, shape = track.stays[zone], self._zones[zone]
        stay.entered_s = at.time_s
        stay.label = track.label if shape.labels is None or track.label in shape.labels else None
        if stay.label is None:
            return
        how = "was first seen inside" if stay.first_look else "came in over the edge"
        track.waiting.append(
            ZoneEntered(
                **self._seen(number, zone, at),
                label=stay.label,
                reason=f"{how} and stayed {self._settings.hold_s:g} s",
            )
        )

    def _leave(self, number: int, track: _Track, zone: int, at: _Sight, reason: str) -> None:
        stay = track.stays[zone]
        if stay.label is None:
            return
        track.waiting.append(
            ZoneLeft(
                **self._seen(number, zone, at), label=stay.label, reason=reason, dwell_s=at.time_s - stay.entered_s
            )
        )

    def _seen(self, number: int, zone: int, at: _Sight) -> dict[str, Any]:
        """What every event of a zone says of the sight that it rests on."""
        return {
            "camera_id": self._camera_id,
            "time_s": at.time_s,
            "time": self._clock(at.time_s),
            "track_id": number,
            "confidence": at.confidence,
            "point": at.point,
            "zone": self._zones[zone].name,
        }

    def _lost(self, time_s: float) -> list[Event]:
        events: list[Event] = []
        gone = [n for n, track in self._tracks.items() if time_s - track.seen_s > self._settings.grace_s]
        for number in gone:
            events += self._ended(number, self._tracks.pop(number), "was lost inside, where it was last seen")
        return events

    def _ended(self, number: int, track: _Track, reason: str) -> list[Event]:
        for zone, stay in enumerate(track.stays):
            if stay.inside and stay.change is not None:
                self._leave(number, track, zone, stay.change, "went out and was not seen again")
            elif stay.inside:
                self._leave(number, track, zone, track.sight(zone), reason)
            stay.inside = False
        return self._told(track)

    @staticmethod
    def _told(track: _Track) -> list[Event]:
        """What may be said of it: nothing until it is confirmed, then everything."""
        if not track.confirmed or not track.waiting:
            return []
        events, track.waiting = track.waiting, []
        return events

    def _clock(self, time_s: float) -> datetime | None:
        return self._start and self._start + timedelta(seconds=time_s)
