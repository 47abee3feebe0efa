"""How right a count is, from a sample that somebody looked at.

Two kinds of items are drawn. An *event* item shows one counted crossing: right, wrong, or the other way. A *moment*
item shows a few seconds of one line with what was counted in it: how many crossed and were not counted? Moments are
drawn apart for quiet seconds and for those in which something was counted, because that is where more is missed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from camcount.errors import UsageError
from camcount.evaluation.truth import Truth
from camcount.events import Crossing, Direction

Verdict = Literal["yes", "no", "other"]
DIRECTIONS: tuple[Direction, Direction] = ("in", "out")
DRAWS = 4000
"""Draws from the posterior; the bounds move by less than a percent with more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to look at: an event (``crossing`` is given) or a moment, between ``start_s`` and ``end_s``."""

    number: int
    line: str
    start_s: float
    end_s: float
    crossing: Crossing | None = None
    counted: tuple[Crossing, ...] = ()

    @property
    def kind(self) -> str:
        """``event``, ``busy`` or ``quiet``: which sample the item was drawn for."""
        return "event" if self.crossing else "busy" if self.counted else "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody saw: the verdict on an event, or the crossings missed in a moment."""

    number: int
    verdict: Verdict | None = None
    missed: Mapping[Direction, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    """A counted video and the items drawn from it."""

    crossings: tuple[Crossing, ...]
    lines: tuple[str, ...]
    duration_s: float
    span_s: float
    items: tuple[Item, ...]

    def moments(self) -> dict[str, int]:
        """How many moments there are of each kind, over all lines."""
        busy = {(c.line, int(c.time_s // self.span_s)) for c in self.crossings}
        cells = max(1, int(np.ceil(self.duration_s / self.span_s))) * len(self.lines)
        return {"busy": len(busy), "quiet": max(cells - len(busy), 0)}


def plan(
    crossings: Sequence[Crossing],
    lines: Sequence[str],
    duration_s: float,
    *,
    events: int = 30,
    moments: int = 20,
    span_s: float = 4.0,
    seed: int = 1,
) -> Review:
    """Draws what to look at: events evenly over lines and directions, moments half quiet and half busy.

    Raises:
        UsageError: there is no line, or no time.
    """
    if not lines or duration_s <= 0:
        raise UsageError("nothing to verify: the events name no line and --line was not given, or the video is empty")
    rng = np.random.default_rng(seed)
    groups = [[c for c in crossings if (c.line, c.direction) == (n, d)] for n in lines for d in DIRECTIONS]
    chosen = _evenly(groups, events, rng)
    cells = {(c.line, int(c.time_s // span_s)) for c in crossings}
    every = [(n, k) for n in lines for k in range(max(1, int(np.ceil(duration_s / span_s))))]
    busy, quiet = [c for c in every if c in cells], [c for c in every if c not in cells]
    drawn: list[tuple[float, Crossing | None, tuple[str, int]]] = [(c.time_s, c, (c.line, 0)) for c in chosen]
    drawn += [(cell[1] * span_s, None, cell) for cell in _evenly([quiet, busy], moments, rng)]
    items = []
    for number, (time_s, crossing, (line, k)) in enumerate(sorted(drawn, key=lambda d: d[0]), 1):
        start, end = (time_s - 1.2, time_s + 1.2) if crossing else (k * span_s, (k + 1) * span_s)
        inside = tuple(c for c in crossings if c.line == line and crossing is None and start <= c.time_s < end)
        items.append(
            Item(
                number=number,
                line=line,
                start_s=max(start, 0.0),
                end_s=min(end, duration_s),
                crossing=crossing,
                counted=inside,
            )
        )
    return Review(tuple(crossings), tuple(lines), duration_s, span_s, tuple(items))


def _evenly(groups: Iterable[Sequence[Any]], wanted: int, rng: np.random.Generator) -> list[Any]:
    """So many from all groups, as equally as their sizes allow."""
    groups = list(groups)
    left = [list(rng.permutation(len(group))) for group in groups]
    chosen: list[Any] = []
    while len(chosen) < wanted and any(left):
        for group, order in zip(groups, left, strict=True):
            if order and len(chosen) < wanted:
                chosen.append(group[order.pop()])
    return chosen


def answers_from_truth(review: Review, truth: Truth) -> list[Answer]:
    """What an infallible reviewer with the truth file would say."""
    open_truths = [e for e in truth.events if e.line in review.lines]
    verdicts: dict[str, Verdict] = {}
    for crossing in sorted(review.crossings, key=lambda c: c.time_s):
        near = [
            e for e in open_truths if e.line == crossing.line and abs(e.time_s - crossing.time_s) <= e.tolerance_s
        ]
        near.sort(key=lambda e: (e.direction != crossing.direction, abs(e.time_s - crossing.time_s)))
        if near:
            open_truths.remove(near[0])
        verdicts[crossing.event_id] = (
            "no" if not near else "yes" if near[0].direction == crossing.direction else "other"
        )
    missed = [e for e in open_truths if e.certain]
    answers = []
    for item in review.items:
        if item.crossing:
            answers.append(Answer(number=item.number, verdict=verdicts[item.crossing.event_id]))
            continue
        there = [e for e in missed if e.line == item.line and item.start_s <= e.time_s < item.end_s]
        answers.append(
            Answer(number=item.number, missed={d: sum(e.direction == d for e in there) for d in DIRECTIONS})
        )
    return answers


def write_answers(review: Review, path: Path, answers: Iterable[Answer] = ()) -> None:
    """The form as CSV, filled in as far as ``answers`` go."""
    known = {answer.number: answer for answer in answers}
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["number", "kind", "line", "start_s", "end_s", "counted", "verdict", "missed_in", "missed_out"])
        for item in review.items:
            answer = known.get(item.number, Answer(number=item.number))
            shown = [item.crossing] if item.crossing else item.counted
            counted = " ".join(f"{c.direction}@{c.time_s:.2f}" for c in shown if c)
            missed = [answer.missed.get(d, "") for d in DIRECTIONS]
            span = [f"{item.start_s:.2f}", f"{item.end_s:.2f}"]
            rows.writerow([item.number, item.kind, item.line, *span, counted, answer.verdict or "", *missed])


def read_answers(review: Review, path: Path) -> list[Answer]:
    """The filled-in form; rows left empty are not answers.

    Raises:
        UsageError: the file is not the form of this review, or a row holds something else than it asks for.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the answers {path}: {error}") from None
    items = {str(item.number): item for item in review.items}
    answers = []
    for row in rows:
        item = items.get(row.get("number") or "")
        if item is None or row.get("kind") != item.kind or row.get("line") != item.line:
            raise UsageError(
                f"{path} belongs to another review: make it anew with the same events, --seed and numbers"
            )
        answer = _answer(path, item, row)
        if answer.verdict or answer.missed:
            answers.append(answer)
    return answers


def _answer(path: Path, item: Item, row: Mapping[str, str | None]) -> Answer:
    where = f"{path}: number {item.number}"
    if item.crossing:
        verdict = (row.get("verdict") or "").strip()
        if verdict not in ("", "yes", "no", "other"):
            raise UsageError(f"{where} has verdict {verdict!r}: write yes, no or other (the other way)")
        return Answer(number=item.number, verdict=verdict or None)  # type: ignore[arg-type]
    missed: dict[Direction, int] = {}
    for direction in DIRECTIONS:
        text = (row.get(f"missed_{direction}") or "").strip()
        if text and not text.isdigit():
            raise UsageError(f"{where} has missed_{direction} {text!r}: write how many, 0 for none")
        if text:
            missed[direction] = int(text)
    return Answer(number=item.number, missed=missed)
