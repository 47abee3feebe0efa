"""Counted sequences with their evidence and their truth: what the bounds of counts are fitted to and judged by."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench import peers_data
from bench.peers_data import TrueEvent, load, read_rows, true_events
from scipy.optimize import linear_sum_assignment

from camcount.counting.evidence import Finding, Witness
from camcount.counting.lines import LineCounter
from camcount.detections import Detections
from camcount.geometry import Line
from camcount.tracking.select import tracker_for

RATES = (1, 2, 3, 5)
SEEDS = 4
NEAR_S = 2.0
"""A counted and a true crossing of a line, the same way and no farther apart, are the same: only sums matter here."""
EXTRA = 6
MARK = "extra"


@dataclass(frozen=True)
class Record:
    """One sequence counted once at one rate.

    Attributes:
        scene: the video; what is fitted without it is fitted without all its sets of detections.
        name, group: of the set. step: every so many frames were used. seed: of a simulated set.
        findings, real: what the witness found, and whether each is a true crossing (None: may be either).
        events: the certain true ones. unsigned: those neither counted nor signalled, by line and direction.
    """

    scene: str
    name: str
    group: str
    step: int
    seed: int
    length_s: float
    findings: list[Finding]
    real: list[bool | None]
    events: list[TrueEvent]
    unsigned: list[TrueEvent]


def sequences(data: Path, seeds: int = SEEDS, extra: int = EXTRA) -> list[tuple[peers_data.Sequence, int]]:
    """All sets with ``extra`` more lines each, simulated ones ``seeds`` times; each with the number of its seed."""
    found = []
    for k, sequence in enumerate(load(data)):
        folder = data / "mot" / sequence.name.split()[0]
        gt = read_rows(folder / "gt" / "gt.txt")
        gt = gt[gt[:, 6] > 0] if sequence.group == "SIM" else gt
        lines = dict(sequence.lines) | _more_lines(extra, np.random.default_rng(k))
        sequence.events = true_events(gt, sequence.fps, lines, sequence.size)
        sequence.lines = lines
        found.append((sequence, 0))
        for seed in range(1, seeds) if sequence.group == "SIM" else ():
            frames = peers_data.simulated(gt, len(sequence.frames), sequence.size, peers_data.SEED + seed)
            found.append((replace(sequence, frames=frames), seed))
    return found


def _more_lines(count: int, rng: np.random.Generator) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    """Lines anywhere, at least a third of the picture long."""
    lines: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    while len(lines) < count:
        a, b = rng.uniform(0.05, 0.95, (2, 2)).round(3)
        if np.hypot(*(b - a)) > 1 / 3:
            lines[f"{MARK}{len(lines)}"] = ((a[0], a[1]), (b[0], b[1]))
    return lines


def counted(sequence: peers_data.Sequence, step: int, seed: int = 0) -> Record:
    """Counts one sequence at ``1/step`` of its rate, and says which findings are true."""
    width, height = sequence.size
    lines = [Line(name, ends) for name, ends in sequence.lines.items()]
    tracker, counter = tracker_for(), LineCounter(lines, width, height)
    witness = Witness(lines, width, height)
    findings: list[Finding] = []
    time_s = 0.0
    for index in range(0, len(sequence.frames), step):
        boxes, time_s = sequence.frames[index], index / sequence.fps
        xyxy, scores = boxes[:, :4].astype(np.float32), np.clip(boxes[:, 4], 0.0, 1.0).astype(np.float32)
        found = Detections(xyxy, scores, np.zeros(len(boxes), np.int32), ("person",))
        tracks = tracker.update(found, time_s)
        findings += witness.update(tracks, time_s, counter.update(tracks, time_s))
    findings += witness.finish(counter.finish(time_s))
    real, unsigned = labelled(findings, sequence.events)
    certain = [e for e in sequence.events if e.certain]
    return Record(
        sequence.name.split()[0],
        sequence.name,
        sequence.group,
        step,
        seed,
        len(sequence.frames) / sequence.fps,
        findings,
        real,
        certain,
        unsigned,
    )


def labelled(findings: Sequence[Finding], events: Sequence[TrueEvent]) -> tuple[list[bool | None], list[TrueEvent]]:
    """Which findings are true crossings, counted ones first; and the certain crossings that none of them is."""
    real: list[bool | None] = [False] * len(findings)
    unsigned: list[TrueEvent] = []
    for key in {(f.line, f.direction) for f in findings} | {(e.line, e.direction) for e in events}:
        own = [k for k, f in enumerate(findings) if (f.line, f.direction) == key]
        sure = [e for e in events if (e.line, e.direction) == key and e.certain]
        maybe = [e for e in events if (e.line, e.direction) == key and not e.certain]
        for is_counted in (True, False):
            rows = [k for k in own if findings[k].counted == is_counted]
            hits = _pairs([findings[k].time_s for k in rows], [e.time_s for e in sure])
            for i, _ in hits:
                real[rows[i]] = True
            sure = [e for j, e in enumerate(sure) if j not in {j for _, j in hits}]
            left = [k for k in rows if not real[k]]
            for i, _ in _pairs([findings[k].time_s for k in left], [e.time_s for e in maybe]):
                real[left[i]] = None
        unsigned += sure
    return real, unsigned


def _pairs(a: Sequence[float], b: Sequence[float]) -> list[tuple[int, int]]:
    if not (a and b):
        return []
    apart = np.abs(np.subtract.outer(a, b))
    rows, columns = linear_sum_assignment(np.where(apart <= NEAR_S, apart, 1e6))
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if apart[i, j] <= NEAR_S]


def _task(task: tuple[peers_data.Sequence, int, int]) -> Record:
    sequence, seed, step = task
    return counted(sequence, step, seed)


def all_records(data: Path, rates: Iterable[int] = RATES, seeds: int = SEEDS, extra: int = EXTRA) -> list[Record]:
    """Every set at every rate."""
    tasks = [(s, seed, step) for s, seed in sequences(data, seeds, extra) for step in rates]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(_task, tasks))
