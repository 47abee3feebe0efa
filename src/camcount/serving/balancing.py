"""Which of several lanes the next job takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camcount.errors import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One replica as the balancer sees it."""

    weight: float
    in_flight: int
    open: bool
    remote: bool = False


class RoundRobin:
    """One after the other."""

    def __init__(self) -> None:
        self._last = -1

    def choose(self, lanes: Sequence[Lane]) -> int:
        """The next lane that is open."""
        for step in range(1, len(lanes) + 1):
            at = (self._last + step) % len(lanes)
            if lanes[at].open:
                self._last = at
                return at
        raise ServiceError("no replica works at the moment: try again later")


def balancer_for(name: str) -> RoundRobin | None:
    """The balancer of that name; none where all share one queue."""
    return None if name in ("shared", "hybrid") else RoundRobin()
