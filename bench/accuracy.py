"""Counting accuracy: the same detections through camcount and through its peers, at four frame rates.

    python -m bench.accuracy DATA [--chart out/accuracy.png] [--peers out/peers.json] [--loso]

The peers run in ``.venv-peers`` (made from bench/peers-constraints.txt when it is not there); their crossings are
kept in ``--peers`` and read again the next time. Every peer tracker is shown with its best counter per rate; then
the trackers alone are compared (bench/tracking.py).
``--loso`` also chooses camcount's association limits anew for each sequence from all the others.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from bench.peers_data import Sequence, load
from bench.peers_score import Counted, Score, score
from bench.tracking import compare

from camcount.counting.lines import LineCounter
from camcount.detections import Detections
from camcount.events import Crossing, Event
from camcount.geometry import Line
from camcount.protocols import Tracker
from camcount.tracking.camcount import CamcountSettings, CamcountTracker
from camcount.tracking.select import TRACKERS, tracker_for

RATES = (1, 2, 3, 5)
GROUPS = ("RAW", "LIFT", "SIM", "ALL")
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers"
CHOICES = tuple(itertools.product((-1.0, 0.0, 1.0), (1.0, 2.0, 3.0), (2.0, 4.0, 6.0)))
"""Of the limit, the limit at low rates, and the likeness, to choose from with a video left out."""

Table = dict[tuple[int, str, str], Score]
"""(step, group, name) -> pooled score."""
_Key = tuple[str, int, float, float]


def crossings(sequence: Sequence, step: int, tracker: Tracker) -> list[Counted]:
    """What camcount counts in every ``step``-th frame of a sequence."""
    lines = [Line(name, ends) for name, ends in sequence.lines.items()]
    counter, time_s = LineCounter(lines, *sequence.size), 0.0
    events: list[Event] = []
    for k in range(0, len(sequence.frames), step):
        rows, time_s = sequence.frames[k], k / sequence.fps
        boxes, sure = rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)
        found = Detections(boxes, sure, np.zeros(len(rows), np.int32), ("person",))
        events += counter.update(tracker.update(found, time_s), time_s)
    events += counter.finish(time_s)
    return [(e.line, e.direction, e.time_s) for e in events if isinstance(e, Crossing)]


def add(table: Table, step: int, sequence: Sequence, name: str, one: Score) -> None:
    """Pools a score into its group and into all."""
    for group in (sequence.group, "ALL"):
        key = step, group, name
        table[key] = table.get(key, Score()) + one


def ours(sequences: list[Sequence]) -> Table:
    """Every tracker that camcount offers, with its line counter."""
    table: Table = {}
    for step, sequence, name in itertools.product(RATES, sequences, TRACKERS):
        counted = crossings(sequence, step, tracker_for(name))
        add(table, step, sequence, f"camcount {name}", score(counted, sequence.events))
    return table


def peers(sequences: list[Sequence], data: Path, kept: Path) -> Table:
    """Every pair of a peer's tracker and a counter."""
    if not kept.exists():
        _prepare()
        kept.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([PEERS / "bin" / "python", "-m", "bench.peers_run", data, kept], check=True, cwd=ROOT)
    results = json.loads(kept.read_text())
    table: Table = {}
    for step, sequence in itertools.product(RATES, sequences):
        for tracker, counters in results[f"{sequence.name}|{step}"].items():
            for counter, found in counters.items():
                one = score([(f[0], f[1], f[2]) for f in found], sequence.events)
                add(table, step, sequence, f"{tracker} + {counter}", one)
    return table


def _prepare() -> None:
    if PEERS.exists():
        return
    venv.create(PEERS, with_pip=True)
    (PEERS / ".gitignore").write_text("*\n")
    pip = [str(PEERS / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "-r", str(ROOT / "bench" / "peers-constraints.txt")], check=True)


def best(table: Table, step: int, group: str, tracker: str, key: Callable[[Score], float]) -> tuple[str, Score]:
    """The best counter of a tracker in one cell (all trackers: an empty name)."""
    own = [(n, s) for (k, g, n), s in table.items() if (k, g) == (step, group) and n.startswith(tracker)]
    return max(own, key=lambda item: key(item[1]))


