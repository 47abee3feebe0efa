"""Counts tracks over lines: the swept path of the counted point, decided by time and dated when it happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from camcount.counting.bodies import Bodies, BodySettings, Floats, Ints
from camcount.counting.crossing import CrossingSettings, Open, kept, kept_at_end
from camcount.counting.ends import Ends, Guess
from camcount.counting.joins import Unlike, continued
from camcount.counting.sides import Sides
from camcount.detections import Tracks
from camcount.events import Crossing, Event
from camcount.geometry import Anchor, Line

__all__ = ["CrossingSettings", "LineCounter"]

_CHECK_S = 0.1


class LineCounter:
    """A `Counter` of crossings.

    Per frame all tracks and lines are looked at in a few array operations; only a track that has just changed
    sides costs more. The state of a track is let go when it has not been seen for some seconds.

    Raises:
        GeometryError: a line cannot count.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        width: int,
        height: int,
        *,
        anchor: Anchor = "foot",
        camera_id: str = "",
        start_time: datetime | None = None,
        settings: CrossingSettings | None = None,
        bodies: BodySettings | None = None,
        unlike: Unlike | None = None,
    ) -> None:
        self._unlike = unlike
        self._lines = tuple(lines)
        self._sides = Sides(lines, width, height, anchor)
        self._camera_id = camera_id
        self._start_time = start_time
        self._settings = settings or CrossingSettings()
        self._body_settings = bodies or BodySettings()
        self.reset()

    def reset(self) -> None:
        """Forgets all tracks."""
        self._bodies = Bodies(self._body_settings)
        self._ends = Ends(self._bodies, self._sides, self._settings)
        shape = (self._bodies.capacity, len(self._lines))
        self._signed, self._depth, self._since, self._counted = (np.zeros(shape) for _ in range(4))
        self._settled = np.zeros(shape, np.int8)
        self._ended = np.zeros(shape[0], np.bool_)
        self._open: dict[tuple[int, int], Open] = {}
        self._unconfirmed: dict[int, list[Crossing]] = {}
        self._labels: tuple[str, ...] = ()
        self._interval_s = 0.0
        self._begun_s: float | None = None
        self._time_s = 0.0
        self._next_check = -np.inf

    def update(self, tracks: Tracks, time_s: float) -> list[Event]:
        """The crossings understood with this frame."""
        events: list[Event] = []
        if time_s > self._time_s + self._body_settings.memory_s:
            events += self._tidy(time_s)  # before anybody is taken for who was there then
        time_s = self._tick(time_s)
        if len(tracks):
            self._labels = tracks.labels
            slots, places = self._locate(tracks, time_s)
            self._advance(slots, places, time_s)
            events += self._decide() if self._open else []
            events += self._release() if self._unconfirmed else []
            events += self._guessed(self._ends.before(self._begun_s or 0.0, self._interval_s))
        if time_s >= self._next_check:
            self._next_check = time_s + _CHECK_S
            events += self._tidy(time_s)
        return sorted(events, key=lambda e: e.time_s)

    def finish(self, time_s: float) -> list[Event]:
        """What was still open."""
        events = self._end(np.inf)
        self.reset()
        return sorted(events, key=lambda e: e.time_s)

    def _tick(self, time_s: float) -> float:
        if self._begun_s is None:
            self._begun_s = self._time_s = time_s
        dt = time_s - self._time_s
        if dt > 0:
            usual = self._interval_s or dt
            self._interval_s = usual + 0.1 * (min(dt, 4 * usual) - usual)
            self._time_s = time_s
        return self._time_s

    def _locate(self, tracks: Tracks, time_s: float) -> tuple[Ints, Floats]:
        """Slots and places of the tracks whose boxes are to be trusted; new tracks get theirs."""
        bodies = self._bodies
        known = bodies.slot_of
        ids = tracks.track_id.tolist()
        new = [row for row, number in enumerate(ids) if number not in known]
        fresh = [row for row in new if not self._admit(ids, row, tracks, time_s)]
        slots = np.array([known[number] for number in ids], np.int64)
        bodies.class_id[slots] = tracks.class_id
        bodies.confirmed[slots] = tracks.confirmed
        places = bodies.measure(slots, tracks, time_s, self._interval_s)
        for row in fresh:
            self._introduce(int(slots[row]), places[row], float(tracks.confidence[row]), time_s)
        bodies.seen[slots] = time_s
        self._ended[slots] = False
        sure = bodies.trusted(slots, tracks)
        if not sure.all():
            bodies.doubt(slots[~sure], places[~sure], time_s)
            slots, places = slots[sure], places[sure]
        return slots, bodies.steadied(slots, places, time_s)

    def _admit(self, ids: list[int], row: int, tracks: Tracks, time_s: float) -> bool:
        """Gives a new id a slot; True if it is that of an ended track which it continues."""
        bodies = self._bodies
        present = {bodies.slot_of[number] for number in ids if number in bodies.slot_of}
        ended = continued(bodies, tracks.xyxy[row], present, time_s, self._settings, ids[row], self._unlike)
        if ended is not None:
            bodies.hand_over(ended, ids[row])
            return True
        if bodies.full:
            bodies.grow(2 * bodies.capacity)
            for name in ("_signed", "_depth", "_since", "_counted", "_settled", "_ended"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old)]))
        bodies.take_slot(ids[row])
        return False

    def _introduce(self, slot: int, place: Floats, confidence: float, time_s: float) -> None:
        self._bodies.start(slot, place, confidence, time_s)
        self._ends.born(slot, place, time_s)
        self._signed[slot] = self._sides.signed(place[None])[0]
        self._depth[slot] = np.abs(self._signed[slot]) / self._bodies.height[slot]
        self._since[slot] = time_s
        self._settled[slot] = 0
        self._counted[slot] = -np.inf

    def _advance(self, slots: Ints, places: Floats, time_s: float) -> None:
        signed = self._sides.signed(places)
        turned = (signed > 0) != (self._signed[slots] > 0)
        if turned.any():
            for row, line in zip(*(v.tolist() for v in np.nonzero(turned)), strict=True):
                self._turn(int(slots[row]), line, places[row], float(signed[row, line]), time_s)
        depth = np.abs(signed) / self._bodies.height[slots][:, None]
        self._depth[slots] = np.maximum(self._depth[slots], depth)
        self._signed[slots] = signed
        self._bodies.move(slots, places, time_s)

    def _turn(self, slot: int, line: int, place: Floats, signed: float, time_s: float) -> None:
        """Notes that the path of ``slot`` has just changed to the other side of ``line``."""
        bodies, key = self._bodies, (slot, line)
        before, start = float(self._signed[slot, line]), float(bodies.time[slot])
        way, now = before / (before - signed), 1 if signed > 0 else -1
        change = self._open.get(key)
        if change is None:
            since, depth = float(self._since[slot, line]), float(self._depth[slot, line])
            change = self._open[key] = Open(self._home(slot, line, -now, start - since, depth), depth, since)
        met = self._sides.crossed(bodies.place[slot], place, line)
        if met is not None:
            direction, way = met
            change.net += direction
        change.gap_s = time_s - start
        change.time_s = start + way * change.gap_s
        (x0, y0), (x1, y1) = self._sides.point(bodies.place[slot], line), self._sides.point(place, line)
        change.point = (x0 + way * (x1 - x0), y0 + way * (y1 - y0))
        self._since[slot, line], self._depth[slot, line] = change.time_s, 0.0
        if change.home == now:
            del self._open[key]  # back home before it counted: as if it had never left
            self._since[slot, line], self._depth[slot, line] = change.home_since, change.home_depth

    def _home(self, slot: int, line: int, side: int, held_s: float, depth: float) -> int:
        settled = int(self._settled[slot, line])
        if settled:
            return settled
        settings = self._settings
        return side if held_s >= settings.hold_s or depth >= settings.first_clear else 0

    def _decide(self) -> list[Event]:
        events: list[Event] = []
        for (slot, line), change in list(self._open.items()):
            held_s = float(self._bodies.time[slot]) - float(self._since[slot, line])
            reason = kept(self._settings, change, held_s, float(self._depth[slot, line]))
            # what rests on the line has not crossed it, however long its box says so
            if reason is not None and not self._bodies.resting(slot):
                events += self._settle(slot, line, change, reason)
        return events

    def _settle(self, slot: int, line: int, change: Open, reason: str) -> list[Event]:
        del self._open[slot, line]
        side = 1 if self._signed[slot, line] > 0 else -1
        self._settled[slot, line] = side
        if change.home != -side or change.net * side <= 0:
            return []
        return self._issue(slot, line, side, change, reason)

    def _issue(self, slot: int, line: int, side: int, change: Open, reason: str) -> list[Event]:
        label, wanted = self._label(slot), self._lines[line].labels
        sure = float(self._bodies.confidence[slot])
        if sure < self._settings.sure or (wanted is not None and label not in wanted):
            return []
        if change.time_s - self._counted[slot, line] < self._settings.reentry_s:
            return []
        self._counted[slot, line] = change.time_s
        if change.gap_s > max(0.3, 1.9 * self._interval_s):
            reason += f", crossed while not seen for {change.gap_s:.2f} s"
        event = Crossing(
            camera_id=self._camera_id,
            time_s=change.time_s,
            time=self._clock(change.time_s),
            track_id=int(self._bodies.track_id[slot]),
            label=label,
            confidence=min(1.0, max(0.0, sure)),
            reason=reason,
            point=change.point,
            line=self._lines[line].name,
            direction="in" if side > 0 else "out",
        )
        if self._bodies.confirmed[slot]:
            return [event]
        self._unconfirmed.setdefault(slot, []).append(event)
        return []

    def _guessed(self, guesses: list[Guess]) -> list[Event]:
        events: list[Event] = []
        for guess in guesses:
            if (guess.slot, guess.line) not in self._open:
                self._settled[guess.slot, guess.line] = guess.side
                if guess.ahead:  # should it be seen again beyond the line, that is no second crossing
                    self._signed[guess.slot, guess.line] = 1e-9 * guess.side
                events += self._issue(guess.slot, guess.line, guess.side, guess.change, guess.reason)
        return events

    def _release(self) -> list[Event]:
        events: list[Event] = []
        for slot in [s for s in self._unconfirmed if self._bodies.confirmed[s]]:
            events += self._unconfirmed.pop(slot)
        return events

    def _label(self, slot: int) -> str:
        number = int(self._bodies.class_id[slot])
        return self._labels[number] if 0 <= number < len(self._labels) else str(number)

    def _clock(self, time_s: float) -> datetime | None:
        if self._start_time is None:
            return None
        return (self._start_time + timedelta(seconds=time_s)).astimezone(UTC)

    def _tidy(self, time_s: float) -> list[Event]:
        events = self._end(time_s - max(self._settings.lost_s, 2.5 * self._interval_s))
        self._forget(time_s)
        return events

    def _end(self, before: float) -> list[Event]:
        """Decides what is open about the tracks last seen before that time."""
        ended = (self._bodies.seen < before) & ~self._ended & np.isfinite(self._bodies.seen)
        if not ended.any():
            return []
        self._ended |= ended
        for slot in np.flatnonzero(ended & (self._bodies.doubtful_time > self._bodies.time)).tolist():
            # nothing better comes any more: the last box says where the track went, doubtful as it is
            self._advance(np.array([slot]), self._bodies.doubtful[[slot]], float(self._bodies.doubtful_time[slot]))
        events: list[Event] = []
        for (slot, line), change in list(self._open.items()):
            if ended[slot] and not self._bodies.resting(slot):
                held_s = float(self._bodies.time[slot]) - float(self._since[slot, line])
                reason = kept_at_end(self._settings, change, held_s, float(self._depth[slot, line]))
                if reason is not None:
                    events += self._settle(slot, line, change, reason)
        for slot in np.flatnonzero(ended).tolist():
            events += self._guessed(self._ends.after(slot, self._interval_s))
        return events

    def _forget(self, time_s: float) -> None:
        gone = self._bodies.stale(time_s, self._settings.rest_s)
        if not len(gone):
            return
        self._bodies.let_go(gone)
        for slot in gone.tolist():
            self._ends.forget(slot)
            self._unconfirmed.pop(slot, None)
        forgotten = set(gone.tolist())
        self._open = {key: change for key, change in self._open.items() if key[0] not in forgotten}
