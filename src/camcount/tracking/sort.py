"""SORT: Simple Online and Realtime Tracking (Bewley, Ge, Ott, Ramos, Upcroft, ICIP 2016)."""

from __future__ import annotations

import numpy as np

from camcount.detections import Detections, Tracks
from camcount.tracking.association import assign, overlap
from camcount.tracking.motion import Noise
from camcount.tracking.population import Life, Population


class SortTracker:
    """Kalman prediction and one assignment by intersection over union.

    The paper's method with its frame counts turned into seconds (at 30 frames a second): detections from
    ``high`` on, pairs from an IoU of ``least_iou`` on, a track lost for ``keep_s`` is let go.
    """

    def __init__(
        self, *, high: float = 0.4, least_iou: float = 0.3, keep_s: float = 0.5, noise: Noise | None = None
    ) -> None:
        self._high = high
        self._least_iou = least_iou
        life = Life(keep_s=keep_s, keep_tentative_s=0.1, confirm_s=0.06, refit_s=np.inf)
        self._all = Population(life, noise or Noise())

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The tracks matched at ``time_s``."""
        tracks = self._all
        tracks.begin(detections, time_s)
        columns = np.flatnonzero(tracks.score >= self._high)
        rows, found = assign(1 - overlap(tracks.table.box, tracks.boxes[columns]), 1 - self._least_iou)
        tracks.match(rows, columns[found])
        tracks.bear(columns[tracks.owner[columns] < 0])
        return tracks.tracks()

    def reset(self) -> None:
        """Forgets all tracks; ids go on."""
        self._all.reset()
