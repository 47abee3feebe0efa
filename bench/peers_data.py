"""The sequences that trackers and counters are compared on: detections, lines and true crossings.

Numpy and PyYAML only, so that the peers' environment can import it too. Truth: the path of the foot point of every
ground-truth track, sides held for less than 0.3 s dropped, an event where the side changes and the path meets the
line; gaps of up to a second are bridged by a straight way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_JITTER = np.array([0.035, 0.03, 0.05, 0.05])
"""Standard deviation of centre x, width, top and bottom, in box heights."""

HOLD_S = 0.3
BRIDGE_S = 1.0
SEED = 20240607

DRAWN: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "MOT17-05": {
        "v30": (0.3, 0.45, 0.3, 1.0),
        "v50": (0.5, 0.45, 0.5, 1.0),
        "v70": (0.7, 0.45, 0.7, 1.0),
        "h70": (0.0, 0.7, 1.0, 0.7),
        "diag": (0.2, 0.9, 0.8, 0.55),
    },
    "MOT17-10": {
        "v25": (0.25, 0.45, 0.25, 1.0),
        "v50": (0.5, 0.45, 0.5, 1.0),
        "v75": (0.75, 0.45, 0.75, 1.0),
        "h62": (0.0, 0.62, 1.0, 0.62),
        "diag": (0.3, 0.9, 0.7, 0.5),
    },
    "MOT17-11": {
        "v25": (0.25, 0.45, 0.25, 1.0),
        "v50": (0.5, 0.45, 0.5, 1.0),
        "v75": (0.75, 0.45, 0.75, 1.0),
        "h70": (0.0, 0.7, 1.0, 0.7),
        "diag": (0.3, 0.95, 0.7, 0.55),
    },
    "MOT17-13": {
        "v25": (0.25, 0.4, 0.25, 1.0),
        "v50": (0.5, 0.4, 0.5, 1.0),
        "v75": (0.75, 0.4, 0.75, 1.0),
        "h60": (0.0, 0.6, 1.0, 0.6),
        "diag": (0.3, 0.9, 0.7, 0.45),
    },
}
"""Lines for the sequences that come without a truth file, relative, chosen before any counting."""


@dataclass(frozen=True)
class TrueEvent:
    """A true crossing; ``certain=False``: may be counted or not."""

    line: str
    direction: str
    time_s: float
    certain: bool = True


@dataclass
class Sequence:
    """One set of detections with its truth; ``frames[k]`` is ``(N, 5)``: left, top, right, bottom, confidence."""

    name: str
    fps: float
    size: tuple[int, int]
    frames: list[Floats]
    lines: dict[str, tuple[tuple[float, float], tuple[float, float]]]
    events: list[TrueEvent] = field(default_factory=list)
    group: str = ""


def read_rows(path: Path) -> Floats:
    """A MOTChallenge file, one row per box."""
    rows = [[float(v) for v in line.split(",")] for line in path.read_text().split("\n") if line.strip()]
    return np.array(rows)


def frames_of(rows: Floats, count: int) -> list[Floats]:
    """The rows (frame, id, x, y, w, h, confidence) by frame, as corners and confidence."""
    boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6], rows[:, 6]])
    return [boxes[rows[:, 0] == k + 1] for k in range(count)]


def true_events(
    rows: Floats, fps: float, lines: dict[str, tuple[tuple[float, float], tuple[float, float]]], size: tuple[int, int]
) -> list[TrueEvent]:
    """The crossings of ground-truth ``rows`` (flag in column 7: 0 = to be ignored, its crossings are uncertain)."""
    events: list[TrueEvent] = []
    for number in np.unique(rows[:, 1]):
        own = rows[rows[:, 1] == number]
        own = own[np.argsort(own[:, 0])]
        certain = bool(own[0, 6] > 0)
        for time_s, foot in _pieces(own, fps):
            for name, ends in lines.items():
                a, b = np.array(ends) * size
                events += [TrueEvent(name, d, t, certain) for t, d in _crossings(time_s, foot, a, b)]
    return sorted(events, key=lambda e: e.time_s)


def _pieces(own: Floats, fps: float) -> list[tuple[Floats, Floats]]:
    frame = own[:, 0]
    foot = np.column_stack([own[:, 2] + own[:, 4] / 2, own[:, 3] + own[:, 5]])
    cuts = np.flatnonzero(np.diff(frame) > BRIDGE_S * fps) + 1
    pieces = []
    for part in np.split(np.arange(len(frame)), cuts):
        at = np.arange(frame[part[0]], frame[part[-1]] + 1)
        path = np.column_stack([np.interp(at, frame[part], foot[part, k]) for k in (0, 1)])
        pieces.append(((at - 1) / fps, path))
    return pieces


def _crossings(time_s: Floats, foot: Floats, a: Floats, b: Floats) -> list[tuple[float, str]]:
    d = b - a
    signed = d[0] * (foot[:, 1] - a[1]) - d[1] * (foot[:, 0] - a[0])
    inside = signed > 0
    changes = np.flatnonzero(inside[1:] != inside[:-1])
    starts = np.concatenate([[0], changes + 1])
    ends = np.concatenate([changes + 1, [len(foot)]])
    period = time_s[1] - time_s[0] if len(time_s) > 1 else 0.0
    runs = [(s, e) for s, e in zip(starts, ends, strict=True) if (e - s) * period >= HOLD_S - 1e-9]
    found = []
    for (start, _), (later, _) in pairwise(runs):
        if inside[start] == inside[later]:
            continue
        k = later - 1
        t = signed[k] / (signed[k] - signed[later])
        at = foot[k] + t * (foot[later] - foot[k])
        u = (at - a) @ d / (d @ d)
        if 0 <= u <= 1:
            when = time_s[k] + t * (time_s[later] - time_s[k])
            found.append((float(when), "in" if inside[later] else "out"))
    return found


def simulated(rows: Floats, count: int, size: tuple[int, int], seed: int = SEED) -> list[Floats]:
    """Detections made from ground truth (flag 1 only), with the noise measured on common detectors.

    Per track: a miss process that remembers (bursts), probability by visibility; edges jitter by about 0.05 box
    heights, half of it slow; occluded people lose their legs for whole bursts; scores fall with visibility. Per
    frame: 0.15 half-body doubles per 10 people and 0.3 false boxes. Everything from one seed. What comes of it on
    MOT17-09 (raw detections of the same video in brackets): recall 0.63 (0.62), foot off by 0.07 heights (0.07), by
    0.27 at the 99th percentile (0.23), sideways by 0.035 (0.043).
    """
    rng = np.random.default_rng(seed)
    frames: list[list[Floats]] = [[] for _ in range(count)]
    for number in np.unique(rows[rows[:, 6] > 0, 1]):
        own = rows[(rows[:, 1] == number) & (rows[:, 6] > 0)]
        own = own[np.argsort(own[:, 0])]
        for frame, box in _seen(own, rng):
            if 0 <= frame < count:
                frames[frame].append(box)
    return [_with_false(np.array(f).reshape(-1, 5), size, rng) for f in frames]


def _seen(own: Floats, rng: np.random.Generator) -> list[tuple[int, Floats]]:
    found, slow, missing, cut = [], np.zeros(4), False, 1.0
    for row in own:
        visible = row[8] if 0 <= row[8] <= 1 and len(row) == 9 else 1.0
        height = row[5]
        slow = 0.9 * slow + np.sqrt(1 - 0.9**2) * rng.normal(size=4)
        chance = float(np.interp(visible, [0.0, 0.2, 0.5, 0.8], [0.0, 0.15, 0.75, 0.96]))
        if rng.random() < 0.3:
            missing = rng.random() > chance
        if rng.random() < 0.2:
            cut = rng.uniform(0.72, 1.0) if rng.random() > visible + 0.2 else 1.0
        if missing:
            continue
        side, wide, top, bottom = (slow + rng.normal(size=4)) / np.sqrt(2) * height * _JITTER
        corners = np.array([row[2], row[3], row[2] + row[4], row[3] + height * cut])
        corners += np.array([side - wide / 2, top, side + wide / 2, bottom])
        score = np.clip(rng.normal(0.35 + 0.5 * visible, 0.12), 0.1, 0.99)
        found.append((int(row[0]) - 1, np.append(corners, score)))
    return found


def _with_false(boxes: Floats, size: tuple[int, int], rng: np.random.Generator) -> Floats:
    extra = []
    for box in boxes[rng.random(len(boxes)) < 0.015]:
        half = box.copy()
        half[3] = box[1] + 0.5 * (box[3] - box[1])
        half[4] = 0.7 * box[4]
        extra.append(half)
    for _ in range(rng.poisson(0.3)):
        height = rng.uniform(0.1, 0.4) * size[1]
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        extra.append(np.array([x, y, x + 0.4 * height, y + height, rng.uniform(0.1, 0.5)]))
    return np.vstack([boxes, *extra]) if extra else boxes


def mot_rows(frame: int, boxes: Floats, ids: Any) -> list[str]:
    """Boxes ``(N, 4)`` and ids ``(N,)`` of a frame (from 0) as MOTChallenge rows."""
    sizes = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
    return [
        f"{frame + 1},{number},{x:.1f},{y:.1f},{w:.1f},{h:.1f},1,-1,-1,-1"
        for number, (x, y, w, h) in zip(ids.tolist(), sizes, strict=True)
    ]


def write_tracks(folder: Path, sequence: str, rows: list[str]) -> None:
    """Keeps the tracks of a sequence as a MOTChallenge file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{sequence}.txt").write_text("\n".join(rows) + "\n" if rows else "")


