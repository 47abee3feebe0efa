"""One picture seen by several models: what each found, how long it took, and in what they differ."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camcount.detections import Detections
from camcount.errors import CamcountError, coded
from camcount.frame import Frame
from camcount.models.agreement import IOU, overlaps
from camcount.protocols import Thresholds
from camcount.serving.dataplane import DataPlane
from camcount.serving.requests import Answer, DetectionRequest

LEAST = 0.1
"""What is found with less confidence is never shown."""

ROUNDS = 3
STAGES = ("preprocess", "inference", "postprocess")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One picture as one model sees it.

    Attributes:
        times_ms: by stage, each the median of `ROUNDS`.
        trouble: why there is no answer; empty where there is one.
    """

    reference: str
    found: Detections
    times_ms: tuple[float, ...] = ()
    trouble: str = ""

    @property
    def total_ms(self) -> float:
        """All stages together."""
        return sum(self.times_ms)

    def sure(self, confidence: float) -> Detections:
        """What was found with at least so much confidence, the surest first."""
        rows = np.flatnonzero(self.found.confidence >= confidence)
        return self.found.select(rows[np.argsort(-self.found.confidence[rows], kind="stable")])


async def sights(plane: DataPlane, picture: Frame, references: Sequence[str]) -> list[Sight]:
    """Has models look at a picture, in turn, so that neither has the machine to itself."""
    answers: dict[str, list[Answer]] = {reference: [] for reference in references}
    troubles: dict[str, str] = {}
    for _ in range(ROUNDS):
        for reference in answers:
            if reference not in troubles:
                try:
                    answers[reference].append(await plane.infer(_request(picture, reference)))
                except CamcountError as error:
                    troubles[reference] = coded(error)
    return [_sight(reference, answers[reference], troubles.get(reference, "")) for reference in references]


def _request(picture: Frame, reference: str) -> DetectionRequest:
    thresholds = Thresholds(confidence=LEAST)
    return DetectionRequest(model=reference, frame=picture, thresholds=thresholds, door="dashboard")


def _sight(reference: str, answers: Sequence[Answer], trouble: str) -> Sight:
    if trouble or not answers:
        return Sight(reference=reference, found=Detections.empty(), trouble=trouble)
    seconds = [[getattr(answer.stages, f"{stage}_s") for answer in answers] for stage in STAGES]
    times = tuple(1000 * statistics.median(each) for each in seconds)
    return Sight(reference=reference, found=answers[-1].detections, times_ms=times)


@dataclass(frozen=True, slots=True)
class Difference:
    """What two answers about one picture share.

    Attributes:
        pairs: row of the first and row of the second, for boxes of one label that lie over each other (IoU of at
            least 0.5), each box in at most one pair.
    """

    first: Detections
    second: Detections
    pairs: tuple[tuple[int, int], ...]

    @property
    def alone(self) -> tuple[frozenset[int], frozenset[int]]:
        """The rows of each that the other does not have."""
        shared = [{pair[side] for pair in self.pairs} for side in (0, 1)]
        first, second = (set(range(len(found))) for found in (self.first, self.second))
        return frozenset(first - shared[0]), frozenset(second - shared[1])

    def by_label(self) -> list[tuple[str, int, int, int]]:
        """Label, boxes of both, only of the first, only of the second; the most frequent first."""
        alone = self.alone
        both = Counter(self.first.label(row) for row, _ in self.pairs)
        only_first = Counter(self.first.label(row) for row in alone[0])
        only_second = Counter(self.second.label(row) for row in alone[1])
        everything = both + only_first + only_second
        return [(name, both[name], only_first[name], only_second[name]) for name, _ in everything.most_common()]


def difference(first: Detections, second: Detections) -> Difference:
    """Pairs the boxes of two answers, those that overlap most first.

    >>> one = Detections(np.array([[0, 0, 9, 9]]), np.array([0.9]), np.array([0]), ("person",))
    >>> difference(one, one).pairs, difference(one, Detections.empty()).alone
    (((0, 0),), (frozenset({0}), frozenset()))
    """
    shared = overlaps(first.xyxy, second.xyxy)
    rows, columns = np.nonzero(shared >= IOU)
    order = np.argsort(-shared[rows, columns], kind="stable")
    pairs: list[tuple[int, int]] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        alike = first.label(row) == second.label(column)
        if alike and row not in taken[0] and column not in taken[1]:
            pairs.append((row, column))
            taken[0].add(row)
            taken[1].add(column)
    return Difference(first, second, tuple(pairs))
