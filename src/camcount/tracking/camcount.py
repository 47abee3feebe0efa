"""The tracker made for counting: parts of several published ones, every duration in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camcount.detections import Detections, Tracks
from camcount.tracking.association import assign, distance, height_ratio, overlap
from camcount.tracking.motion import Noise
from camcount.tracking.population import Life, Population
from camcount.tracking.table import Floats, Ints

_NEVER = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class CamcountSettings:
    """What the tracker takes for the same object.

    Attributes:
        high: confidence from which on a detection is associated first and may start a track.
        birth: confidence that starts a track.
        low: confidence below which a detection is not looked at.
        reach: how many standard deviations of the predicted place a detection may be off.
        least_reach: the same in box heights, at least.
        place: weight of the centre distance in the cost; the rest is the buffered overlap.
        margin, margin_per_s: the buffer in box sizes, and how it grows while a track is not seen.
        least_height_ratio: boxes more different in height than this do not match.
        stranger: cost of a class of another kind (a person for a vehicle).
    """

    high: float = 0.4
    birth: float = 0.4
    low: float = 0.1
    reach: float = 3.0
    least_reach: float = 0.35
    place: float = 0.6
    margin: float = 0.1
    margin_per_s: float = 0.6
    least_height_ratio: float = 0.6
    low_limit: float = 0.7
    stranger: float = 0.3


class CamcountTracker:
    """Follows objects for counting, from 1 to 60 frames a second.

    Two association stages by confidence (ByteTrack, Zhang et al. 2022); cost of buffered overlap (C-BIoU, Yang et
    al. 2023) and centre distance in units of how uncertain the predicted place is, which keeps low frame rates and
    gaps together; motion by a Kalman filter in seconds whose gaps are repaired from the observations (OC-SORT, Cao
    et al. 2023); class by vote.
    """

    def __init__(
        self,
        settings: CamcountSettings | None = None,
        life: Life | None = None,
        noise: Noise | None = None,
    ) -> None:
        self._settings = settings or CamcountSettings()
        self._all = Population(life or Life(), noise or Noise())

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The tracks matched at ``time_s``."""
        tracks, settings = self._all, self._settings
        tracks.begin(detections, time_s)
        if not len(detections):
            return Tracks.empty(detections.labels)
        sure = tracks.score >= settings.high
        high = np.flatnonzero(sure)
        if tracks.table.n:
            self._associate(np.arange(tracks.table.n), high, 1.0)
            if len(high) < len(sure):
                low = np.flatnonzero(~sure & (tracks.score >= settings.low))
                self._associate(tracks.free(), low, settings.low_limit)
        left = high[tracks.owner[high] < 0]
        tracks.bear(left[tracks.score[left] >= settings.birth])
        return tracks.tracks()

    def reset(self) -> None:
        """Forgets all tracks; ids go on."""
        self._all.reset()

    def _associate(self, rows: Ints, columns: Ints, limit: float) -> None:
        if not (len(rows) and len(columns)):
            return
        pairs = assign(self._cost(rows, columns), limit)
        self._all.match(rows[pairs[0]], columns[pairs[1]])

    def _cost(self, rows: Ints, columns: Ints) -> Floats:
        tracks, settings = self._all, self._settings
        table = tracks.table
        box, found = table.box[rows], tracks.boxes[columns]
        spread = np.sqrt(table.variance[rows, 0] + tracks.noise.measured**2)
        reach = np.maximum(settings.reach * spread, settings.least_reach) * box[:, 3]
        away = distance(box, found) / reach[:, None]
        margin = settings.margin + settings.margin_per_s * np.minimum(tracks.absent[rows], 1.0)
        cost = settings.place * away + (1 - settings.place) * (1 - overlap(box, found, margin))
        cost[(away > 1) | (height_ratio(box, found) < settings.least_height_ratio)] = _NEVER
        return np.asarray(cost)
