"""The line doctor's expected loss beside the measured one: ``python bench/doctor.py [DATA] [--all] [--no-videos]``.

Measured: the share of true crossings that the counter misses (1 - recall, matched one to one within a second).
Expected: what the doctor says from the same tracks without the truth. Three sets of lines: those of the truth files
on given detections; lines placed badly on purpose on the same sequences (near the edges and elsewhere), their truth
computed from the ground-truth tracks by the same rule; the lines of the videos with YOLOX-nano. ``--all`` adds
published trackers' boxes, simulated detections, and 1/3 and 1/5 of the frame rate. Lines with fewer than three true
crossings are left out. Beside it stand two yardsticks: always saying 10 %, and how many lines the luck of so few
crossings alone would leave within 10 points if every line lost exactly what is expected of it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.peers_data import Floats, Sequence, TrueEvent, load, read_rows, true_events  # noqa: E402 - after the path is set
from bench.peers_score import score  # noqa: E402

from camcount.counting.doctor import Diagnosis, Ledger, Recording  # noqa: E402
from camcount.counting.lines import LineCounter  # noqa: E402
from camcount.detections import Detections  # noqa: E402
from camcount.events import Crossing  # noqa: E402
from camcount.geometry import Line  # noqa: E402
from camcount.tracking.select import tracker_for  # noqa: E402

BAD: dict[str, tuple[float, float, float, float]] = {
    "left 3 %": (0.03, 0, 0.03, 1),
    "left 6 %": (0.06, 0, 0.06, 1),
    "left 10 %": (0.1, 0, 0.1, 1),
    "right 10 %": (0.9, 0, 0.9, 1),
    "right 6 %": (0.94, 0, 0.94, 1),
    "right 3 %": (0.97, 0, 0.97, 1),
    "bottom 3 %": (0, 0.97, 1, 0.97),
    "bottom 7 %": (0, 0.93, 1, 0.93),
    "bottom 15 %": (0, 0.85, 1, 0.85),
    "middle": (0, 0.5, 1, 0.5),
}
VIDEOS = ("one-by-one-person-detection", "tfl_815_201707211414", "tfl_625_201708101116", "cars", "people")
LEAST = 3


@dataclass(frozen=True)
class Row:
    """One line."""

    group: str
    where: str
    line: str
    true: int
    missed: int
    expected: float

    @property
    def measured(self) -> float:
        """The share of true crossings that were missed."""
        return self.missed / self.true

    @property
    def within(self) -> bool:
        """Whether the two are within 10 points."""
        return abs(self.measured - self.expected) <= 0.1 + 1e-9


def recorded(frames: Iterable[tuple[float, Detections]], size: tuple[int, int], anchor: str = "foot") -> Recording:
    """The tracks of these detections."""
    tracker = tracker_for()
    recording = Recording(*size, anchor="centre" if anchor == "centre" else "foot")
    for time_s, detections in frames:
        recording.add(tracker.update(detections, time_s), time_s)
    return recording


def judged(recording: Recording, lines: list[Line], events: list[TrueEvent], group: str, where: str) -> Iterator[Row]:
    """Every line that enough crossed."""
    counter = LineCounter(lines, recording.width, recording.height, anchor=recording.anchor)
    found = [event for time_s, tracks in recording.frames for event in counter.update(tracks, time_s)]
    found += counter.finish(recording.end_s)
    counted = [(e.line, e.direction, e.time_s) for e in found if isinstance(e, Crossing)]
    for line, diagnosis in zip(lines, Ledger(recording).diagnose(lines), strict=True):
        result = score([c for c in counted if c[0] == line.name], [e for e in events if e.line == line.name])
        if result.true >= LEAST:
            yield Row(group, where, line.name, result.true, result.true - result.matched, said(diagnosis))


def said(diagnosis: Diagnosis) -> float:
    """The expected loss; nobody near the line loses nobody."""
    return diagnosis.loss or 0.0


def sequence_rows(data: Path, sequence: Sequence, step: int) -> Iterator[Row]:
    """The truth file's lines, and the badly placed ones."""
    gt = read_rows(data / "mot" / sequence.name.split()[0] / "gt" / "gt.txt")
    if sequence.group == "SIM":
        gt = gt[gt[:, 6] > 0]
    frames = [(k / sequence.fps, _people(f)) for k, f in enumerate(sequence.frames)]
    recording = recorded(frames[::step], sequence.size)
    where = sequence.name + (f" 1/{step}" if step > 1 else "")
    kind = f"{sequence.group} 1/{step}"
    drawn = [Line(name, ends) for name, ends in sequence.lines.items()]
    yield from judged(recording, drawn, sequence.events, f"{kind} truth lines", where)
    bad = {name: ((v[0], v[1]), (v[2], v[3])) for name, v in BAD.items()}
    events = true_events(gt, sequence.fps, bad, sequence.size)
    yield from judged(recording, [Line(name, ends) for name, ends in bad.items()], events, f"{kind} bad lines", where)


