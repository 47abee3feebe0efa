"""Runs the peers over the sequences; in their own environment: ``python -m bench.peers_run DATA OUT.json``.

Every tracker gets the true frame rate. A starred tracker has its activation threshold lowered to 0.35 (or, where
that is how it is tuned, its patience), which suits counting better than its defaults. Counters: ``BC1``, ``BC3``:
supervision's LineZone on the bottom centre with a crossing threshold of 1 and 3 frames; ``4c1``: LineZone as it
comes; ``once``: a track whose path meets the segment counts, once for ever; ``plain``: every change of side counts.
The crossings go to OUT.json, the tracks at full rate to a folder beside it: ``tracks/TRACKER/SEQUENCE.txt``.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench.peers_data import Floats, Sequence, load, mot_rows, write_tracks

RATES = (1, 2, 3, 5)

sv: Any = importlib.import_module("supervision")
trackers: Any = importlib.import_module("trackers")
norfair: Any = importlib.import_module("norfair")

Update = Callable[[Floats], tuple[Floats, "np.ndarray[Any, Any]"]]
"""Boxes and confidences ``(N, 5)`` in; boxes ``(M, 4)`` and ids ``(M,)`` out."""


def _detections(boxes: Floats) -> Any:
    return sv.Detections(
        xyxy=boxes[:, :4].astype(np.float32),
        confidence=boxes[:, 4].astype(np.float32),
        class_id=np.zeros(len(boxes), int),
    )


def _named(tracker: Any, method: str = "update") -> Update:
    def update(boxes: Floats) -> tuple[Floats, Any]:
        found = getattr(tracker, method)(_detections(boxes))
        if found.tracker_id is None or not len(found):
            return np.empty((0, 4)), np.empty(0, int)
        real = found.tracker_id >= 0  # -1 stands for every track not yet confirmed
        return found.xyxy[real], found.tracker_id[real]

    return update


def _norfair(distance: str, threshold: float, delay: int | None) -> Update:
    tracker = norfair.Tracker(distance, threshold, initialization_delay=delay)
    euclidean = distance == "euclidean"

    def update(boxes: Floats) -> tuple[Floats, Any]:
        def points(box: Floats) -> Floats:
            corners = box[:4].reshape(2, 2)
            return corners.mean(axis=0, keepdims=True) if euclidean else corners

        given = [norfair.Detection(points(b), scores=np.full(1 if euclidean else 2, b[4]), data=b[:4]) for b in boxes]
        now = {id(detection) for detection in given}
        alive = [t for t in tracker.update(given) if id(t.last_detection) in now]
        if not alive:
            return np.empty((0, 4)), np.empty(0, int)
        return np.array([t.last_detection.data for t in alive]), np.array([t.id for t in alive])

    return update


def makers(fps: float, height: int) -> dict[str, Callable[[], Update]]:
    """Every peer tracker, for a frame rate and a picture height."""
    rate = {"frame_rate": fps}
    tuned = {"track_activation_threshold": 0.35, "high_conf_det_threshold": 0.35}
    no_cmc = {"enable_cmc": False}
    return {
        "sv0.27-ByteTrack": lambda: _named(sv.ByteTrack(frame_rate=max(1, round(fps))), "update_with_detections"),
        "trackers-SORT": lambda: _named(trackers.SORTTracker(**rate)),
        "trackers-SORT*": lambda: _named(trackers.SORTTracker(minimum_consecutive_frames=2, **rate)),
        "trackers-ByteTrack": lambda: _named(trackers.ByteTrackTracker(**rate)),
        "trackers-ByteTrack*": lambda: _named(trackers.ByteTrackTracker(**tuned, **rate)),
        "trackers-OCSORT": lambda: _named(trackers.OCSORTTracker(**rate)),
        "trackers-OCSORT*": lambda: _named(trackers.OCSORTTracker(high_conf_det_threshold=0.35, **rate)),
        "trackers-BoTSORT": lambda: _named(trackers.BoTSORTTracker(**no_cmc, **rate)),
        "trackers-BoTSORT*": lambda: _named(trackers.BoTSORTTracker(**tuned, **no_cmc, **rate)),
        "trackers-CBIoU": lambda: _named(trackers.CBIoUTracker(**rate)),
        "trackers-CBIoU*": lambda: _named(trackers.CBIoUTracker(**tuned, **rate)),
        "norfair-iou": lambda: _norfair("iou", 0.7, None),
        "norfair-iou*": lambda: _norfair("iou", 0.7, 2),
        "norfair-eucl": lambda: _norfair("euclidean", height / 10, None),
        "norfair-eucl*": lambda: _norfair("euclidean", height / 10, 2),
    }


Found = list[tuple[str, str, float]]


class Zone:
    """supervision's LineZone on every line."""

    def __init__(self, sequence: Sequence, anchors: list[Any] | None, threshold: int) -> None:
        self.zones = {}
        for name, ends in sequence.lines.items():
            a, b = (sv.Point(x * sequence.size[0], y * sequence.size[1]) for x, y in ends)
            more = {"triggering_anchors": anchors} if anchors else {}
            self.zones[name] = sv.LineZone(start=a, end=b, minimum_crossing_threshold=threshold, **more)

    def update(self, boxes: Floats, ids: Any, time_s: float) -> Found:
        """The crossings it reports in this frame; its own ``out`` is our ``in``."""
        found: Found = []
        given = sv.Detections(xyxy=boxes, tracker_id=ids, class_id=np.zeros(len(ids), int))
        for name, zone in self.zones.items():
            their_in, their_out = zone.trigger(given)
            found += [(name, "in", time_s)] * int(their_out.sum()) + [(name, "out", time_s)] * int(their_in.sum())
        return found


