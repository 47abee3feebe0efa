"""Counted crossings against true ones: precision, recall, F1 and weighted error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.evaluation.truth import VEHICLES, TrueCrossing, Truth
from camcount.events import Crossing, Direction

_DIRECTIONS: tuple[Direction, Direction] = ("in", "out")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionScore:
    """One line in one direction.

    Attributes:
        counted: the crossings counted, of the labels that were looked for.
        true: the true crossings that are certain.
        uncertain: the true crossings that may be counted or not.
        hit: counted crossings matched to certain ones; ``free``: matched to uncertain ones.
    """

    counted: int = 0
    true: int = 0
    uncertain: int = 0
    hit: int = 0
    free: int = 0

    @property
    def false(self) -> int:
        """Counted, and nothing true is near."""
        return self.counted - self.hit - self.free

    @property
    def missed(self) -> int:
        """Certain, and not counted."""
        return self.true - self.hit

    @property
    def error(self) -> int:
        """How far the count is from the nearest number in ``true .. true + uncertain``."""
        return max(self.true - self.counted, self.counted - self.true - self.uncertain, 0)


@dataclass(frozen=True, slots=True)
class CountingScore:
    """The scores of every line and direction, ``lines[name][direction]``."""

    lines: dict[str, dict[Direction, DirectionScore]]

    def as_dict(self) -> dict[str, Any]:
        """Per line and overall, ready for JSON.

        ``precision`` is the share of counted crossings that are true, 1 if nothing was counted; ``recall``
        the share of certain crossings that were counted, 1 if there are none; ``f1`` their harmonic mean.
        ``weighted_error`` is the sum of `DirectionScore.error` over lines and directions, over the sum of certain
        crossings; where there are none it is the number of crossings counted too many.
        """
        parts = [part for line in self.lines.values() for part in line.values()]
        error = sum(part.error for part in parts) / max(sum(part.true for part in parts), 1)
        return {
            "lines": {
                name: {
                    "counted": {d: line[d].counted for d in _DIRECTIONS},
                    "true": {d: line[d].true for d in _DIRECTIONS},
                    "uncertain": {d: line[d].uncertain for d in _DIRECTIONS},
                    **_ratios(list(line.values())),
                }
                for name, line in self.lines.items()
            },
            "overall": {**_ratios(parts), "weighted_error": error},
        }


def evaluate_counting(crossings: Iterable[Crossing], truth: Truth) -> CountingScore:
    """Matches counted to true crossings one to one, per line and direction, within each one's tolerance.

    Of all matchings it takes one with the most certain crossings, then the most uncertain ones, then the least sum of
    time differences (in tolerances). ``vehicle`` in the truth matches car, truck, bus, motorcycle and bicycle; a
    counted ``object`` matches anything. Crossings of lines that the truth does not have, and of labels that it
    did not look for, are left out.
    """
    counted = [c for c in crossings if any(_same(c.label, label) for label in truth.labels)]
    return CountingScore(
        {
            line.name: {
                d: _score(
                    [c for c in counted if (c.line, c.direction) == (line.name, d)],
                    [e for e in truth.events if (e.line, e.direction) == (line.name, d)],
                )
                for d in _DIRECTIONS
            }
            for line in truth.lines
        }
    )


def _same(counted: str, true: str) -> bool:
    return counted in (true, "object") or (true == "vehicle" and counted in VEHICLES)


def _score(counted: Sequence[Crossing], true: Sequence[TrueCrossing]) -> DirectionScore:
    matched = [true[column] for column in _match(counted, true)]
    hit = sum(event.certain for event in matched)
    certain = sum(event.certain for event in true)
    return DirectionScore(
        counted=len(counted), true=certain, uncertain=len(true) - certain, hit=hit, free=len(matched) - hit
    )


def _match(counted: Sequence[Crossing], true: Sequence[TrueCrossing]) -> NDArray[np.intp]:
    """Which of ``true`` are matched."""
    if not counted or not true:
        return np.empty(0, np.intp)
    from scipy.optimize import linear_sum_assignment

    late = np.abs(np.subtract.outer([c.time_s for c in counted], [e.time_s for e in true]))
    tolerance = np.array([e.tolerance_s for e in true])
    same = np.array([[_same(c.label, e.label) for e in true] for c in counted])
    # times are written to hundredths, and 1.58 - 0.58 is a hair more than 1.0
    allowed = same & (late <= tolerance + 1e-9)
    # all differences together weigh less than one uncertain match, all of those less than one certain one
    weight = len(true) + 1.0
    worth = np.where([e.certain for e in true], weight**2, weight)
    gain = np.where(allowed, worth - np.minimum(late / np.maximum(tolerance, 1e-9), 1.0), 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return np.asarray(columns[allowed[rows, columns]])


def _ratios(parts: Sequence[DirectionScore]) -> dict[str, Any]:
    hit, false, missed = (sum(getattr(part, name) for part in parts) for name in ("hit", "false", "missed"))
    return {
        "precision": hit / (hit + false) if hit + false else 1.0,
        "recall": hit / (hit + missed) if hit + missed else 1.0,
        "f1": 2 * hit / (2 * hit + false + missed) if hit + false + missed else 1.0,
        "true_positives": hit,
        "false_positives": false,
        "false_negatives": missed,
    }
