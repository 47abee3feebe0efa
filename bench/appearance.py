"""What looks are worth, and what they bring: ``python bench/appearance.py [DATA]``.

Three tables, with YOLOX-nano and a re-identification model on real video. How far apart in looks the same person is
half a second to two seconds later, and two people side by side, with the logistic curve between the two (``even`` and
``worth`` of `LooksSettings`). How many links between sights are surely wrong, with and without looks, at the full
frame rate and less: between stretches of tracks that cannot be mistaken at the full rate and that last side by side;
what happens where people hide each other is left out, because nobody knows it. What is counted against the truth
files, and the processor time of a frame.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from camcount.app import CountingRun
from camcount.detection.appearance import appearance_for
from camcount.detection.load import detector_for
from camcount.detections import Detections
from camcount.evaluation.counting import evaluate_counting
from camcount.evaluation.truth import load_truth
from camcount.events import Crossing
from camcount.frame import Frame
from camcount.geometry import iou_matrix
from camcount.protocols import Appearance
from camcount.settings import load
from camcount.tracking.camcount import CamcountTracker
from camcount.tracking.looks import Looks
from camcount.video.open import source_for

Floats = NDArray[np.float32]

CROWDS = ("people", "people-walking")
COUNTED = ("people", "one-by-one-person-detection")
STEPS = (1, 3, 5, 10)
SURE, LEAST, SECOND = 0.3, 0.5, 0.3


@dataclass(frozen=True)
class Sight:
    """One frame: what was detected, and the stretch that each detection belongs to (-1: none)."""

    frame: Frame
    found: Detections
    stretch: NDArray[np.int64]
    known: dict[int, Floats] = field(default_factory=dict)

    @property
    def time_s(self) -> float:
        """When it was."""
        return self.frame.time_s


class Remembering:
    """An `Appearance` that asks another one once about each detection."""

    def __init__(self, appearance: Appearance) -> None:
        self._appearance = appearance
        self.sights: list[Sight] = []

    def embed(self, frame: Frame, xyxy: Floats) -> Floats:
        """The looks of the detections that are nearest to these boxes."""
        sight = self.sights[frame.index]
        return self.looks(sight, [int(np.abs(sight.found.xyxy - box).sum(axis=1).argmin()) for box in xyxy])

    def looks(self, sight: Sight, rows: list[int]) -> Floats:
        """The looks ``(k, D)`` of detections ``rows``."""
        new = [row for row in rows if row not in sight.known]
        if new:
            sight.known.update(zip(new, self._appearance.embed(sight.frame, sight.found.xyxy[new]), strict=True))
        return np.array([sight.known[row] for row in rows], np.float32)

    def close(self) -> None:
        """Nothing of its own is open."""


def seen(data: Path, name: str) -> list[Sight]:
    """Every frame of a video."""
    source = source_for(str(data / "videos" / f"{name}.mp4"))
    source.open()
    detector = detector_for(str(data / "weights" / "yolox_nano_416x416.onnx"), labels=["person"], threads=2)
    sights: list[Sight] = []
    began = 0
    for frame in iter(source.read, None):
        found = detector.detect([frame])[0]
        stretch = continued(sights[-1], found) if sights else np.full(len(found), -1)
        new = (stretch < 0) & (found.confidence >= SURE)
        stretch[new] = np.arange(began, began + new.sum())
        began += int(new.sum())
        sights.append(Sight(frame, found, stretch))
    source.close()
    return sights


def continued(before: Sight, found: Detections) -> NDArray[np.int64]:
    """The stretches that go on in these detections: where nobody else is near that could be meant."""
    stretch = np.full(len(found), -1)
    rows, columns = np.flatnonzero(before.stretch >= 0), np.flatnonzero(found.confidence >= SURE)
    likeness = iou_matrix(before.found.xyxy[rows], found.xyxy[columns])
    alone = (likeness > SECOND).sum(axis=1)[:, None] + (likeness > SECOND).sum(axis=0) == 2
    for row, column in zip(*np.nonzero(alone & (likeness >= LEAST)), strict=True):
        stretch[columns[column]] = before.stretch[rows[row]]
    return stretch


def distances(sights: list[Sight], asked: Remembering) -> tuple[Floats, Floats]:
    """Cosine distances of the same person 0.5 to 2 s later, and of two people less than 0.7 heights apart."""
    members: dict[int, list[tuple[float, Floats]]] = defaultdict(list)
    other: list[Floats] = []
    for sight in sights[::5]:
        rows = np.flatnonzero(sight.stretch >= 0)
        looks = asked.looks(sight, rows.tolist()).reshape(len(rows), -1)
        for number, look in zip(sight.stretch[rows].tolist(), looks, strict=True):
            members[number].append((sight.time_s, look))
        box = sight.found.xyxy[rows]
        middle, height = (box[:, :2] + box[:, 2:]) / 2, box[:, 3] - box[:, 1]
        apart = np.linalg.norm(middle[:, None] - middle, axis=2) / ((height[:, None] + height) / 2)
        near = np.triu(apart < 0.7, 1)
        other.append((1 - looks @ looks.T)[near])
    same = [
        1 - float(a @ b)
        for stretch in members.values()
        for before, a in stretch
        for after, b in stretch
        if 0.5 <= after - before < 2
    ]
    return np.array(same, np.float32), np.concatenate(other)


def curve(same: Floats, other: Floats) -> tuple[float, float]:
    """``even`` and ``worth``: middle and slope of the logistic curve between both, each weighing half."""

    def misfit(p: NDArray[np.float64]) -> float:
        return float(np.logaddexp(0, p[1] * (same - p[0])).mean() + np.logaddexp(0, -p[1] * (other - p[0])).mean())

    even, worth = minimize(misfit, [0.15, 20.0], method="Nelder-Mead").x
    return float(even), float(worth)


def wrong_links(sights: list[Sight], step: int, asked: Remembering | None) -> tuple[int, int, float]:
    """Surely wrong links, links judged, and looks per frame, over three ways to leave frames out."""
    life: dict[int, tuple[int, int]] = {}
    for k, sight in enumerate(sights):
        for number in sight.stretch.tolist():
            life[number] = (life.get(number, (k, k))[0], k)
    wrong = judged = looked = frames = 0
    for first in range(0, step, max(1, step // 3)):
        kept = sights[first::step]
        looks = None if asked is None else Looks(asked)
        if asked is not None:
            asked.sights = kept
        for before, after in links(kept, looks):
            side_by_side = min(life[before][1], life[after][1]) - max(life[before][0], life[after][0]) >= 3
            wrong += before != after and side_by_side
            judged += before == after or side_by_side
        looked += looks.embedded if looks else 0
        frames += len(kept)
    return wrong, judged, looked / frames


def links(sights: list[Sight], looks: Looks | None) -> list[tuple[int, int]]:
    """The stretches at both ends of each link that the tracker makes."""
    tracker, last, made = CamcountTracker(looks=looks), dict[int, int](), []
    for k, sight in enumerate(sights):
        if looks is not None:
            looks.show(Frame(index=k, time_s=sight.time_s, width=1, height=1))
        tracks = tracker.update(sight.found, sight.time_s)
        row_of = {tuple(box): row for row, box in enumerate(sight.found.xyxy.tolist())}
        for box, number in zip(tracks.xyxy.tolist(), tracks.track_id.tolist(), strict=True):
            stretch = int(sight.stretch[row_of[tuple(box)]])
            if stretch >= 0:
                if number in last:
                    made.append((last[number], stretch))
                last[number] = stretch
    return made


def counted(data: Path, name: str, fps: float | None, *, looking: bool) -> str:
    """One run of the whole against its truth file."""
    truth = load_truth(data / "truth" / f"{name}.yaml")
    weights = data / "weights"
    flags = {
        "source": str(data / "videos" / f"{name}.mp4"),
        "model": str(weights / "yolox_nano_416x416.onnx"),
        "labels": "person",
        "fps": fps,
        "anchor": truth.anchor,
        "lines": {line.name: {"points": line.points} for line in truth.lines},
        "appearance": str(weights / "person-reidentification-retail-0288.onnx") if looking else None,
    }
    crossings: list[Crossing] = []
    begun = time.process_time()
    with CountingRun(load(None, flags)) as run:
        for step in run.steps():
            crossings += [event for event in step.events if isinstance(event, Crossing)]
        crossings += [event for event in run._pipeline.events if isinstance(event, Crossing)]
        took = 1000 * (time.process_time() - begun) / run.frames
        looked = run.looked["per_frame"] if run.looked else 0.0
    score = evaluate_counting(crossings, truth).as_dict()["overall"]
    return f"F1 {score['f1']:.3f} error {score['weighted_error']:4.0%} {took:5.1f} ms {looked:5.2f} looks"


def main(arguments: list[str]) -> None:
    """Prints the tables."""
    data = Path(arguments[0]) if arguments else Path(__file__).parents[2] / "shared" / "data"
    crowds = {name: seen(data, name) for name in CROWDS}
    asked = Remembering(appearance_for(data / "weights" / "person-reidentification-retail-0288.onnx"))
    quantiles = (5, 25, 50, 75, 95)
    print(f"cosine distance            {'  '.join(f'{q:3} %' for q in quantiles)}")
    for name, sights in crowds.items():
        same, other = distances(sights, asked)
        for what, values in (("same person", same), ("neighbours", other)):
            print(f"{name:14} {what:11} {'  '.join(f'{v:.3f}' for v in np.percentile(values, quantiles))}")
        even, worth = curve(same, other)
        rng = np.random.default_rng(0)
        swap = rng.choice(same, (20_000, 2)).sum(axis=1) < rng.choice(other, (20_000, 2)).sum(axis=1)
        print(f"{name:14} even {even:.3f}, worth {worth:.0f}; pairs nearer the right way round: {swap.mean():.1%}")
    print("\nlinks that are surely wrong, by motion -> with looks (boxes looked at per frame)")
    for name, sights in crowds.items():
        for step in STEPS:
            (before, judged, _), (after, _, looked) = (wrong_links(sights, step, who) for who in (None, asked))
            print(f"{name:14} 1/{step:<3} {before:3} -> {after:3} of {judged} ({looked:.2f})", flush=True)
    print("\ncounts, processor time and looks per frame")
    for name in COUNTED:
        for fps in (None, 10.0, 6.0) if name == "people" else (None,):
            for looking in (False, True):
                how = "with looks" if looking else "by motion"
                print(
                    f"{name[:14]:14} {fps or 'full':>4} fps {how:10} {counted(data, name, fps, looking=looking)}",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])
