"""The line doctor: what a counting line will lose, and why, from a minute or two of tracks and without the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from camcount.counting.doctor_causes import Cause, causes_of
from camcount.counting.doctor_evidence import Sign, find_signs
from camcount.counting.doctor_paths import Path, Recording, paths_of
from camcount.counting.doctor_sights import Sights, sights_at
from camcount.counting.lines import CrossingSettings, LineCounter
from camcount.events import Crossing, Event
from camcount.geometry import Line

__all__ = ["Cause", "Diagnosis", "Ledger", "Recording", "diagnose"]

Grade = Literal["good", "fair", "poor", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How likely each sign is a crossing that was missed; see ``bench/doctor.py`` for how well that holds.

    Attributes:
        entered, left: a path seen to cross, with too little of it before or after.
        near, far: a path in the open that would cross within ``near_s``, or later.
        cut: a path that would cross and ends at the picture's edge, later than ``touch_s``: sooner is no sign, for
            there the box shrinks and its middle does not go on.
        many: how much it rises with signs per counted crossing: one is chance, many are the line's fault.
        unseen: the share that leaves no sign at all. slow: its rise per second between frames above ``slow_s``.
        prior: for so many crossings what is expected of any line weighs in.
    """

    entered: float = 0.42
    left: float = 0.42
    near: float = 0.25
    far: float = 0.1
    cut: float = 0.02
    near_s: float = 0.6
    touch_s: float = 0.15
    many: float = 0.45
    unseen: float = 0.04
    slow: float = 0.9
    slow_s: float = 0.05
    prior: float = 1.0

    def of(self, sign: Sign) -> float:
        """The odds of one sign alone."""
        if sign.kind in ("entered", "left") and not sign.broken:
            return self.entered if sign.kind == "entered" else self.left
        if sign.cut and not sign.broken:
            return self.cut if sign.away_s > self.touch_s else 0.0
        return self.near if sign.broken or sign.away_s < self.near_s else self.far

    def unseen_at(self, interval_s: float) -> float:
        """The share of crossings that leave no sign, at so many seconds between frames."""
        return min(0.3, self.unseen + self.slow * max(0.0, interval_s - self.slow_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What one line does in a recording.

    Attributes:
        line: the line. counted_in, counted_out: the crossings counted at it.
        missed: how many more there probably were.
        loss: the share of all crossings that will be missed, 0..1; None where nobody came near the line.
        causes: why, the weightiest first.
        sights: what the objects look like there.
        tracks: the ids of those that crossed it, or probably did.
    """

    line: Line
    counted_in: int
    counted_out: int
    missed: float
    loss: float | None
    causes: tuple[Cause, ...] = ()
    sights: Sights = field(default_factory=Sights)
    tracks: frozenset[int] = frozenset()

    @property
    def counted(self) -> int:
        """In both directions."""
        return self.counted_in + self.counted_out

    @property
    def grade(self) -> Grade:
        """``good``: under 12 % lost, ``fair``: under 25 %, else ``poor``."""
        if self.loss is None:
            return "unknown"
        return "good" if self.loss < 0.12 else "fair" if self.loss < 0.25 else "poor"

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "points": [[round(v, 3) for v in point] for point in self.line.points],
            "counted": {"in": self.counted_in, "out": self.counted_out},
            "expected_missed": round(self.missed, 2),
            "expected_loss": None if self.loss is None else round(self.loss, 3),
            "grade": self.grade,
            "causes": [cause.as_dict() for cause in self.causes],
            "sights": self.sights.as_dict(),
        }


class Ledger:
    """A recording made ready for as many lines as one wants to ask about."""

    def __init__(
        self, recording: Recording, *, settings: CrossingSettings | None = None, odds: Odds | None = None
    ) -> None:
        self.recording = recording
        self.settings = settings or CrossingSettings()
        self.odds = odds or Odds()
        self.paths: Mapping[int, Path] = paths_of(recording)
        self.confirmed = [path for path in self.paths.values() if path.confirmed]

    def diagnose(self, lines: Sequence[Line]) -> list[Diagnosis]:
        """What each of the lines, which may share names, loses."""
        numbered = [replace(line, name=str(k)) for k, line in enumerate(lines)]
        crossings: list[list[Crossing]] = [[] for _ in lines]
        for event in self._counted(numbered):
            if isinstance(event, Crossing):
                crossings[int(event.line)].append(event)
        return [self.judge(line, own) for line, own in zip(lines, crossings, strict=True)]

    def _counted(self, lines: Sequence[Line]) -> list[Event]:
        recording = self.recording
        counter = LineCounter(
            lines, recording.width, recording.height, anchor=recording.anchor, settings=self.settings
        )
        events = [event for time_s, tracks in recording.frames for event in counter.update(tracks, time_s)]
        return events + counter.finish(recording.end_s)

    def judge(self, line: Line, crossings: Sequence[Crossing]) -> Diagnosis:
        """What a line loses at which a counter has counted ``crossings``."""
        recording, odds = self.recording, self.odds
        points = line.at(recording.width, recording.height)
        signs = find_signs(self.paths, points, crossings, recording.begin_s, recording.end_s)
        weighed = [(sign, weight) for sign in signs if (weight := odds.of(sign)) > 0]
        moments = [(self.paths[c.track_id], c.time_s) for c in crossings if c.track_id in self.paths]
        moments = moments or [(sign.path, sign.time_s) for sign, _ in weighed]
        sights = sights_at(moments, recording.interval_s)
        n = len(crossings)
        telling = sum(s.broken or s.kind in ("entered", "left") or s.away_s < odds.near_s for s, _ in weighed)
        raised = 1 + odds.many * telling / (n + 1)
        weighed = [(sign, weight * raised) for sign, weight in weighed]
        seen = sum(weight for _, weight in weighed)
        share = odds.unseen_at(recording.interval_s)
        unseen = n * share / (1 - share)
        total = n + seen + unseen
        loss = (seen + unseen + odds.prior * share) / (total + odds.prior) if n or weighed else None
        return Diagnosis(
            line=line,
            counted_in=sum(c.direction == "in" for c in crossings),
            counted_out=sum(c.direction == "out" for c in crossings),
            missed=seen + unseen,
            loss=loss,
            causes=tuple(causes_of(line, points, recording, self.confirmed, weighed, sights, total, unseen)),
            sights=sights,
            tracks=frozenset([c.track_id for c in crossings] + [sign.path.track_id for sign, _ in weighed]),
        )


def diagnose(line: Line, recording: Recording, *, settings: CrossingSettings | None = None) -> Diagnosis:
    """What one line loses in a recording.

    Raises:
        GeometryError: the line cannot count in a picture of this size.
    """
    return Ledger(recording, settings=settings).diagnose([line])[0]
