"""How sure the counts of a whole run are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from camcount.counting.bounds import Bounds, Evidence, bounds_of, total
from camcount.counting.evidence import Finding, Witness
from camcount.counting.seen import Seen
from camcount.detections import Tracks
from camcount.events import Crossing, Event
from camcount.geometry import Anchor, Line


class Certainty:
    """Weighs the evidence for all crossings of a run, in bounded memory; ``lines`` may get longer later."""

    def __init__(self, lines: Sequence[Line], width: int, height: int, *, anchor: Anchor = "foot") -> None:
        self._witness = Witness(lines, width, height, anchor=anchor)
        self._seen = Seen()
        self._evidence: dict[tuple[str, str], Evidence] = defaultdict(Evidence)

    def update(self, tracks: Tracks, time_s: float, events: Sequence[Event]) -> list[Finding]:
        """Takes one frame; returns what is now known of earlier ones, for whoever counts by time span."""
        self._seen.frame(time_s)
        self._count(events)
        return self._weigh(self._witness.update(tracks, time_s, events))

    def finish(self, events: Sequence[Event]) -> list[Finding]:
        """Takes the events that came after the last frame; returns what was still open."""
        self._count(events)
        return self._weigh(self._witness.finish(events))

    def bounds(self, line: str) -> dict[str, Bounds]:
        """Of ``in``, ``out`` and ``total`` of a line."""
        parts = {way: self._evidence.get((line, way), Evidence()) for way in ("in", "out")}
        parts["total"] = total(parts.values())
        missed_s, seen_s = self._seen.missed_s, self._seen.seen_s
        return {w: bounds_of(e, unseen_s=missed_s, rate=(e.counted, seen_s)) for w, e in parts.items()}

    def as_dict(self, line: str) -> dict[str, Any]:
        """The bounds of a line and the share of the run that was seen, ready for JSON."""
        bounds = {way: bounds.as_dict() for way, bounds in self.bounds(line).items()}
        return {**bounds, "coverage": round(self._seen.coverage, 4)}

    def _count(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Crossing):
                self._evidence[event.line, event.direction].counted += 1

    def _weigh(self, findings: list[Finding]) -> list[Finding]:
        for finding in findings:
            self._evidence[finding.line, finding.direction].add(finding)
        return findings
