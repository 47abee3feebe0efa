"""ByteTrack: Multi-Object Tracking by Associating Every Detection Box (Zhang et al., ECCV 2022)."""

from __future__ import annotations

import numpy as np

from camcount.detections import Detections, Tracks
from camcount.tracking.association import assign, overlap
from camcount.tracking.motion import Noise
from camcount.tracking.population import Life, Population
from camcount.tracking.table import Ints


class ByteTracker:
    """Sure detections first, then the doubtful ones for the tracks still without.

    The paper's three steps: confirmed and lost tracks with detections from ``high`` on (by IoU times confidence,
    up to a cost of ``first_limit``); confirmed tracks seen a moment ago with the detections between ``low`` and
    ``high`` (IoU, ``second_limit``); tentative tracks with what is left of the sure ones (``third_limit``). A
    detection from ``birth`` on starts a track.
    """

    def __init__(
        self,
        *,
        high: float = 0.5,
        low: float = 0.1,
        birth: float = 0.5,
        first_limit: float = 0.8,
        second_limit: float = 0.5,
        third_limit: float = 0.7,
        keep_s: float = 1.5,
        noise: Noise | None = None,
    ) -> None:
        self._high, self._low, self._birth = high, low, birth
        self._limits = first_limit, second_limit, third_limit
        life = Life(confirm_hits=2, confirm_s=0.0, keep_s=keep_s, keep_tentative_s=0.0, keep_intervals=1.5)
        self._all = Population(life, noise or Noise())

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The tracks matched at ``time_s``."""
        tracks = self._all
        tracks.begin(detections, time_s)
        high = np.flatnonzero(tracks.score >= self._high)
        low = np.flatnonzero((tracks.score >= self._low) & (tracks.score < self._high))
        confirmed = tracks.table.confirmed > 0
        first, second, third = self._limits
        self._associate(np.flatnonzero(confirmed), high, first, fused=True)
        free = tracks.free()
        recent = tracks.absent[free] <= 1.5 * tracks.interval_s
        self._associate(free[confirmed[free] & recent], low, second, fused=False)
        left = high[tracks.owner[high] < 0]
        self._associate(np.flatnonzero(~confirmed), left, third, fused=True)
        left = left[tracks.owner[left] < 0]
        tracks.bear(left[tracks.score[left] >= self._birth])
        return tracks.tracks()

    def reset(self) -> None:
        """Forgets all tracks; ids go on."""
        self._all.reset()

    def _associate(self, rows: Ints, columns: Ints, limit: float, *, fused: bool) -> None:
        tracks = self._all
        likeness = overlap(tracks.table.box[rows], tracks.boxes[columns])
        if fused:
            likeness = likeness * tracks.score[columns]
        pairs = assign(1 - likeness, limit)
        tracks.match(rows[pairs[0]], columns[pairs[1]])
