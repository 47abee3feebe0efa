"""Lines and zones that can be redrawn while objects are on their way over them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from camcount.counting.flows import FlowCounter
from camcount.counting.lines import LineCounter
from camcount.counting.scene import limited
from camcount.counting.zones import ZoneCounter
from camcount.detections import Tracks
from camcount.events import Event, ZoneLeft
from camcount.geometry import Anchor, Line, Zone


class Shapes:
    """A `Counter` like `camcount.counting.scene.SceneCounter`, with a counter of its own for each line and zone.

    What is not redrawn never notices that something else is: it keeps all that it knows of each track.

    Args:
        width, height: of the picture. anchor, labels: where a line or a zone does not say.
        start_time: when second 0 was.

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
        labels: tuple[str, ...] | None = None,
        camera_id: str = "",
        start_time: datetime | None = None,
    ) -> None:
        self._size = width, height
        self._anchor: Anchor = anchor
        self._labels = labels
        self._camera_id = camera_id
        self._start_time = start_time
        self._lines: dict[Line, LineCounter] = {}
        self._zones: dict[Zone, ZoneCounter] = {}
        self._flows = FlowCounter()
        self.lines: tuple[Line, ...] = ()
        self.zones: tuple[Zone, ...] = ()
        self.redraw(lines, zones, 0.0)

    def redraw(self, lines: Sequence[Line], zones: Sequence[Zone], time_s: float) -> list[Event]:
        """Counts at these from now on; gives the visits that end because their zone is gone.

        An object whose crossing of a line that goes is not yet decided is not counted there; at a new line it counts
        from where it is now.

        Raises:
            GeometryError: as above; nothing has changed then.
        """
        wanted_lines = {line: self._lines.get(line) or self._line(line) for line in limited(lines, self._labels)}
        wanted_zones = {zone: self._zones.get(zone) or self._zone(zone) for zone in limited(zones, self._labels)}
        gone = [counter for zone, counter in self._zones.items() if zone not in wanted_zones]
        self._lines, self._zones = wanted_lines, wanted_zones
        self.lines, self.zones = tuple(lines), tuple(zones)
        return [event for counter in gone for event in counter.finish(time_s) if isinstance(event, ZoneLeft)]

    def update(self, tracks: Tracks, time_s: float) -> list[Event]:
        """Takes one frame's tracks."""
        crossings = [event for counter in self._lines.values() for event in counter.update(tracks, time_s)]
        events = sorted(crossings, key=lambda event: event.time_s)
        for counter in self._zones.values():
            events += counter.update(tracks, time_s)
        return events + self._flown(crossings, time_s)

    def finish(self, time_s: float) -> list[Event]:
        """Decides what is open; all tracks are forgotten."""
        crossings = [event for counter in self._lines.values() for event in counter.finish(time_s)]
        events = sorted(crossings, key=lambda event: event.time_s)
        for counter in self._zones.values():
            events += counter.finish(time_s)
        events += self._flown(crossings, time_s)
        if len(self.lines) > 1:
            events += self._flows.finish(time_s)
        self._flows.reset()
        return events

    def reset(self) -> None:
        """Forgets all tracks."""
        counters: list[LineCounter | ZoneCounter] = [*self._lines.values(), *self._zones.values()]
        for counter in counters:
            counter.reset()
        self._flows.reset()

    def occupancy(self) -> dict[str, int]:
        """How many are inside each zone now."""
        inside = (counter.occupancy() for counter in self._zones.values())
        return {name: sum(by_label.values()) for zone in inside for name, by_label in zone.items()}

    def _flown(self, crossings: Sequence[Event], time_s: float) -> list[Event]:
        return list(self._flows.update(crossings, time_s)) if len(self.lines) > 1 else []

    def _line(self, line: Line) -> LineCounter:
        return LineCounter([line], *self._size, **self._where())

    def _zone(self, zone: Zone) -> ZoneCounter:
        return ZoneCounter([zone], *self._size, **self._where())

    def _where(self) -> dict[str, Any]:
        return {"anchor": self._anchor, "camera_id": self._camera_id, "start_time": self._start_time}