class Swept:
    """The two rules written by hand: ``once`` and ``plain``, on the foot point."""

    def __init__(self, sequence: Sequence, once: bool) -> None:
        self.lines = {n: np.array(e) * sequence.size for n, e in sequence.lines.items()}
        self.once = once
        self.last: dict[int, Floats] = {}
        self.done: set[tuple[int, str]] = set()

    def update(self, boxes: Floats, ids: Any, time_s: float) -> Found:
        """The changes of side in this frame."""
        found: Found = []
        for box, number in zip(boxes, ids.tolist(), strict=True):
            foot = np.array([(box[0] + box[2]) / 2, box[3]])
            before = self.last.get(number)
            self.last[number] = foot
            if before is None:
                continue
            for name, (a, b) in self.lines.items():
                direction = _over(before, foot, a, b)
                if direction and not (self.once and (number, name) in self.done):
                    self.done.add((number, name))
                    found.append((name, direction, time_s))
        return found


def _over(p: Floats, q: Floats, a: Floats, b: Floats) -> str | None:
    d = b - a
    s0, s1 = (float(d[0] * (v[1] - a[1]) - d[1] * (v[0] - a[0])) for v in (p, q))
    if (s0 > 0) == (s1 > 0):
        return None
    at = p + s0 / (s0 - s1) * (q - p)
    u = float((at - a) @ d / (d @ d))
    return ("in" if s1 > 0 else "out") if 0 <= u <= 1 else None


def counters(sequence: Sequence) -> dict[str, Any]:
    """Every counter, new, for a sequence."""
    bottom = [sv.Position.BOTTOM_CENTER]
    return {
        "BC1": Zone(sequence, bottom, 1),
        "BC3": Zone(sequence, bottom, 3),
        "4c1": Zone(sequence, None, 1),
        "once": Swept(sequence, True),
        "plain": Swept(sequence, False),
    }


def run(sequence: Sequence, step: int, tracks: Path) -> dict[str, dict[str, Found]]:
    """Tracker -> counter -> crossings; at full rate the tracks are written too."""
    found: dict[str, dict[str, Found]] = {}
    for name, make in makers(sequence.fps / step, sequence.size[1]).items():
        update, counting = make(), counters(sequence)
        found[name] = {c: [] for c in counting}
        rows: list[str] = []
        for k in range(0, len(sequence.frames), step):
            boxes, ids = update(sequence.frames[k])
            for c, counter in counting.items():
                found[name][c] += counter.update(boxes, ids, k / sequence.fps)
            rows += mot_rows(k, boxes, ids)
        if step == 1:
            write_tracks(tracks / name, sequence.name, rows)
    return found


def _check_directions() -> None:
    """LineZone's words for the sides are the reverse of ours: walking down over a line drawn left to right is in."""
    sequence = Sequence("check", 25.0, (100, 100), [], {"l": ((0.0, 0.5), (1.0, 0.5))})
    zone = Zone(sequence, [sv.Position.BOTTOM_CENTER], 1)
    found = [zone.update(np.array([[40.0, y - 30, 60, y]]), np.array([1]), y) for y in range(35, 65, 5)]
    if [f[1] for one in found for f in one] != ["in"]:
        raise SystemExit(f"LineZone has changed its sides: {found}")


def main() -> None:
    """All sequences at all rates."""
    warnings.simplefilter("ignore")
    _check_directions()
    sequences = load(Path(sys.argv[1]))
    out = Path(sys.argv[2])
    part = out.with_suffix(".part.json")  # an interrupted run goes on where it was
    results = json.loads(part.read_text()) if part.exists() else {}
    for sequence in sequences:
        if f"{sequence.name}|{RATES[-1]}" not in results:
            results |= {f"{sequence.name}|{step}": run(sequence, step, out.parent / "tracks") for step in RATES}
            part.write_text(json.dumps(results))
    part.replace(out)


if __name__ == "__main__":
    main()
