"""Events to totals: what a run tells at its end, and at any moment before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from camcount.counting.samples import Sample
from camcount.counting.zones import ENDED
from camcount.events import Crossing, Direction, Event, FlowCompleted, ZoneEntered, ZoneLeft
from camcount.geometry import Line, Zone

Both = dict[Direction, int]


class Totals:
    """Running totals per line, zone and flow, each by label. A line without a crossing is there with zeros.

    Who is still inside a zone when the source ends is in its occupancy, not in its exits; the time there is in
    the dwell.
    """

    def __init__(self, lines: Sequence[Line], zones: Sequence[Zone]) -> None:
        self._lines: dict[str, dict[str, Both]] = {line.name: {} for line in lines}
        self._zones: dict[str, _ZoneTotals] = {zone.name: _ZoneTotals() for zone in zones}
        self._flows: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add_line(self, line: Line) -> None:
        """A line that came later; it starts at zero, and keeps its count if it is known."""
        self._lines.setdefault(line.name, {})

    def add(self, event: Event) -> None:
        """Counts one event; of kinds that it does not know, nothing."""
        match event:
            case Crossing():
                by_label = self._lines.setdefault(event.line, {})
                by_label.setdefault(event.label, {"in": 0, "out": 0})[event.direction] += 1
            case ZoneEntered() | ZoneLeft():
                self._zones.setdefault(event.zone, _ZoneTotals()).add(event)
            case FlowCompleted():
                self._flows[event.origin, event.destination][event.label] += 1
            case _:
                pass

    def matrix(self, label: str | None = None) -> dict[str, dict[str, int]]:
        """Origin -> destination -> how many, over all lines; of one label or of all."""
        rows = {origin: dict.fromkeys(self._lines, 0) for origin in self._lines}
        for (origin, destination), by_label in self._flows.items():
            count = sum(by_label.values()) if label is None else by_label.get(label, 0)
            rows.setdefault(origin, {})[destination] = count
        return rows

    def as_dict(self) -> dict[str, Any]:
        """``lines``, ``zones`` and ``flows``, ready for JSON; seconds are rounded to milliseconds."""
        return {
            "lines": {name: _line(by_label) for name, by_label in self._lines.items()},
            "zones": {name: zone.as_dict() for name, zone in self._zones.items()},
            "flows": [
                {"from": origin, "to": destination, "count": sum(by_label.values()), "by_label": dict(by_label)}
                for (origin, destination), by_label in sorted(self._flows.items())
            ],
        }


class _ZoneTotals:
    def __init__(self) -> None:
        self._by_label: dict[str, dict[str, int]] = {}
        self._dwell = Sample()

    def add(self, event: ZoneEntered | ZoneLeft) -> None:
        counts = self._by_label.setdefault(event.label, {"entries": 0, "exits": 0})
        if isinstance(event, ZoneEntered):
            counts["entries"] += 1
            return
        self._dwell.add(event.dwell_s)
        if event.reason != ENDED:
            counts["exits"] += 1

    def as_dict(self) -> dict[str, Any]:
        by_label = {
            label: {**counts, "occupancy": counts["entries"] - counts["exits"]}
            for label, counts in self._by_label.items()
        }
        dwell = {"mean": self._dwell.mean, "median": self._dwell.quantile(0.5), "max": self._dwell.highest}
        return {
            **{key: sum(c[key] for c in by_label.values()) for key in ("entries", "exits", "occupancy")},
            "dwell_s": {name: None if value is None else round(value, 3) for name, value in dwell.items()},
            "by_label": by_label,
        }


def _line(by_label: dict[str, Both]) -> dict[str, Any]:
    return {
        "in": sum(counts["in"] for counts in by_label.values()),
        "out": sum(counts["out"] for counts in by_label.values()),
        "by_label": {label: dict(counts) for label, counts in by_label.items()},
    }
