"""From answers to accuracy: total, by direction and by interval, each with a 95 % interval.

For every stratum (events of a direction; quiet moments; busy moments) what was looked at is taken as it is, and what
was not is drawn from the posterior under Jeffreys' prior: Dirichlet(1/2) over yes, other way and no for events, a
Gamma(1/2) rate for crossings missed in a moment. So a stratum that was looked at in full adds no doubt, and one where
ten of a thousand were right adds what ten can say. (Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6 to 2.8, 3.4.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camcount.evaluation.review import DIRECTIONS, DRAWS, Answer, Item, Review
from camcount.events import Direction

Draws = NDArray[np.float64]
OTHER: dict[Direction, Direction] = {"in": "out", "out": "in"}


@dataclass(frozen=True, slots=True)
class _Sample:
    """The looked-at part of a review."""

    verdicts: dict[Direction, list[str]]
    missed: dict[str, dict[Direction, list[int]]]


def report(
    review: Review, answers: Sequence[Answer], *, every_s: float | None = None, seed: int = 1
) -> dict[str, Any]:
    """Accuracy of the counts of ``review``, ready for JSON.

    ``total`` and ``directions`` hold ``counted``, ``true`` (estimated), ``accuracy`` = 1 - |counted - true| / true,
    ``precision`` and ``recall``, each estimate as ``{"estimate", "low", "high"}``. ``intervals`` holds accuracy by
    time span of ``every_s`` seconds (a quarter of the video unless given) from what was looked at in each.
    """
    rng = np.random.default_rng(seed)
    sample = _sample(review, answers)
    right, turned = {}, {}
    for d in DIRECTIONS:
        right[d], turned[d] = _events(review, sample, d, rng)
    missed = {
        d: sum((_missed(review, sample, k, d, rng) for k in ("quiet", "busy")), np.zeros(DRAWS)) for d in DIRECTIONS
    }
    counted = {d: sum(c.direction == d for c in review.crossings) for d in DIRECTIONS}
    true = {d: right[d] + turned[OTHER[d]] + missed[d] for d in DIRECTIONS}
    directions = {d: _figures(counted[d], right[d], true[d]) for d in DIRECTIONS}
    return {
        "looked_at": {"events": sum(map(len, sample.verdicts.values())), "moments": _looked(sample)},
        "total": _figures(sum(counted.values()), right["in"] + right["out"], true["in"] + true["out"]),
        "directions": directions,
        "intervals": _intervals(review, answers, every_s or review.duration_s / 4),
    }


def _sample(review: Review, answers: Sequence[Answer]) -> _Sample:
    items = {item.number: item for item in review.items}
    verdicts: dict[Direction, list[str]] = {d: [] for d in DIRECTIONS}
    missed: dict[str, dict[Direction, list[int]]] = {k: {d: [] for d in DIRECTIONS} for k in ("quiet", "busy")}
    for answer in answers:
        item = items[answer.number]
        if item.crossing and answer.verdict:
            verdicts[item.crossing.direction].append(answer.verdict)
        elif not item.crossing and answer.missed:
            for d in DIRECTIONS:
                missed[item.kind][d].append(answer.missed.get(d, 0))
    return _Sample(verdicts, missed)


def _looked(sample: _Sample) -> int:
    return sum(len(kind["in"]) for kind in sample.missed.values())


def _events(review: Review, sample: _Sample, d: Direction, rng: np.random.Generator) -> tuple[Draws, Draws]:
    """How many of the crossings counted in direction ``d`` went that way, and how many the other way."""
    seen = [sample.verdicts[d].count(v) for v in ("yes", "other", "no")]
    rest = sum(c.direction == d for c in review.crossings) - sum(seen)
    shares = rng.dirichlet(np.array(seen) + 0.5, DRAWS)
    return seen[0] + rest * shares[:, 0], seen[1] + rest * shares[:, 1]


def _missed(review: Review, sample: _Sample, kind: str, d: Direction, rng: np.random.Generator) -> Draws:
    seen = sample.missed[kind][d]
    rest = review.moments()[kind] - len(seen)
    if rest <= 0:
        return np.full(DRAWS, float(sum(seen)))
    # where nothing was looked at the prior alone would be endless: it is held to what one in the whole would give
    rate = rng.gamma(sum(seen) + 0.5, 1 / (len(seen) or rest), DRAWS)
    return np.asarray(sum(seen) + rest * rate)


def _figures(counted: int, right: Draws, true: Draws) -> dict[str, Any]:
    safe = np.maximum(true, 1e-9)
    return {
        "counted": counted,
        "true": _bounds(true, 1),
        "accuracy": _bounds(np.clip(1 - np.abs(counted - true) / safe, 0, 1), 4) if true.max() > 0.5 else None,
        "precision": _bounds(right / counted, 4) if counted else None,
        "recall": _bounds(np.clip(right / safe, 0, 1), 4) if true.max() > 0.5 else None,
    }


def _bounds(draws: Draws, digits: int) -> dict[str, float]:
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return {
        "estimate": round(float(middle), digits),
        "low": round(float(low), digits),
        "high": round(float(high), digits),
    }


def _intervals(review: Review, answers: Sequence[Answer], every_s: float) -> list[dict[str, Any]]:
    known = {answer.number: answer for answer in answers}
    rows = []
    for k in range(max(1, int(np.ceil(review.duration_s / every_s - 1e-9)))):
        start, end = k * every_s, min((k + 1) * every_s, review.duration_s)
        items = [i for i in review.items if i.number in known and start <= _at(i) < end]
        counted = sum(start <= c.time_s < end for c in review.crossings)
        rows.append(
            {
                "start_s": round(start, 2),
                "end_s": round(end, 2),
                "counted": counted,
                **_in_interval(items, known, counted, review, end - start),
            }
        )
    return rows


def _at(item: Item) -> float:
    return item.crossing.time_s if item.crossing else item.start_s


def _in_interval(
    items: Sequence[Item], known: dict[int, Answer], counted: int, review: Review, length_s: float
) -> dict[str, Any]:
    events = [known[i.number].verdict for i in items if i.crossing]
    moments = [sum(known[i.number].missed.values()) for i in items if not i.crossing]
    if (counted and not events) or not moments:
        return {"true": None, "accuracy": None, "looked_at": len(items)}
    cells = max(length_s / review.span_s * len(review.lines), len(moments))
    real = counted * (1 - events.count("no") / len(events)) if counted else 0.0
    true = real + float(np.mean(moments)) * cells
    accuracy = max(0.0, 1 - abs(counted - true) / true) if true else float(counted == 0)
    return {"true": round(true, 1), "accuracy": round(accuracy, 4), "looked_at": len(items)}
