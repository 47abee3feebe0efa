"""How right counted crossings are: events matched one to one, and totals compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from bench.peers_data import Floats, TrueEvent
from scipy.optimize import linear_sum_assignment

TOLERANCE_S = 1.0

Counted = tuple[str, str, float]
"""Line, direction and time of a counted crossing."""


@dataclass(frozen=True)
class Score:
    """Sums over lines and directions; scores of several sequences add up."""

    matched: int = 0
    counted: int = 0
    true: int = 0
    off: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.matched + other.matched, self.counted + other.counted, self.true + other.true, self.off + other.off
        )

    @property
    def f1(self) -> float:
        """Event F1 in percent."""
        return 200 * self.matched / max(1, self.counted + self.true)

    @property
    def wmape(self) -> float:
        """Sum over lines and directions of |counted - true| over the sum of true, in percent."""
        return 100 * self.off / max(1, self.true)


def score(counted: Iterable[Counted], events: list[TrueEvent]) -> Score:
    """Compares the crossings of one sequence with its truth; what matches an uncertain event alone is dropped."""
    counted = list(counted)
    total = Score()
    for key in {(e.line, e.direction) for e in events} | {c[:2] for c in counted}:
        own = np.array([t for line, direction, t in counted if (line, direction) == key])
        sure = np.array([e.time_s for e in events if (e.line, e.direction) == key and e.certain])
        maybe = np.array([e.time_s for e in events if (e.line, e.direction) == key and not e.certain])
        hits = _pairs(own, sure)
        left = np.delete(own, [i for i, _ in hits])
        counts = len(own) - len(_pairs(left, maybe))
        total += Score(len(hits), counts, len(sure), abs(counts - len(sure)))
    return total


def by_line(counted: Iterable[Counted]) -> Counter[tuple[str, str]]:
    """Totals per line and direction."""
    return Counter(c[:2] for c in counted)


def _pairs(a: Floats, b: Floats) -> list[tuple[int, int]]:
    if not (len(a) and len(b)):
        return []
    apart = np.abs(a[:, None] - b)
    rows, columns = linear_sum_assignment(np.where(apart <= TOLERANCE_S, apart, 1e6))
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if apart[i, j] <= TOLERANCE_S]
