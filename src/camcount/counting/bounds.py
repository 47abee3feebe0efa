"""How sure a count is: the true number as a distribution, from the evidence for and against each crossing.

The true number is taken as a sum of independent yes-or-no matters and of two counts nobody saw::

    T = sum_i Bernoulli(p_i) + sum_j Bernoulli(q_j) + Poisson(l) + NegativeBinomial(u)

``p_i``: a counted crossing is real; ``q_j``: one that left a sign was missed; ``l``: those missed without a sign;
``u``: those in the time that was not seen, at the rate of the time that was. All ``p`` of a scene are off together,
and so are all ``q`` and ``l``: that is a normal effect on the logit (on the logarithm of ``l``), integrated out in
three nodes (Gauss-Hermite). The distribution is exact: the characteristic function at the roots of unity, transformed
back (Hong, "On computing the distribution function for the Poisson binomial distribution", 2013).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.counting.evidence import Finding

_STEP, _BINS = 0.25, 28
_Bins = tuple[tuple[int, int], ...]
"""Number of a bin of the logit, and how many are in it."""
_NODES = np.array([-math.sqrt(3), 0.0, math.sqrt(3)])
_WEIGHTS = np.array([1 / 6, 2 / 3, 1 / 6])
_EXACT = 2048
"""Above so many the distribution is taken as a normal one for each pair of nodes."""
_LEAST_SEEN_S = 1.0
_KNOWN_RATE = 30.0
"""Traffic changes: a rate is never taken as known better than from so many crossings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundsModel:
    """The constants of the bounds.

    Attributes:
        crossing: logit of a counted crossing being real: constant, then one weight (0 or less) per cause.
        miss: the same of a sign being a missed crossing.
        silent: crossings missed without a sign for each counted one: constant, then its rise (0 or more) with each
            cause of doubt, for where crossings are counted with doubt others are not counted.
        quiet: the same for any count, for a count of 0 may be wrong too. typical: mean of ``silent``.
        spread_real, spread_missed: standard deviations of what a scene shares.
        level: how often the truth should lie within the bounds.

    Obtained by ``python bench/bounds.py DATA --fit``: regression with signs constrained (no cause makes a crossing
    more certain) on every counted crossing and every sign of all sequences at four frame rates; the spreads are those
    of the narrowest bounds within which the truth of the fitted sequences lies often enough.
    """

    crossing: tuple[float, ...] = (4.81, -1.76, -1.28, -1.86, -1.33, -1.48, -1.86, 0.0, -0.69, 0.0, -0.5)
    miss: tuple[float, ...] = (-0.73, -0.03, -0.04, 0.06, -0.05, 0.59, -0.41, -1.02, -0.17, 0.06, -0.18)
    silent: tuple[float, ...] = (0.005, 0.0, 0.102, 0.0, 0.0, 0.275, 0.203, 0.0, 0.0, 0.0, 0.03)
    quiet: float = 0.067
    typical: float = 0.15
    spread_real: float = 1.0
    spread_missed: float = 0.7
    level: float = 0.9

    def logit(self, finding: Finding) -> float:
        """Of the probability that a counted crossing is real, or that a sign is a missed one."""
        return _weigh(self.crossing if finding.counted else self.miss, finding)

    def missed_beside(self, finding: Finding) -> float:
        """How many crossings were missed without a sign for this counted one."""
        return _weigh(self.silent, finding)


def _weigh(weights: tuple[float, ...], finding: Finding) -> float:
    return sum(map(mul, weights[1:], finding.causes), weights[0])


MODEL = BoundsModel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The true number lies in ``low``..``high`` nine times of ten; ``high`` is None where nothing at all was seen."""

    low: int
    high: int | None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"low": self.low, "high": self.high}


@dataclass(slots=True)
class Evidence:
    """All that speaks for and against one count, in a fixed number of bins; evidence adds up.

    Attributes:
        counted: how many crossings were counted. real, missed: how many findings by bin of the logit.
        silent: crossings missed without a sign.
    """

    counted: int = 0
    real: Counter[int] = field(default_factory=Counter)
    missed: Counter[int] = field(default_factory=Counter)
    silent: float = 0.0

    def add(self, finding: Finding, model: BoundsModel = MODEL) -> None:
        """Weighs one finding. The crossing itself is counted by whoever counts."""
        at = round(min(max(model.logit(finding) / _STEP, -_BINS), _BINS))
        if finding.counted:
            self.real[at] += 1
            self.silent += model.missed_beside(finding)
        else:
            self.missed[at] += 1

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(
            self.counted + other.counted,
            self.real + other.real,
            self.missed + other.missed,
            self.silent + other.silent,
        )


def bounds_of(
    evidence: Evidence, *, unseen_s: float = 0.0, rate: tuple[float, float] = (0.0, 0.0), model: BoundsModel = MODEL
) -> Bounds:
    """The bounds of one count.

    ``rate`` is how many crossings were counted in how many seconds truly seen, of which the ``unseen_s`` seconds
    not seen in the span are taken to be a part. Always ``0 <= low <= counted <= high``.
    """
    unseen = _unseen(unseen_s, *rate)
    if unseen is None:
        return Bounds(low=min(_quantiles(evidence, (0.0, 1.0), model)[0], evidence.counted), high=None)
    low, high = _quantiles(evidence, unseen, model)
    return Bounds(low=min(low, evidence.counted), high=max(high, evidence.counted))


def total(parts: Iterable[Evidence]) -> Evidence:
    """The evidence of a sum."""
    return sum(parts, Evidence())


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What the bounds of a time span were made of; those of spans in order add up to those of the whole.

    Attributes:
        evidence: by direction.
        missed_s: how much of the span was not seen though the source ran.
        counted, rate_s: the usual rate: how many were counted by direction, in how many seconds seen.
    """

    evidence: Mapping[str, Evidence]
    missed_s: float
    counted: Mapping[str, int]
    rate_s: float

    def bounds(self) -> dict[str, Bounds]:
        """Of ``in``, ``out`` and ``total``."""
        ways = {
            way: self._bounds(self.evidence.get(way, Evidence()), self.counted.get(way, 0)) for way in ("in", "out")
        }
        return {**ways, "total": self.total()}

    def total(self) -> Bounds:
        """Of the count in both directions."""
        return self._bounds(total(self.evidence.values()), sum(self.counted.values()))

    def _bounds(self, evidence: Evidence, counted: int) -> Bounds:
        return bounds_of(evidence, unseen_s=self.missed_s, rate=(counted, self.rate_s))


