"""Figures of a stream of numbers in bounded memory."""

from __future__ import annotations

import copy
import random

import numpy as np


class Sample:
    """Count, mean and highest of all numbers, exactly; quantiles exactly up to ``keep`` numbers.

    Beyond that the quantiles are those of a uniform random sample of ``keep`` of them (Vitter 1985, algorithm R),
    drawn with a fixed seed.

    >>> numbers = Sample()
    >>> for seconds in (1.0, 2.0, 6.0):
    ...     numbers.add(seconds)
    >>> numbers.mean, numbers.quantile(0.5), numbers.highest
    (3.0, 2.0, 6.0)
    """

    def __init__(self, keep: int = 4096) -> None:
        self.count = 0
        self.highest: float | None = None
        self._sum = 0.0
        self._keep = keep
        self._kept: list[float] = []
        self._random = random.Random(0)

    def add(self, value: float) -> None:
        """One more number."""
        self.count += 1
        self._sum += value
        self.highest = value if self.highest is None else max(self.highest, value)
        if len(self._kept) < self._keep:
            self._kept.append(value)
        elif (place := self._random.randrange(self.count)) < self._keep:
            self._kept[place] = value

    @property
    def mean(self) -> float | None:
        """The arithmetic mean, or None of nothing."""
        return self._sum / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The number that ``share`` (0..1) of all lie below, interpolated; None of nothing."""
        return float(np.quantile(self._kept, share)) if self._kept else None

    def copy(self) -> Sample:
        """Another sample that goes on from here."""
        return copy.deepcopy(self)
