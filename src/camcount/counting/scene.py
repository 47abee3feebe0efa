"""Everything that is counted at one camera: lines, zones and the flows between lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from camcount.counting.crossing import CrossingSettings
from camcount.counting.flows import FlowCounter, FlowSettings
from camcount.counting.joins import Unlike
from camcount.counting.lines import LineCounter
from camcount.counting.zones import ZoneCounter, ZoneSettings
from camcount.detections import Tracks
from camcount.events import Event
from camcount.geometry import Anchor, Line, Zone

_Shape = TypeVar("_Shape", Line, Zone)


class SceneCounter:
    """A `Counter` of crossings, visits and, with two lines or more, flows.

    ``labels`` limits what is counted where a line or a zone does not say so itself; ``unlike``, if given, says how
    little two tracks look alike when one may carry on the other.

    Raises:
        GeometryError: a line or a zone cannot be used in a picture of this size.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        zones: Sequence[Zone],
        width: int,
        height: int,
        *,
        anchor: Anchor = "foot",
        camera_id: str = "",
        start_time: datetime | None = None,
        labels: tuple[str, ...] | None = None,
        crossing: CrossingSettings | None = None,
        zone: ZoneSettings | None = None,
        flow: FlowSettings | None = None,
        unlike: Unlike | None = None,
    ) -> None:
        place: dict[str, Any] = {"anchor": anchor, "camera_id": camera_id, "start_time": start_time}
        self._lines = LineCounter(limited(lines, labels), width, height, settings=crossing, unlike=unlike, **place)
        self._zones = ZoneCounter(limited(zones, labels), width, height, settings=zone, **place)
        self._flows = FlowCounter(flow) if len(lines) > 1 else None

    def update(self, tracks: Tracks, time_s: float) -> list[Event]:
        """Takes one frame's tracks."""
        crossings = self._lines.update(tracks, time_s)
        events = crossings + self._zones.update(tracks, time_s)
        if self._flows is not None:
            events += self._flows.update(crossings, time_s)
        return events

    def finish(self, time_s: float) -> list[Event]:
        """Decides what is open."""
        crossings = self._lines.finish(time_s)
        events = crossings + self._zones.finish(time_s)
        if self._flows is not None:
            events += self._flows.update(crossings, time_s)
            events += self._flows.finish(time_s)
        return events

    def reset(self) -> None:
        """Forgets all tracks."""
        self._lines.reset()
        self._zones.reset()
        if self._flows is not None:
            self._flows.reset()

    def occupancy(self) -> dict[str, dict[str, int]]:
        """How many are inside each zone now, by label."""
        return self._zones.occupancy()


def limited(shapes: Sequence[_Shape], labels: tuple[str, ...] | None) -> list[_Shape]:
    """The shapes, with these labels where one does not say itself what it counts."""
    return [replace(shape, labels=labels) if shape.labels is None else shape for shape in shapes]
