"""What all trackers share: the life of a track from its first detection to its eviction, in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camcount.detections import Detections, Tracks
from camcount.tracking.motion import Noise, begin, correct, predict, refit
from camcount.tracking.table import LAST, SCORE, SEEN, TO_CENTRE, VOTE, Floats, Ints, TrackTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How long tracks live, in seconds.

    Attributes:
        confirm_hits, confirm_s, confirm_score: a track is confirmed after so many matches over so long a time, if
            its recent confidence is so high: a part of a car that was taken for a car once is not.
        keep_s: a confirmed track that is not seen is kept so long, and at least ``keep_intervals`` frames.
        keep_tentative_s: the same for a track not yet confirmed.
        settle_s: seconds of contradicting evidence that change a settled class.
        refit_s: a gap from which on the motion is fitted anew to what was observed on both sides of it.
    """

    confirm_hits: int = 3
    confirm_s: float = 0.1
    confirm_score: float = 0.0
    keep_s: float = 1.5
    keep_tentative_s: float = 0.4
    keep_intervals: float = 3.0
    settle_s: float = 1.0
    refit_s: float = 0.25


class Population:
    """The tracks of one camera and the detections of the frame at hand.

    Between `begin` and `tracks` a tracker hands out detections with `match` and `bear`; indices into the table are
    *rows*, into the detections *columns*.

    Attributes:
        table: the living tracks, predicted to the frame's time.
        boxes: ``(m, 4)`` the frame's detections as centre and size.
        score, class_id: ``(m,)`` their confidence and class.
        owner: ``(m,)`` the row each detection went to, or -1.
        absent: ``(n,)`` seconds since each track was last matched.
        interval_s: the usual time between frames.
    """

    def __init__(self, life: Life, noise: Noise) -> None:
        self.table = TrackTable()
        self.life = life
        self.noise = noise
        self.time_s = 0.0
        self.interval_s = 0.0
        self._started = False
        self._load(Detections.empty())

    def begin(self, detections: Detections, time_s: float) -> None:
        """Moves every track to ``time_s``, lets go of those lost too long and takes the detections in."""
        dt = max(0.0, time_s - self.time_s) if self._started else 0.0
        if self._started and dt > 0:
            usual = self.interval_s or dt
            self.interval_s = usual + 0.1 * (min(dt, 4 * usual) - usual)
        self._started = True
        self.time_s = max(time_s, self.time_s)
        self._evict()
        predict(self.table, dt, self.noise)
        self.absent = self.time_s - self.table.seen
        self._taken = np.zeros(self.table.n, np.bool_)
        self._load(detections)

    def free(self) -> Ints:
        """The rows not matched in this frame yet."""
        return np.flatnonzero(~self._taken)

    def match(self, rows: Ints, columns: Ints) -> None:
        """Continues tracks ``rows (k,)`` with detections ``columns (k,)``."""
        if not len(rows):
            return
        table, boxes = self.table, self.boxes[columns]
        block, absent = table.floats[rows], self.absent[rows]
        correct(block, boxes, self.noise)
        gap = absent > max(self.life.refit_s, 1.9 * self.interval_s)
        if gap.any():
            refit(block, gap, boxes, absent, self.noise)
        self._vote(block, rows, columns)
        block[:, LAST] = boxes
        block[:, SEEN] = self.time_s
        block[:, SCORE] += 0.2 * (self.score[columns] - block[:, SCORE])
        table.floats[rows] = block
        table.hits[rows] += 1
        self.owner[columns] = rows
        self._taken[rows] = True
        self._confirm()

    def bear(self, columns: Ints) -> None:
        """Starts a track from each detection of ``columns (k,)``."""
        if not len(columns):
            return
        rows = self.table.add(
            self.boxes[columns], self.class_id[columns].astype(np.int64), self.score[columns], self.time_s
        )
        begin(self.table, rows, self.noise)
        self.owner[columns] = rows
        if self.life.confirm_hits <= 1:
            self._confirm()

    def tracks(self) -> Tracks:
        """The tracks matched in this frame, as their detections saw them, in the order of the detections."""
        columns = np.flatnonzero(self.owner >= 0)
        rows = self.owner[columns]
        table, found = self.table, self._detections
        return Tracks(
            found.xyxy[columns],
            found.confidence[columns],
            table.class_id[rows].astype(np.int32),
            table.id[rows],
            table.confirmed[rows] > 0,
            found.labels,
        )

    def reset(self) -> None:
        """Forgets the tracks; ids go on."""
        self.table.clear()
        self._started = False
        self.time_s = self.interval_s = 0.0
        self._load(Detections.empty())

    def _load(self, detections: Detections) -> None:
        self._detections = detections
        self.boxes = detections.xyxy @ TO_CENTRE
        np.maximum(self.boxes[:, 2:], 1.0, out=self.boxes[:, 2:])
        self.score = detections.confidence.astype(np.float64)
        self.class_id = detections.class_id
        self.owner = np.full(len(detections), -1, np.int64)

    def _evict(self) -> None:
        table, life = self.table, self.life
        if not table.n:
            return
        absent = self.time_s - table.seen
        least = life.keep_intervals * self.interval_s
        if absent.max() <= max(life.keep_tentative_s, least):
            return
        keep_s = np.where(table.confirmed > 0, max(life.keep_s, least), max(life.keep_tentative_s, least))
        alive = absent <= keep_s
        if not alive.all():
            table.keep(alive)

    def _vote(self, block: Floats, rows: Ints, columns: Ints) -> None:
        table, seen = self.table, self.class_id[columns]
        weight = self.score[columns] * max(self.interval_s, 1e-3)
        agree = table.class_id[rows] == seen
        if agree.all():
            vote = block[:, VOTE] + weight
        else:
            vote = block[:, VOTE] + np.where(agree, weight, -weight)
            table.class_id[rows[vote < 0]] = seen[vote < 0]
            vote = np.abs(vote)
        block[:, VOTE] = np.minimum(vote, max(self.life.settle_s, 3 * self.interval_s))

    def _confirm(self) -> None:
        table, life = self.table, self.life
        young = np.flatnonzero(table.confirmed == 0)
        if len(young):
            old = self.time_s - table.born[young] >= life.confirm_s - 1e-9
            sure = table.floats[young, SCORE] >= life.confirm_score
            table.confirmed[young] = (table.hits[young] >= life.confirm_hits) & old & sure