def _unseen(unseen_s: float, counted: float, seen_s: float) -> tuple[float, float] | None:
    """Mean and shape of how many came while nothing was seen; None where nothing ever was."""
    if unseen_s <= 0:
        return 0.0, 1.0
    if seen_s < _LEAST_SEEN_S:
        return None
    shape = counted + 0.5
    return shape / seen_s * unseen_s, min(shape, _KNOWN_RATE)


def _quantiles(evidence: Evidence, unseen: tuple[float, float], model: BoundsModel) -> tuple[int, int]:
    real = _judged(evidence, model)
    silent = evidence.silent + model.typical * max(0, evidence.counted - evidence.real.total()) + model.quiet
    # spans without a crossing are all alike: most of them need no computing
    return _solved(_sorted(real), _sorted(evidence.missed), round(silent, 2), unseen, model)


@lru_cache(maxsize=1024)
def _solved(
    real: _Bins, missed: _Bins, silent: float, unseen: tuple[float, float], model: BoundsModel
) -> tuple[int, int]:
    real_at, missed_at = _spread(real, model.spread_real), _spread(missed, model.spread_missed)
    silent_at = silent * np.exp(_NODES * model.spread_missed - model.spread_missed**2 / 2)
    tail = (1 - model.level) / 2
    mean, shape = unseen
    far = float(silent_at.max()) + mean
    most = sum(many for _, many in real + missed)
    size = most + int(far + 12 * math.sqrt(far + mean**2 / shape + 1)) + 8
    if size > _EXACT:
        return _normal(real_at, missed_at, silent_at, unseen, tail)
    at = np.exp(2j * np.pi * np.arange(size // 2 + 1) / size)
    share = _WEIGHTS @ _character(real_at, at)
    share *= _WEIGHTS @ (_character(missed_at, at) * np.exp(silent_at[:, None] * (at - 1)))
    share *= (1 + mean / shape * (1 - at)) ** -shape
    below = np.cumsum(np.fft.irfft(share.conj(), size))
    return int(np.searchsorted(below, tail)), int(np.searchsorted(below, 1 - tail))


def _judged(evidence: Evidence, model: BoundsModel) -> Counter[int]:
    """The counted crossings by bin; those not judged yet are taken like one with half of every doubt."""
    waiting = evidence.counted - evidence.real.total()
    if waiting <= 0:
        return evidence.real
    half = (model.crossing[0] + 0.25 * sum(model.crossing[1:])) / _STEP
    return evidence.real + Counter({round(min(max(half, -_BINS), _BINS)): waiting})


def _sorted(bins: Counter[int]) -> _Bins:
    return tuple(sorted(bins.items()))


def _spread(bins: _Bins, sigma: float) -> NDArray[np.float64]:
    """``(2, 3, B)``: probabilities at the three nodes, and how many of each."""
    number, many = np.array(bins, np.float64).reshape(-1, 2).T
    chance = 1 / (1 + np.exp(-(_STEP * number + sigma * _NODES[:, None])))
    return np.array([chance, np.broadcast_to(many, chance.shape)])


def _character(spread: NDArray[np.float64], at: NDArray[np.complex128]) -> NDArray[np.complex128]:
    chance, many = spread
    return np.asarray(np.prod((1 + chance[..., None] * (at - 1)) ** many[..., None], axis=1))


def _normal(
    real: NDArray[np.float64],
    missed: NDArray[np.float64],
    silent: NDArray[np.float64],
    unseen: tuple[float, float],
    tail: float,
) -> tuple[int, int]:
    means, variances = [], []
    for chance, many in (real, missed):
        means.append((chance * many).sum(axis=1))
        variances.append((chance * (1 - chance) * many).sum(axis=1))
    mean = means[0][:, None] + means[1] + silent + unseen[0]
    deviation = np.sqrt(variances[0][:, None] + variances[1] + silent + unseen[0] + unseen[0] ** 2 / unseen[1])
    weight = _WEIGHTS[:, None] * _WEIGHTS
    lowest, highest = float((mean - 8 * deviation).min()), float((mean + 8 * deviation).max())
    found = []
    for share in (tail, 1 - tail):
        low, high = lowest, highest
        for _ in range(60):
            middle = (low + high) / 2
            below = sum(
                w * 0.5 * math.erfc((m - middle) / (d * math.sqrt(2)))
                for w, m, d in zip(weight.ravel(), mean.ravel(), deviation.ravel(), strict=True)
            )
            low, high = (middle, high) if below < share else (low, middle)
        found.append(middle)
    return max(0, math.floor(found[0])), math.ceil(found[1])
