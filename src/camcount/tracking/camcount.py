"""The tracker made for counting: parts of several published ones, every duration in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camcount.detections import Detections, Tracks
from camcount.tracking.association import assign, improbability, overlap
from camcount.tracking.kinds import Kinds
from camcount.tracking.looks import Looks
from camcount.tracking.motion import Noise
from camcount.tracking.population import Life, Population
from camcount.tracking.table import Floats, Ints

_PACE_S = 0.072, 0.1
"""Times between frames that are close together, and far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CamcountSettings:
    """What the tracker takes for the same object. Costs are in natural logarithms of a likelihood.

    Attributes:
        high: confidence from which on a detection is associated first and may start a track.
        low: confidence below which a detection is not looked at.
        limit, slow_limit: cost above which a detection is somebody else, from 14 frames a second up and from 10 down:
            the farther apart frames are, the less alike are two boxes of one object.
        low_limit: what a doubtful detection must be cheaper by.
        tail: degrees of freedom of the place's distribution: small ones forgive the jumps of real boxes.
        size: standard deviation of the logarithm of the height.
        likeness: weight of the buffered overlap.
        margin, margin_per_s: the buffer in box sizes, and how it grows while a track is not seen.
        stranger: cost of a class of another kind (a person for a vehicle).
        camera, witnesses: predictions follow the camera when the median of at least so many matched tracks is off
            by more than so many box heights.
    """

    high: float = 0.45
    low: float = 0.1
    limit: float = -1.0
    slow_limit: float = 2.0
    low_limit: float = 1.0
    tail: float = 4.0
    size: float = 0.15
    likeness: float = 4.0
    margin: float = 0.05
    margin_per_s: float = 0.1
    stranger: float = 3.0
    camera: float = 0.05
    witnesses: int = 3

    def limit_at(self, interval_s: float) -> float:
        """The limit where frames are ``interval_s`` apart."""
        return float(np.interp(interval_s, _PACE_S, (self.limit, self.slow_limit)))


class CamcountTracker:
    """Follows objects for counting, from 1 to 60 frames a second.

    Two association stages by confidence (ByteTrack, Zhang et al. 2022). The cost of a pair is how improbable the
    detection is as the track's next box: a heavy-tailed distribution around the predicted place and height, as wide
    as the Kalman filter is uncertain, *with* the logarithm of that width, so that a track long unseen does not take
    a detection from one seen a moment ago; less the buffered overlap (C-BIoU, Yang et al. 2023). Gaps are repaired
    from the observations (OC-SORT, Cao et al. 2023). Where most matched tracks are off the same way, the camera has
    moved, and all predictions move with it (the idea of GMC in BoT-SORT, Aharon et al. 2022, without the picture).
    """

    def __init__(
        self,
        settings: CamcountSettings | None = None,
        life: Life | None = None,
        noise: Noise | None = None,
        looks: Looks | None = None,
    ) -> None:
        self._settings = settings or CamcountSettings()
        self._looks = looks
        self._all = Population(life or Life(confirm_score=0.35, keep_tentative_s=0.6), noise or Noise())
        self._kinds = Kinds()

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The tracks matched at ``time_s``."""
        tracks, settings = self._all, self._settings
        tracks.begin(detections, time_s)
        if not len(detections):
            return Tracks.empty(detections.labels)
        sure = tracks.score >= settings.high
        high = np.flatnonzero(sure)
        if tracks.table.n:
            self._kinds.learn(detections.labels)
            rows = np.arange(tracks.table.n)
            limit = settings.limit_at(tracks.interval_s)
            pairs = self._pairs(rows, high, limit)
            if self._followed_camera(*pairs):
                pairs = self._pairs(rows, high, limit)
            if len(high) < len(sure):
                low = np.flatnonzero(~sure & (tracks.score >= settings.low))
                more = self._pairs(np.delete(rows, pairs[0]), low, limit - settings.low_limit)
                pairs = np.concatenate([pairs[0], more[0]]), np.concatenate([pairs[1], more[1]])
            tracks.match(*pairs)
        tracks.bear(high[tracks.owner[high] < 0])
        if self._looks is not None:
            self._looks.learn(tracks)
        return tracks.tracks()

    def reset(self) -> None:
        """Forgets all tracks; ids go on."""
        self._all.reset()
        if self._looks is not None:
            self._looks.reset()

    def _followed_camera(self, rows: Ints, columns: Ints) -> bool:
        """Moves all predictions with the camera, if the pairs say that it has moved."""
        tracks, table, settings = self._all, self._all.table, self._settings
        recent = tracks.absent[rows] <= 1.5 * tracks.interval_s
        if np.count_nonzero(recent) < settings.witnesses:
            return False
        rows, columns = rows[recent], columns[recent]
        box = table.box[rows]
        off = np.sort(tracks.boxes[columns, :2] - box[:, :2], axis=0)
        shift = off[len(off) // 2]
        if np.abs(shift).max() <= settings.camera * box[:, 3].mean():
            return False
        table.box[:, :2] += shift
        return True

    def _pairs(self, rows: Ints, columns: Ints, limit: float) -> tuple[Ints, Ints]:
        if not (len(rows) and len(columns)):
            return rows[:0], columns[:0]
        cost = self._cost(rows, columns)
        if self._looks is not None:
            self._looks.weigh(cost, rows, columns, self._all, limit)
        found, taken = assign(cost, limit)
        return rows[found], columns[taken]

    def _cost(self, rows: Ints, columns: Ints) -> Floats:
        tracks, settings = self._all, self._settings
        table = tracks.table
        box, found = table.box[rows], tracks.boxes[columns]
        spread = table.variance[rows, 0] + tracks.noise.measured**2
        cost = improbability(box, found, spread, settings.tail, settings.size)
        margin = settings.margin + settings.margin_per_s * np.minimum(tracks.absent[rows], 1.0)
        cost -= settings.likeness * overlap(box, found, margin)
        strange = self._kinds.differ(table.class_id[rows], tracks.class_id[columns])
        if strange is not None:
            cost += settings.stranger * strange
        return cost
