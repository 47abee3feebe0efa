"""Tracks against true tracks: HOTA, IDF1 and MOTA as the trackeval library computes them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.errors import SourceError, UsageError
from camcount.geometry import iou_matrix
from camcount.tracking.mot_rows import Rows, tracked_rows

_PEDESTRIAN = 1
_DISTRACTORS = (2, 7, 8, 12)
"""MOTChallenge classes that look like pedestrians: on a vehicle, standing still in a poster, …, a reflection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingScore:
    """One sequence.

    Attributes:
        hota, deta, assa: higher order tracking accuracy and its detection and association halves, the mean over
            IoU thresholds 0.05 to 0.95, 0..1 (Luiten et al. 2021).
        idf1: share of boxes that carry the right id, 0..1 (Ristani et al. 2016).
        mota: 1 minus misses, false boxes and switches per true box, at most 1 (Bernardin and Stiefelhagen 2008).
        idsw, fp, fn: id switches, false boxes, missed boxes at IoU 0.5.
        frames, boxes, tracks: of the truth.
    """

    hota: float
    deta: float
    assa: float
    idf1: float
    mota: float
    idsw: int
    fp: int
    fn: int
    frames: int
    boxes: int
    tracks: int

    def as_dict(self) -> dict[str, float | int]:
        """Ready for JSON, under the names that the literature uses."""
        return {
            "HOTA": self.hota,
            "DetA": self.deta,
            "AssA": self.assa,
            "IDF1": self.idf1,
            "MOTA": self.mota,
            "IDSW": self.idsw,
            "FP": self.fp,
            "FN": self.fn,
            "frames": self.frames,
            "boxes": self.boxes,
            "tracks": self.tracks,
        }


def evaluate_tracking(tracks: Path, truth: Path) -> TrackingScore:
    """Scores a tracks file against a ground-truth file, both MOTChallenge.

    True boxes marked with score 0 are left out. If the truth has the nine columns of MOT16 and later, only
    pedestrians count, and tracks on what looks like one (posters, reflections, riders) are neither right nor
    wrong, as the benchmark does it.

    Raises:
        SourceError: a file cannot be read, or the truth holds nothing to compare with.
        UsageError: the trackeval library is not installed.
    """
    found, true = tracked_rows(tracks), tracked_rows(truth)
    if true.classed:
        found = found.select(_judged(found, true))
        true = true.select((true.score != 0) & np.equal(true.category, _PEDESTRIAN))
    else:
        true = true.select(true.score != 0)
    if not len(true):
        raise SourceError(f"{truth} holds no box that counts: it needs rows with score 1")
    results = _measure(_sequence(found, true))
    mean = {name: float(np.mean(results[name])) for name in ("HOTA", "DetA", "AssA")}
    return TrackingScore(
        hota=mean["HOTA"],
        deta=mean["DetA"],
        assa=mean["AssA"],
        idf1=float(results["IDF1"]),
        mota=float(results["MOTA"]),
        idsw=int(results["IDSW"]),
        fp=int(results["CLR_FP"]),
        fn=int(results["CLR_FN"]),
        frames=_frames(found, true),
        boxes=len(true),
        tracks=len(np.unique(true.track_id)),
    )


def _measure(data: dict[str, Any]) -> dict[str, Any]:
    with redirect_stdout(io.StringIO()):
        try:
            from trackeval.metrics import CLEAR, HOTA, Identity
        except ImportError:
            raise UsageError(
                'tracking is judged by the trackeval library: pip install "camcount[evaluation]"'
            ) from None
        quiet = {"PRINT_CONFIG": False}
        results: dict[str, Any] = {}
        for metric in (HOTA(), CLEAR(quiet), Identity(quiet)):
            results |= metric.eval_sequence(data)
        return results


def _sequence(found: Rows, true: Rows) -> dict[str, Any]:
    """What trackeval's metrics read: ids counted from 0 and similarities, a list entry per frame."""
    found_ids, found = _renumbered(found)
    true_ids, true = _renumbered(true)
    frames = list(_by_frame(found, true))
    return {
        "num_timesteps": len(frames),
        "num_gt_ids": true_ids,
        "num_tracker_ids": found_ids,
        "num_gt_dets": len(true),
        "num_tracker_dets": len(found),
        "gt_ids": [t.track_id for _, t in frames],
        "tracker_ids": [f.track_id for f, _ in frames],
        "similarity_scores": [iou_matrix(t.xyxy, f.xyxy) for f, t in frames],
    }


def _renumbered(rows: Rows) -> tuple[int, Rows]:
    ids, numbers = np.unique(rows.track_id, return_inverse=True)
    return len(ids), replace(rows, track_id=numbers.astype(np.int64))


def _by_frame(found: Rows, true: Rows) -> Iterator[tuple[Rows, Rows]]:
    """The rows of every frame, also where there are none: a gap means something to the metrics."""
    none = np.empty(0, np.intp)
    found_by, true_by = dict(found.by_frame()), dict(true.by_frame())
    for number in range(1, _frames(found, true) + 1):
        yield found_by.get(number, found.select(none)), true_by.get(number, true.select(none))


def _frames(found: Rows, true: Rows) -> int:
    return int(max(found.frame.max(initial=0), true.frame.max(initial=0)))


def _judged(found: Rows, true: Rows) -> NDArray[np.bool_]:
    """All but the tracks' boxes that match a distractor better than a pedestrian, at IoU 0.5 or more."""
    from scipy.optimize import linear_sum_assignment

    judged = np.ones(len(found), np.bool_)
    true_by = dict(true.by_frame())
    for number in np.unique(found.frame).tolist():
        if number not in true_by:
            continue
        here = np.flatnonzero(found.frame == number)
        likeness = iou_matrix(true_by[number].xyxy, found.select(here).xyxy)
        likeness[likeness < 0.5 - np.finfo(float).eps] = 0
        rows, columns = linear_sum_assignment(likeness, maximize=True)
        distracted = np.isin(true_by[number].category[rows], _DISTRACTORS) & (likeness[rows, columns] > 0)
        judged[here[columns[distracted]]] = False
    return judged