def _people(boxes: Floats) -> Detections:
    corners, confidence = boxes[:, :4].astype(np.float32), boxes[:, 4].astype(np.float32)
    return Detections(corners, confidence, np.zeros(len(boxes), np.int32), ("person",))


def video_rows(data: Path) -> Iterator[Row]:
    """The videos with YOLOX-nano."""
    from camcount.detection.load import detector_for
    from camcount.evaluation.truth import load_truth
    from camcount.video.open import source_for

    for name in VIDEOS:
        truth = load_truth(data / "truth" / f"{name}.yaml")
        source = source_for(str(data / "videos" / (truth.video or "")))
        info = source.open()
        model = str(data / "weights" / "yolox_nano_416x416.onnx")
        detector = detector_for(model, labels=truth.labels, threads=2)
        frames = [(frame.time_s, detector.detect([frame])[0]) for frame in iter(source.read, None)]
        source.close()
        recording = recorded(frames, (info.width, info.height), truth.anchor)
        events = [TrueEvent(e.line, e.direction, e.time_s, e.certain) for e in truth.events]
        yield from judged(recording, list(truth.lines), events, "videos, YOLOX-nano", name)


def luck(row: Row) -> float:
    """The chance that so many crossings, each lost as expected, are lost within 10 points of it."""
    n, p = row.true, min(max(row.expected, 0.0), 1.0)
    near = [k for k in range(n + 1) if abs(k / n - p) <= 0.1 + 1e-9]
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in near)


def summary(title: str, rows: list[Row]) -> str:
    """One line of figures."""
    off = np.array([row.expected - row.measured for row in rows])
    flat = sum(abs(0.1 - row.measured) <= 0.1 + 1e-9 for row in rows)
    flat_off = np.mean([abs(0.1 - row.measured) for row in rows])
    return (
        f"{title:22} {sum(r.within for r in rows):3} of {len(rows):3} within 10 points, off by "
        f"{100 * np.abs(off).mean():4.1f} in the mean (bias {100 * off.mean():+5.1f}); always 10 %: {flat} "
        f"({100 * flat_off:.1f}); luck: {sum(map(luck, rows)):.0f}"
    )


def main(arguments: list[str]) -> None:
    """Prints the table and the figures."""
    everything = "--all" in arguments
    folders = [a for a in arguments if not a.startswith("-")]
    data = Path(folders[0]) if folders else ROOT.parent / "shared" / "data"
    rows = [] if "--no-videos" in arguments else list(video_rows(data))
    for sequence in load(data):
        if everything or sequence.group == "RAW":
            for step in (1, 3, 5) if everything else (1,):
                rows += sequence_rows(data, sequence, step)
    print(f"{'set':22} {'line':12} {'true':>4} {'measured':>9} {'expected':>9}")
    for row in rows:
        mark = "" if row.within else "  off"
        print(f"{row.where[:22]:22} {row.line:12} {row.true:4} {row.measured:9.0%} {row.expected:9.0%}{mark}")
    for group in dict.fromkeys(row.group for row in rows):
        print(summary(group, [row for row in rows if row.group == group]))
    print(summary("all", rows))


if __name__ == "__main__":
    main(sys.argv[1:])