def show(our: Table, their: Table) -> None:
    """Prints the figures as rows of WMAPE/F1."""
    print(f"\n{'WMAPE / F1 (all sequences)':36}" + "".join(f"{'1/' + str(step):>14}" for step in RATES))
    for name in dict.fromkeys(n for _, _, n in our):
        cells = [our[step, "ALL", name] for step in RATES]
        print(f"{name:36}" + "".join(f"{c.wmape:8.1f}/{c.f1:5.1f}" for c in cells))
    for tracker in dict.fromkeys(n.split(" + ")[0] for _, _, n in their):
        cells = [best(their, step, "ALL", tracker + " + ", lambda s: s.f1)[1] for step in RATES]
        print(f"{tracker:36}" + "".join(f"{c.wmape:8.1f}/{c.f1:5.1f}" for c in cells))
    print("\nbest peer of all pairs against camcount, per group")
    for group, step in itertools.product(GROUPS, RATES):
        named_f1, by_f1 = best(their, step, group, "", lambda s: s.f1)
        named_w, by_w = best(their, step, group, "", lambda s: -s.wmape)
        own = our[step, group, "camcount camcount"]
        print(
            f"{group:5} 1/{step}  F1 {own.f1:5.1f} vs {by_f1.f1:5.1f} ({named_f1})  "
            f"WMAPE {own.wmape:5.1f} vs {by_w.wmape:5.1f} ({named_w}), ratio {own.wmape / by_w.wmape:.2f}"
        )


def left_out(sequences: list[Sequence], their: Table) -> None:
    """Chooses constants on all sequences but one, and scores them on that one; prints the pooled result.

    Sequences of one video are left out together.
    """
    grid = [CamcountSettings(limit=limit, slow_limit=slow, likeness=like) for limit, slow, like in CHOICES]
    found = _tried(sequences, grid)
    pooled = dict.fromkeys(RATES, Score())
    for video in dict.fromkeys(s.name.split()[0] for s in sequences):
        own = [s for s in sequences if s.name.split()[0] == video]
        rest = list(itertools.product((s for s in sequences if s.name.split()[0] != video), RATES))
        totals = [sum((found[_key(tried, s, step)] for s, step in rest), Score()) for tried in grid]
        chosen = grid[max(range(len(grid)), key=lambda k: totals[k].f1 - totals[k].wmape / 2)]
        print(f"without {video}: limit {chosen.limit}, slow limit {chosen.slow_limit}, likeness {chosen.likeness}")
        for s, step in itertools.product(own, RATES):
            pooled[step] += found[_key(chosen, s, step)]
    for step, own_score in pooled.items():
        error = best(their, step, "ALL", "", lambda s: -s.wmape)[1].wmape
        print(
            f"leave one video out, 1/{step}: WMAPE {own_score.wmape:.1f}, {own_score.wmape / error:.2f} of the best "
            f"peer's {error:.1f}; F1 {own_score.f1:.1f}"
        )


def _tried(sequences: list[Sequence], grid: list[CamcountSettings]) -> dict[_Key, Score]:
    """Every sequence at every rate with all settings that differ there."""
    tasks = {_key(tried, s, step): (tried, s, step) for tried, s, step in itertools.product(grid, sequences, RATES)}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(tasks, pool.map(_one, tasks.values()), strict=True))


def _key(settings: CamcountSettings, sequence: Sequence, step: int) -> _Key:
    return sequence.name, step, settings.limit_at(step / sequence.fps), settings.likeness


def _one(task: tuple[CamcountSettings, Sequence, int]) -> Score:
    settings, sequence, step = task
    return score(crossings(sequence, step, CamcountTracker(settings)), sequence.events)


def chart(path: Path, our: Table, their: Table) -> None:
    """Draws error and F1 over the frame rate: camcount against the best peers."""
    from bench.peers_chart import draw

    trackers = list(dict.fromkeys(n.split(" + ")[0] for _, _, n in their))
    rows = {t: [best(their, step, "ALL", t + " + ", lambda s: s.f1)[1] for step in RATES] for t in trackers}
    shown = dict(sorted(rows.items(), key=lambda item: -sum(s.f1 for s in item[1]))[:6])
    shown["camcount"] = [our[step, "ALL", "camcount camcount"] for step in RATES]
    labels = [f"1/{step}" for step in RATES]
    draw(path, labels, {n: ([s.wmape for s in v], [s.f1 for s in v]) for n, v in shown.items()})


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--chart", type=Path, default=ROOT / "out" / "accuracy.png")
    parser.add_argument("--peers", type=Path, default=ROOT / "out" / "peers.json")
    parser.add_argument("--loso", action="store_true")
    arguments = parser.parse_args()
    sequences = load(arguments.data)
    our, their = ours(sequences), peers(sequences, arguments.data.resolve(), arguments.peers.resolve())
    show(our, their)
    chart(arguments.chart, our, their)
    compare(sequences, arguments.data, arguments.peers.resolve(), arguments.chart.with_name("tracking.png"))
    if arguments.loso:
        left_out(sequences, their)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
