"""Fits the constants of the bounds to counted sequences, and groups findings into the units that are judged."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from bench.bounds_data import Record
from numpy.typing import NDArray
from scipy.optimize import minimize

from camcount.counting.bounds import BoundsModel, Evidence, bounds_of
from camcount.counting.evidence import CROSSING_CAUSES, MISS_CAUSES, Finding

Floats = NDArray[np.float64]

_NEVER_UP = (-np.inf, 0.0)
_ANY = (-np.inf, np.inf)
_MISS_SIGNS = dict.fromkeys(("away", "brief", "doubt", "tentative", "edge"), _NEVER_UP) | {"broken": (0.0, np.inf)}
_RIDGE = 1.0
_SPREADS = (0.0, 0.3, 0.5, 0.7, 1.0, 1.3)
_ASKED_OF = ("line and direction", "line", "line, seeds in a row")
_ASKED = 0.92
"""More than 0.9 is asked for where constants are fitted, for elsewhere it will be less."""


@dataclass
class Unit:
    """A count whose truth is known."""

    scene: str
    evidence: Evidence
    findings: list[Finding]
    true: int = 0

    def weighed(self, model: BoundsModel) -> Unit:
        """The same with its findings weighed by a model."""
        evidence = Evidence(counted=self.evidence.counted)
        for finding in self.findings:
            evidence.add(finding, model)
        return replace(self, evidence=evidence)


Key = Callable[[Record, str, str, float], Hashable]

UNITS: dict[str, Key] = {
    "line and direction": lambda r, line, way, t: (r.name, r.step, r.seed, line, way),
    "line": lambda r, line, way, t: (r.name, r.step, r.seed, line),
    "line, each 5 s": lambda r, line, way, t: (r.name, r.step, r.seed, line, int(t // 5)),
    "line, each 10 s": lambda r, line, way, t: (r.name, r.step, r.seed, line, int(t // 10)),
    "all lines": lambda r, line, way, t: (r.name, r.step, r.seed),
    "line, seeds in a row": lambda r, line, way, t: (r.name, r.step, line),
}


def units_of(records: Iterable[Record], key: Key) -> list[Unit]:
    """Counts and true counts by unit; what may be counted or not is in neither."""
    found: dict[Hashable, Unit] = {}
    for r in records:
        for name in {f.line for f in r.findings} | {e.line for e in r.events}:
            for second in range(int(r.length_s)):  # spans in which nothing happened are units too
                for way in ("in", "out"):
                    found.setdefault(key(r, name, way, second), Unit(r.scene, Evidence(), []))
        for finding, real in zip(r.findings, r.real, strict=True):
            at = key(r, finding.line, finding.direction, _within(finding.time_s, r))
            if real is not None:
                found[at].findings.append(finding)
                found[at].evidence.counted += finding.counted
        for event in r.events:
            found[key(r, event.line, event.direction, _within(event.time_s, r))].true += 1
    return list(found.values())


def _within(time_s: float, r: Record) -> float:
    return min(max(time_s, 0.0), r.length_s - 1.0)


def fit(records: Sequence[Record]) -> BoundsModel:
    """The constants for these sequences."""
    judged = [
        (f, bool(real)) for r in records for f, real in zip(r.findings, r.real, strict=True) if real is not None
    ]
    crossing = _logistic([(f, y) for f, y in judged if f.counted], [_NEVER_UP] * len(CROSSING_CAUSES))
    miss = _logistic([(f, y) for f, y in judged if not f.counted], [_MISS_SIGNS.get(n, _ANY) for n in MISS_CAUSES])
    silent, quiet, typical = _silent(records)
    model = BoundsModel(
        crossing=crossing, miss=miss, silent=silent, quiet=quiet, typical=typical, spread_real=0, spread_missed=0
    )
    return _spread(model, records)


def _logistic(judged: list[tuple[Finding, bool]], limits: list[tuple[float, float]]) -> tuple[float, ...]:
    x = np.array([(1.0, *f.causes) for f, _ in judged])
    y = np.array([real for _, real in judged], np.float64)

    def loss(w: Floats) -> tuple[float, Floats]:
        z = x @ w
        value = np.logaddexp(0, z).sum() - y @ z + _RIDGE / 2 * w[1:] @ w[1:]
        return float(value), x.T @ (1 / (1 + np.exp(-z)) - y) + _RIDGE * np.append(0.0, w[1:])

    best = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", bounds=[_ANY, *limits])
    return tuple(round(float(v), 2) + 0.0 for v in best.x)


def _silent(records: Sequence[Record]) -> tuple[tuple[float, ...], float, float]:
    """Rates of the crossings missed without a sign by cause, in quiet spans, and on average."""
    sums: dict[Hashable, Floats] = defaultdict(lambda: np.zeros(len(CROSSING_CAUSES) + 1))
    missed: Counter[Hashable] = Counter()
    spans, quiet = 0, 0
    for r in records:
        busy = set()
        for f in (f for f in r.findings if f.counted):
            sums[r.name, r.step, r.seed, f.line] += (1.0, *f.causes)
            busy.add((f.line, f.direction, int(f.time_s // 10)))
        for e in r.unsigned:
            missed[r.name, r.step, r.seed, e.line] += 1
            quiet += (e.line, e.direction, int(e.time_s // 10)) not in busy
        spans += len({f.line for f in r.findings}) * 2 * math.ceil(r.length_s / 10) - len(busy)
    x, y = np.array(list(sums.values())), np.array([missed[k] for k in sums], np.float64)

    def loss(w: Floats) -> float:
        mean = x @ w + 1e-3
        return float((mean - y * np.log(mean)).sum())

    start = np.full(x.shape[1], 0.02)
    best = minimize(loss, start, method="L-BFGS-B", bounds=[(0.005, None)] + [(0.0, None)] * (len(start) - 1))
    weights = tuple(round(float(v), 3) for v in best.x)
    return weights, round(quiet / max(1, spans), 3), round(float(x.sum(axis=0) @ best.x / x[:, 0].sum()), 3)


def _spread(model: BoundsModel, records: Sequence[Record]) -> BoundsModel:
    """The least spreads with which the truth lies within often enough, for every kind of unit that is asked about."""
    kinds = [[u.weighed(model) for u in units_of(records, UNITS[name])] for name in _ASKED_OF]
    best, least = None, np.inf
    for real in _SPREADS:
        for missed in _SPREADS:
            tried = replace(model, spread_real=real, spread_missed=missed)
            judged = [[judge(unit, tried) for unit in units] for units in kinds]
            inside = min(float(np.mean([ok for ok, _ in rows])) for rows in judged)
            width = float(np.mean([w for rows in judged for _, w in rows]))
            score = width if inside >= _ASKED else 1e6 * (1 - inside)
            if score < least:
                best, least = tried, score
    assert best is not None
    return best


def judge(unit: Unit, model: BoundsModel) -> tuple[bool, float]:
    """Whether the truth lies within, and the width, of a unit weighed by the same model."""
    bounds = bounds_of(unit.evidence, model=model)
    high = bounds.high if bounds.high is not None else np.inf
    return bounds.low <= unit.true <= high, float(high - bounds.low)


def block(model: BoundsModel) -> str:
    """The constants as they stand in the code."""
    names = (
        "crossing",
        "miss",
        "silent",
        "quiet",
        "typical",
        "spread_real",
        "spread_missed",
    )
    return "\n".join(
        f"    {n}: {'tuple[float, ...]' if n in names[:3] else 'float'} = {getattr(model, n)}" for n in names
    )
