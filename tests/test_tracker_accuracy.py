"""Real detections of real people: what is counted stays as right as it was measured to be."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml
from bench.accuracy import crossings
from bench.peers_data import Sequence, load
from bench.peers_score import Score, score

from camcount.tracking.select import tracker_for


@cache
def _sequences(data: Path) -> list[Sequence]:
    return load(data)


@cache
def _pooled(data: Path, group: str, step: int, tracker: str = "camcount") -> Score:
    own = [s for s in _sequences(data) if s.group == group]
    return sum((score(crossings(s, step, tracker_for(tracker)), s.events) for s in own), Score())


@pytest.mark.parametrize(
    ("group", "step", "f1", "wmape"),
    [
        ("RAW", 1, 81, 29),
        ("RAW", 5, 76, 35),
        ("LIFT", 1, 86, 21),
        ("LIFT", 5, 87, 21),
        ("SIM", 1, 82, 15),
        ("SIM", 2, 79, 16),
        ("SIM", 5, 75, 23),
    ],
)
def test_counts_are_as_right_as_measured(data: Path, group: str, step: int, f1: float, wmape: float) -> None:
    """Event F1 (percent) does not fall, nor the weighted count error rise, beyond a small margin."""
    pooled = _pooled(data, group, step)
    assert pooled.f1 >= f1
    assert pooled.wmape <= wmape


def test_our_tracker_counts_better_than_the_published_ones_at_low_rates(data: Path) -> None:
    """At a fifth of the frames its F1 on simulated detections is far above SORT, ByteTrack and OC-SORT."""
    own = _pooled(data, "SIM", 5).f1
    assert all(own > _pooled(data, "SIM", 5, name).f1 + 10 for name in ("sort", "bytetrack", "ocsort"))


@pytest.mark.parametrize("name", ["TUD-Campus", "TUD-Stadtmitte", "MOT17-09"])
def test_the_benchmark_computes_the_given_truth(data: Path, name: str) -> None:
    """Crossings computed from the ground-truth tracks are those of the truth file, line by line."""
    truth = yaml.safe_load((data / "truth" / f"{name}.yaml").read_text())
    given = sorted(
        (line, e["direction"], e["time_s"])
        for line, entry in truth["lines"].items()
        for e in entry["events"] or []
        if e["certain"]
    )
    own = next(s for s in _sequences(data) if s.name == f"{name} raw")
    computed = sorted((e.line, e.direction, e.time_s) for e in own.events if e.certain)
    assert [c[:2] for c in computed] == [g[:2] for g in given]
    assert [c[2] for c in computed] == pytest.approx([g[2] for g in given], abs=0.011)


def test_simulated_detections_are_the_same_every_time(data: Path) -> None:
    """One seed, one set: figures can be compared."""
    first, second = (sequences[-1].frames[100] for sequences in (_sequences(data), load(data)))
    assert (first == second).all()
