"""All that one camera knows between two frames: tracks, what they are about to cross, the minutes being filled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from camcount.cameras.settings import CameraSettings, zone_named
from camcount.cameras.shapes import Shapes
from camcount.counting.evidence import Finding, Witness
from camcount.counting.intervals import Interval, Intervals
from camcount.counting.seen import Seen
from camcount.detections import Detections, Tracks
from camcount.events import Event
from camcount.geometry import Line, Zone

INTERVAL_S = 60.0


class Counted:
    """Detections of one camera to events and intervals; pickled, it is the camera's checkpoint.

    Args:
        name: of the camera.
        size: of its picture, width and height in pixels.
        began: when second 0 of its time axis was.

    Raises:
        GeometryError: a line or a zone cannot be used in a picture of this size.
        UsageError: there is no such tracker.
    """

    def __init__(self, name: str, settings: CameraSettings, size: tuple[int, int], began: datetime) -> None:
        from camcount.tracking.select import tracker_for  # its SciPy takes 30 MB that a server without cameras saves

        self._name = name
        self._anchor = settings.anchor
        self._labels = settings.labels
        self._began = began
        self._lines = list(settings.lines)
        self._tracker = tracker_for(settings.tracker)
        self._seen = Seen()
        self._intervals = Intervals(INTERVAL_S, self._lines, start_time=began, zone=zone_named(settings.zone))
        self.size = size
        self._shapes = self._drawn(self._lines, settings.zones)
        self._witness = Witness(self._lines, *size, anchor=self._anchor)

    @property
    def lines(self) -> tuple[Line, ...]:
        """Where it counts."""
        return self._shapes.lines

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The same."""
        return self._shapes.zones

    def update(self, detections: Detections, time_s: float) -> tuple[Tracks, list[Event]]:
        """Takes one frame's detections."""
        tracks = self._tracker.update(detections, time_s)
        events = self._shapes.update(tracks, time_s)
        self._seen.frame(time_s)
        self._intervals.frame(time_s)
        self._note(events, self._witness.update(tracks, time_s, events))
        return tracks, events

    def idle(self, time_s: float) -> list[Event]:
        """Time went by and nothing was seen: who was here may be gone, and that is all that can be said."""
        tracks = self._tracker.update(Detections.empty(), time_s)
        events = self._shapes.update(tracks, time_s)
        self._note(events, self._witness.update(tracks, time_s, events))
        return events

    def finish(self, time_s: float) -> list[Event]:
        """The picture will be another one: decides what is open; track ids go on."""
        events = self._shapes.finish(time_s)
        self._note(events, self._witness.finish(events))
        self._tracker.reset()
        self._witness = Witness(self._lines, *self.size, anchor=self._anchor)
        return events

    def redraw(self, lines: Sequence[Line], zones: Sequence[Zone], time_s: float) -> list[Event]:
        """Counts at these from now on.

        Raises:
            GeometryError: one cannot be used; nothing has changed then.
        """
        if (tuple(lines), tuple(zones)) == (self.lines, self.zones):
            return []
        events = self._shapes.redraw(lines, zones, time_s)
        self._lines[:] = lines  # the intervals look at this very list
        self._witness = Witness(self._lines, *self.size, anchor=self._anchor)
        return events

    def resize(self, size: tuple[int, int], time_s: float) -> list[Event]:
        """The picture has another size: tracks of the old one mean nothing in it."""
        events = self.finish(time_s)
        self.size = size
        self._shapes = self._drawn(self.lines, self.zones)
        self._witness = Witness(self._lines, *size, anchor=self._anchor)
        return events

    def closed(self, time_s: float) -> list[Interval]:
        """The minutes that are over; each comes once."""
        self._intervals.passed(time_s)
        return self._intervals.closed(time_s)

    def rest(self) -> list[Interval]:
        """The minutes that are not, when no more frames will come."""
        return self._intervals.all()

    def occupancy(self) -> dict[str, int]:
        """How many are inside each zone now."""
        return self._shapes.occupancy()

    def coverage(self, time_s: float) -> float:
        """Share of the time up to ``time_s`` that was seen, 0..1."""
        seen = self._seen
        whole_s = max(time_s, (seen.last_s or 0.0) + seen.frame_s) - seen.start_s
        return min(1.0, (seen.seen_s + seen.frame_s) / whole_s) if whole_s > 0 else 0.0

    def _note(self, events: Sequence[Event], findings: Sequence[Finding]) -> None:
        for event in events:
            self._intervals.add(event)
        for finding in findings:
            self._intervals.weigh(finding)

    def _drawn(self, lines: Sequence[Line], zones: Sequence[Zone]) -> Shapes:
        return Shapes(
            lines,
            zones,
            *self.size,
            anchor=self._anchor,
            labels=self._labels,
            camera_id=self._name,
            start_time=self._began,
        )
