"""What tracks look like, asked only where their motion leaves open which is which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.frame import Frame
from camcount.protocols import Appearance
from camcount.tracking.association import assign, overlap
from camcount.tracking.looked import Looked
from camcount.tracking.population import Population
from camcount.tracking.table import Floats, Ints, Mask

_TO_CORNERS = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]])


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksSettings:
    """When an object is looked at, and what a look is worth; ``make bench-appearance`` measures both.

    Attributes:
        even: cosine distance at which it is as likely the same object as another.
        worth: natural logarithms of likelihood per unit of cosine distance beyond that; less than is measured on
            people in the clear, for a box that competes shows its neighbour too.
        most: a look speaks for or against a pair by no more than this.
        rival: two tracks that cost a detection less than this apart compete for it; so do two detections.
        absent_s: a track that was not seen for so long is looked at when it may be back.
        crowd: others within so many box sizes may get into a track's way: it is looked at before they do ...
        crowded_s, alone_s: ... at most every so many seconds, and if nobody is near at most every so many.
        hidden: a box hidden by a larger share than this shows somebody else: it is not looked at ...
        clear: ... and one hidden by a larger share than this is not remembered.
        share: weight of the newest look in a track's average.
        budget: at most so many tracks are looked at in one frame only to know them.
        keep_s: what a lost track looked like is known so long after it was last seen.
    """

    even: float = 0.145
    worth: float = 26.0
    most: float = 2.5
    rival: float = 2.5
    absent_s: float = 0.3
    crowd: float = 0.3
    crowded_s: float = 0.5
    alone_s: float = 2.0
    hidden: float = 0.5
    clear: float = 0.2
    share: float = 0.3
    budget: int = 4
    keep_s: float = 2.5


class Looks:
    """Remembers what the tracks of one camera look like and says, where it matters, whom a detection looks like.

    `show` comes before each frame's `weigh` and `learn`. What is asked of a box is asked once per frame. Which tracks
    are known is a table of its own, by id: ids only rise, so a look-up is one search for all tracks at once.

    Attributes:
        embedded: how many boxes were looked at so far; ``frames``: in how many frames.
    """

    def __init__(self, appearance: Appearance, settings: LooksSettings | None = None) -> None:
        self.embedded = 0
        self.frames = 0
        self._appearance = appearance
        self._settings = settings or LooksSettings()
        self._known = Looked()
        self._frame: Frame | None = None
        self._boxes: Floats | None = None

    def show(self, frame: Frame) -> None:
        """The frame whose detections come next."""
        self._frame = frame
        self._boxes = None
        self.frames += 1

    def weigh(self, cost: Floats, rows: Ints, columns: Ints, tracks: Population, limit: float) -> None:
        """Makes contested pairs of ``cost (N, M)`` dearer or cheaper by how unlike or alike they look.

        ``limit`` is the cost above which pairs are not made. A track that was never looked at has no say.
        """
        if self._frame is None or not len(self._known):
            return
        slots = self._known.slots(tracks.table.id[rows])
        contested = self._contested(cost, tracks.absent[rows], limit) & (slots >= 0)[:, None]
        if contested.any():
            contested[:, self._hidden(tracks)[columns] > self._settings.hidden] = False
        who, asked = contested.any(axis=1), contested.any(axis=0)
        if not who.any():
            return
        seen = self._embed(tracks, columns[asked])
        distance = (1 - self._known.mean[slots[who]] @ seen.T).astype(np.float64)
        part = np.ix_(who, asked)
        cost[part] += self._against(distance, contested[part], tracks.absent[rows[who]])

    def learn(self, tracks: Population) -> None:
        """Looks at tracks matched in this frame that nobody hides, if it is time to; lets go of those long lost."""
        settings, known, table = self._settings, self._known, tracks.table
        columns = np.flatnonzero(tracks.owner >= 0)
        rows = tracks.owner[columns]
        slots = known.slots(table.id[rows])
        here = slots >= 0
        known.see(slots[here], tracks.boxes[columns[here]], tracks.time_s)
        due = self._due(tracks, rows, columns, slots)
        if due.any() and self._frame is not None:
            known.take(table.id[rows[due]], self._embed(tracks, columns[due]), settings.share, tracks.time_s)
            known.see(known.slots(table.id[rows[due]]), tracks.boxes[columns[due]], tracks.time_s)
        known.forget(tracks.time_s - settings.keep_s)

    def unlike(self, one: int, other: int) -> float | None:
        """How little two tracks look alike: -1 like one object, 0 either way, 1 like two; None if it is not known."""
        slots = self._known.slots(np.array([one, other]))
        if (slots < 0).any():
            return None
        a, b = self._known.mean[slots]
        settings = self._settings
        return float(np.clip(settings.worth * (1 - a @ b - settings.even) / settings.most, -1, 1))

    def as_dict(self) -> dict[str, float]:
        """How many boxes were looked at, in all and per frame, ready for JSON."""
        return {"embeddings": self.embedded, "per_frame": round(self.embedded / max(self.frames, 1), 3)}

    def reset(self) -> None:
        """Forgets all tracks."""
        self._known = Looked()
        self._boxes = None

    def _against(self, distance: Floats, contested: Mask, absent: Floats) -> Floats:
        """What looks say against each pair, in natural logarithms; nothing where it is not contested.

        Among tracks that were there a moment ago only differences count: who is hidden in part is unlike everybody.
        """
        settings = self._settings
        against = np.where(contested, settings.worth * (distance - settings.even), np.inf)
        best = np.minimum(against.min(axis=1)[:, None], against.min(axis=0))
        here = absent <= settings.absent_s
        against[here] -= np.maximum(best[here], 0.0)
        return np.where(contested, np.clip(against, -settings.most, settings.most), 0.0)

    def _contested(self, cost: Floats, absent: Floats, limit: float) -> Mask:
        """Pairs whose opposite is nearly as good, and those of tracks that were away: motion leaves them open."""
        settings = self._settings
        contested = np.zeros(cost.shape, np.bool_)
        rows, columns = assign(cost, limit)
        own = cost[rows, columns]
        among = cost[np.ix_(rows, columns)]
        other = among + among.T - own[:, None] - own < settings.rival  # two pairs with their partners changed
        np.fill_diagonal(other, False)
        other |= other.T
        free_rows, free_columns = _left(len(cost), rows), _left(cost.shape[1], columns)
        vacant = cost[np.ix_(rows, free_columns)] - own[:, None] < settings.rival
        spare = cost[np.ix_(free_rows, columns)] - own < settings.rival
        contested[np.ix_(rows, columns)] = other
        contested[np.ix_(rows, free_columns)] = vacant
        contested[np.ix_(free_rows, columns)] = spare
        doubtful = other.any(axis=1) | vacant.any(axis=1) | spare.any(axis=0) | (absent[rows] > settings.absent_s)
        contested[rows[doubtful], columns[doubtful]] = True
        contested[np.ix_(free_rows, free_columns)] = (absent[free_rows] > settings.absent_s)[:, None]
        return np.asarray(contested & (cost < limit + settings.most))

    def _due(self, tracks: Population, rows: Ints, columns: Ints, slots: Ints) -> Mask:
        settings, table = self._settings, tracks.table
        boxes = tracks.boxes[columns]
        since = np.where(slots >= 0, tracks.time_s - self._known.looked_at(slots), np.inf)
        near = self._near(boxes, tracks)
        due = (table.confirmed[rows] > 0) & (since >= np.where(near, settings.crowded_s, settings.alone_s))
        if np.count_nonzero(due) > settings.budget:
            due[np.argsort(-np.where(due, since, -1.0), kind="stable")[settings.budget :]] = False
        if self._boxes is tracks.boxes:  # what was looked at anyway costs nothing
            due |= self._done[columns] & (since >= settings.crowded_s)
        due &= self._hidden(tracks)[columns] <= settings.clear
        born = table.hits[rows] == 1
        if born.any():
            due[born] |= self._known.near_lost(boxes[born], tracks.time_s)
        return due

    def _hidden(self, tracks: Population) -> Floats:
        """What share of each of the frame's boxes another one in front of it covers."""
        boxes = tracks.boxes
        foot = boxes[:, 1] + boxes[:, 3] / 2
        reach = (boxes[:, None, 2:] + boxes[:, 2:]) / 2 - np.abs(boxes[:, None, :2] - boxes[:, :2])
        common = np.clip(np.minimum(reach, np.minimum(boxes[:, None, 2:], boxes[:, 2:])), 0, None).prod(axis=2)
        common[foot <= foot[:, None]] = 0
        return np.asarray(common.max(axis=1, initial=0.0) / boxes[:, 2:].prod(axis=1))

    def _near(self, boxes: Floats, tracks: Population) -> Mask:
        """Which of ``boxes (k, 4)`` others may soon get in the way of."""
        return np.asarray((overlap(boxes, tracks.boxes, self._settings.crowd) > 0).sum(axis=1) > 1)

    def _embed(self, tracks: Population, columns: Ints) -> NDArray[np.float32]:
        """The looks ``(k, D)`` of this frame's detections ``columns (k,)``."""
        if self._boxes is not tracks.boxes:
            self._boxes = tracks.boxes
            self._done = np.zeros(len(tracks.boxes), np.bool_)
            self._seen = np.zeros((len(tracks.boxes), 0), np.float32)
        new = columns[~self._done[columns]]
        if len(new) and self._frame is not None:
            found = self._appearance.embed(self._frame, (tracks.boxes[new] @ _TO_CORNERS).astype(np.float32))
            if not self._seen.shape[1]:
                self._seen = np.zeros((len(tracks.boxes), found.shape[1]), np.float32)
            self._seen[new] = found
            self._done[new] = True
            self.embedded += len(new)
        return self._seen[columns]


def _left(count: int, taken: Ints) -> Ints:
    """The numbers below ``count`` that are not among ``taken``."""
    return np.delete(np.arange(count), taken)
