"""OC-SORT: Observation-Centric SORT (Cao, Pang, Weng, Khirodkar, Kitani, CVPR 2023)."""

from __future__ import annotations

import numpy as np

from camcount.detections import Detections, Tracks
from camcount.tracking.association import assign, overlap
from camcount.tracking.motion import Noise
from camcount.tracking.population import Life, Population
from camcount.tracking.table import Floats, Ints


class OcSortTracker:
    """SORT that trusts observations over its own estimates.

    The paper's three parts: momentum (a pair whose direction of motion agrees with the track's is cheaper,
    ``momentum`` weighs it), recovery (what is left is compared with where tracks were last *seen*), and the
    re-update after a gap (`camcount.tracking.motion.refit`). The direction is taken between the last observation
    and the velocity fitted to the observations before it.
    """

    def __init__(
        self,
        *,
        high: float = 0.4,
        least_iou: float = 0.3,
        momentum: float = 0.2,
        keep_s: float = 1.0,
        noise: Noise | None = None,
    ) -> None:
        self._high = high
        self._least_iou = least_iou
        self._momentum = momentum
        life = Life(keep_s=keep_s, keep_tentative_s=0.2, confirm_s=0.06, refit_s=0.05)
        self._all = Population(life, noise or Noise())

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The tracks matched at ``time_s``."""
        tracks = self._all
        tracks.begin(detections, time_s)
        columns = np.flatnonzero(tracks.score >= self._high)
        rows = np.arange(tracks.table.n)
        self._associate(rows, columns, overlap(tracks.table.box, tracks.boxes[columns]), self._momentum)
        rows, columns = tracks.free(), columns[tracks.owner[columns] < 0]
        self._associate(rows, columns, overlap(tracks.table.last[rows], tracks.boxes[columns]), 0.0)
        tracks.bear(columns[tracks.owner[columns] < 0])
        return tracks.tracks()

    def reset(self) -> None:
        """Forgets all tracks; ids go on."""
        self._all.reset()

    def _associate(self, rows: Ints, columns: Ints, iou: Floats, momentum: float) -> None:
        if not (len(rows) and len(columns)):
            return
        tracks = self._all
        cost = 1 - iou
        if momentum:
            cost = cost - momentum * self._agreement(rows, columns) * tracks.score[columns]
        cost[iou < self._least_iou] = np.inf
        found, taken = assign(np.minimum(cost, 1e3), 1.0)
        tracks.match(rows[found], columns[taken])

    def _agreement(self, rows: Ints, columns: Ints) -> Floats:
        """How well the way from the last sight to each detection keeps the direction, 0.5 (same) to -0.5."""
        table, boxes = self._all.table, self._all.boxes
        way = boxes[columns, None, :2] - table.last[rows, :2]
        course = table.velocity[rows, :2]
        lengths = np.hypot(way[..., 0], way[..., 1]) * np.hypot(course[:, 0], course[:, 1])
        cosine = (way * course).sum(axis=2) / np.maximum(lengths, 1e-9)
        moving = lengths > 1e-9
        angle = np.arccos(np.clip(cosine, -1, 1))
        return np.asarray(np.where(moving, 0.5 - angle / np.pi, 0.0).T)