def _lines(truth: dict[str, Any]) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    return {name: (tuple(line["a"]), tuple(line["b"])) for name, line in truth["lines"].items()}


def _info(folder: Path) -> tuple[float, tuple[int, int], int]:
    known = dict(line.split("=") for line in (folder / "seqinfo.ini").read_text().split("\n") if line.count("=") == 1)
    return (
        float(known["frameRate"]),
        (int(known["imWidth"]), int(known["imHeight"])),
        int(known["seqLength"]),
    )


def load(data: Path) -> list[Sequence]:
    """All sequences: raw detections, a published tracker's boxes without its ids, and simulated detections."""
    found: list[Sequence] = []
    for name in ("TUD-Campus", "TUD-Stadtmitte", "MOT17-09"):
        truth = yaml.safe_load((data / "truth" / f"{name}.yaml").read_text())
        folder, size = data / "mot" / name, tuple(truth["size"])
        gt = read_rows(folder / "gt" / "gt.txt")
        lines = _lines(truth)
        events = true_events(gt, truth["fps"], lines, size)
        common = {"fps": truth["fps"], "size": size, "lines": lines, "events": events}
        count = truth["frames"]
        raw = frames_of(read_rows(folder / "det" / "det.txt"), count)
        found.append(Sequence(name=f"{name} raw", frames=raw, group="RAW", **common))
        for path in sorted((folder / "trackers").glob("*.txt")):
            boxes = frames_of(read_rows(path), count)
            found.append(Sequence(name=f"{name} {path.stem}", frames=boxes, group="LIFT", **common))
        common["events"] = [e for e in events if e.certain]  # what is to be ignored is not simulated
        found.append(Sequence(name=f"{name} sim", frames=simulated(gt, count, size), group="SIM", **common))
    for name, drawn in DRAWN.items():
        folder = data / "mot" / name
        fps, size, count = _info(folder)
        gt = read_rows(folder / "gt" / "gt.txt")
        lines = {k: ((v[0], v[1]), (v[2], v[3])) for k, v in drawn.items()}
        events = true_events(gt[gt[:, 6] > 0], fps, lines, size)
        frames = simulated(gt, count, size)
        found.append(Sequence(f"{name} sim", fps, size, frames, lines, events, "SIM"))
    return found
