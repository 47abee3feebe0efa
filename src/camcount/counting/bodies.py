"""What a counter remembers of each track: where it was, how tall it is, when it was seen; in slots of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Tracks

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

TO_PLACE = np.array([[0.5, 0, 0.5, 0], [0, 0, 0, 0.5], [0.5, 0, 0.5, 0], [0, 1, 0, 0.5]])
"""``xyxy @ TO_PLACE`` is foot x, foot y, centre x, centre y."""

_BUCKETS = 12
_COLUMNS = 21
_KNOWN = 3.0
"""A track's speed is known after so many times ``steady_s``."""
_PIECE_S = 0.5
"""A track's course is taken over the last one to two pieces of so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySettings:
    """How the counted point is found.

    Attributes:
        stature_s: the time over which the usual height is taken.
        stature_share: the quantile of the heights in it.
        hidden: a box lower than this share of the usual height has its legs hidden: its foot is put where it
            would be.
        trusted: a box whose confidence is below this share of the track's usual one does not move the point.
        steady_s: the point trembles with its box: what is counted is its course, from the point and its speed so far,
            which takes about so long to follow a new one.
        rest, rest_after_s: an object that stays within so many heights for so long is resting.
        memory_s: how long a track that is not seen is remembered.
    """

    stature_s: float = 1.0
    stature_share: float = 0.75
    hidden: float = 0.8
    trusted: float = 0.5
    steady_s: float = 0.1
    rest: float = 0.3
    rest_after_s: float = 5.0
    memory_s: float = 6.0


class Bodies:
    """Slots of arrays, one per track; a slot is used again after its track was let go.

    Attributes:
        place: ``(C, 4)`` last trusted foot x, y, centre x, y in pixels; ``time`` when that was, in seconds.
        doubtful, doubtful_time: the same of the last box that was not to be trusted.
        velocity: ``(C, 4)`` of the place, pixels per second, over about the last third of a second.
        seen: ``(C,)`` when the track was last seen at all; infinite for a free slot. ``born``: when first.
        height: ``(C,)`` usual height in pixels. ``confidence``: usual confidence.
        base, base_time: ``(C, 2)`` a foot point from which the track has not gone far since that time.
        class_id, track_id, confirmed: ``(C,)`` as the tracker last said.
    """

    def __init__(self, settings: BodySettings, capacity: int = 64) -> None:
        self.settings = settings
        self.slot_of: dict[int, int] = {}
        self.capacity = 0
        self._free: list[int] = []
        self._bucket = 0
        self._bucket_times = np.full(_BUCKETS, -np.inf)
        self._floats = np.zeros((0, _COLUMNS))
        self._ints = np.zeros((0, 3), np.int64)
        self._heights = np.zeros((0, _BUCKETS))
        # the beginnings of the last two pieces of each track, the earlier first: place, height, time
        self._pieces = np.zeros((0, 2, 6))
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Room for ``capacity`` tracks."""
        more = capacity - self.capacity
        self._floats = np.vstack([self._floats, np.zeros((more, _COLUMNS))])
        self._ints = np.vstack([self._ints, np.zeros((more, 3), np.int64)])
        self._heights = np.vstack([self._heights, np.full((more, _BUCKETS), np.nan)])
        self._pieces = np.concatenate([self._pieces, np.zeros((more, 2, 6))])
        self._bind()
        self.seen[self.capacity :] = np.inf
        self._free = [*range(capacity - 1, self.capacity - 1, -1), *self._free]
        self.capacity = capacity

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()  # what was a view when it was pickled is a copy now

    def _bind(self) -> None:
        f, i = self._floats, self._ints
        self.place, self.velocity, self.base = f[:, 0:4], f[:, 4:8], f[:, 8:10]
        self.time, self.seen, self.base_time, self.height, self.confidence = (f[:, k] for k in range(10, 15))
        self.doubtful, self.doubtful_time, self.born = f[:, 15:19], f[:, 19], f[:, 20]
        self.class_id, self.track_id, self.confirmed = (i[:, k] for k in range(3))

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return not self._free

    def take_slot(self, track_id: int) -> int:
        """A slot for a track not seen before; `grow` first when there is none."""
        slot = self._free.pop()
        self.slot_of[track_id] = slot
        self.track_id[slot] = track_id
        self._heights[slot] = np.nan
        return slot

    def hand_over(self, slot: int, track_id: int) -> None:
        """Lets a new id continue the track of a slot."""
        del self.slot_of[int(self.track_id[slot])]
        self.slot_of[track_id] = slot
        self.track_id[slot] = track_id

    def let_go(self, slots: Ints) -> None:
        """Frees slots."""
        self.seen[slots] = np.inf
        for slot in slots.tolist():
            del self.slot_of[int(self.track_id[slot])]
            self._free.append(slot)

    def start(self, slot: int, place: Floats, confidence: float, time_s: float) -> None:
        """The first sight of a track."""
        self.place[slot] = place
        self.velocity[slot] = 0.0
        self.base[slot] = place[:2]
        self.time[slot] = self.seen[slot] = self.base_time[slot] = self.doubtful_time[slot] = time_s
        self.born[slot] = time_s
        self.confidence[slot] = confidence
        self._pieces[slot] = *place, self.height[slot], time_s

    def measure(self, slots: Ints, tracks: Tracks, time_s: float, interval_s: float) -> Floats:
        """The places ``(n, 4)`` of the tracks, with feet put where hidden legs would end."""
        boxes = tracks.xyxy.astype(np.float64)
        height = np.maximum(boxes[:, 3] - boxes[:, 1], 1.0)
        self._remember(slots, height, time_s, interval_s)
        usual = self.height[slots]
        hidden = height < self.settings.hidden * usual
        places = boxes @ TO_PLACE
        if hidden.any():
            places[hidden, 1] = boxes[hidden, 1] + usual[hidden]
        return np.asarray(places)

    def trusted(self, slots: Ints, tracks: Tracks) -> Mask:
        """Which boxes are sure enough to say on which side of a line the track is."""
        usual = self.confidence[slots]
        confidence = tracks.confidence
        self.confidence[slots] = usual + 0.1 * (confidence - usual)
        return np.asarray(confidence >= self.settings.trusted * usual)

    def steadied(self, slots: Ints, places: Floats, time_s: float) -> Floats:
        """Places ``(n, 4)`` measured now as the course of their tracks has them: an alpha-beta filter, see `move`.

        The weight of the course falls with the time since the last measurement, so frames far apart are taken as they
        are, and is small while the speed is not known.
        """
        before, span = self.time[slots], self.settings.steady_s
        dt = (time_s - before)[:, None]
        weight = np.exp(-dt / span) * np.minimum((before - self.born[slots]) / (_KNOWN * span), 1.0)[:, None]
        course = self.place[slots] + dt * self.velocity[slots]
        return np.asarray(places + weight * (course - places))

    def doubt(self, slots: Ints, places: Floats, time_s: float) -> None:
        """Tracks ``slots`` may be at ``places (n, 4)`` now."""
        self.doubtful[slots] = places
        self.doubtful_time[slots] = time_s

    def move(self, slots: Ints, places: Floats, time_s: float) -> None:
        """Tracks ``slots`` are at ``places (n, 4)`` now."""
        dt = np.maximum(time_s - self.time[slots], 1e-6)[:, None]
        velocity = self.velocity[slots]
        share = dt / (dt + 0.15)
        self.velocity[slots] = velocity + share * ((places - self.place[slots]) / dt - velocity)
        self.place[slots] = places
        self.time[slots] = time_s
        off = places[:, :2] - self.base[slots]
        off *= off
        gone = off[:, 0] + off[:, 1] > (self.settings.rest * self.height[slots]) ** 2
        if gone.any():
            self.base[slots[gone]] = places[gone, :2]
            self.base_time[slots[gone]] = time_s
        over = time_s - self._pieces[slots, 1, 5] >= _PIECE_S
        if over.any():
            rows = slots[over]
            self._pieces[rows, 0] = self._pieces[rows, 1]
            self._pieces[rows, 1] = np.column_stack([places[over], self.height[rows], np.full(len(rows), time_s)])

    def course(self, slots: Ints) -> tuple[Floats, Floats, Floats]:
        """How the tracks went on until they were last seen, over about a second.

        Returns:
            ``(n, 4)`` velocity of the place, pixels per second; ``(n,)`` growth of the logarithm of the height per
            second; ``(n,)`` over how many seconds that was measured.
        """
        since = self._pieces[slots, 0]
        span = self.time[slots] - since[:, 5]
        over = np.maximum(span, 1e-6)
        return (
            (self.place[slots] - since[:, :4]) / over[:, None],
            np.log(np.maximum(self.height[slots], 1.0) / np.maximum(since[:, 4], 1.0)) / over,
            span,
        )

    def resting(self, slots: Ints | int) -> Mask:
        """Which of the tracks stand still; of one slot, whether it does."""
        return np.asarray(self.time[slots] - self.base_time[slots] >= self.settings.rest_after_s)

    def stale(self, time_s: float, rest_s: float) -> Ints:
        """The slots to let go: not seen for long, and if at rest, not for very long."""
        old = np.flatnonzero(self.seen < time_s - self.settings.memory_s)
        return np.asarray(old[~self.resting(old) | (self.seen[old] < time_s - rest_s)])

    def _remember(self, slots: Ints, height: Floats, time_s: float, interval_s: float) -> None:
        span = self.settings.stature_s
        if time_s >= self._bucket_times[self._bucket] + span / _BUCKETS:
            self._bucket = (self._bucket + 1) % _BUCKETS
            self._heights[:, self._bucket] = np.nan
            self._bucket_times[self._bucket] = time_s
        self._heights[slots, self._bucket] = height
        recent = self._bucket_times > time_s - max(span, 3.5 * interval_s)
        known = np.sort(self._heights[slots][:, recent], axis=1)
        count = (known == known).sum(axis=1)  # a NaN, sorted last, is not equal to itself
        rank = (self.settings.stature_share * (count - 1) + 0.5).astype(np.int64)
        self.height[slots] = known[np.arange(len(slots)), rank]
