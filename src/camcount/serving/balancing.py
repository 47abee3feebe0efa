"""Which replica or remote endpoint gets the next request, where they do not all pull from one shared queue.

``shared`` is the default and needs no policy: whoever is free takes the next request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from camcount.errors import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One replica or endpoint as it stands now.

    Attributes:
        name: its own among the lanes; a policy remembers it by this.
        weight: its share, above 0, relative to the others'.
        in_flight: requests that it has and has not answered.
        open: it is healthy and its breaker lets calls through.
    """

    name: str
    weight: float = 1.0
    in_flight: int = 0
    open: bool = True


class Policy(Protocol):
    """Chooses a lane. Time and threads are its owner's matter: it neither waits nor locks."""

    def choose(self, lanes: Sequence[Lane]) -> int:
        """The index of the lane that gets the next request.

        Args:
            lanes: all there are; they may be others from call to call.

        Raises:
            ServiceError: none is open.
        """
        ...


class RoundRobin:
    """One after the other, passing over those that are not open."""

    def __init__(self) -> None:
        self._last = -1

    def choose(self, lanes: Sequence[Lane]) -> int:
        """The next open lane after the last one chosen."""
        self._last = min(_open(lanes), key=lambda lane: (lane - self._last - 1) % len(lanes))
        return self._last


class Weighted:
    """Smooth weighted round robin: after any number of turns each open lane has had its share, to within one turn
    or so, and no lane has its turns in one run.

    Source: nginx, "Upstream: smooth weighted round-robin balancing" (commit 52327e0627f4, 2012).
    """

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def choose(self, lanes: Sequence[Lane]) -> int:
        """Every open lane earns its weight; the richest is chosen and pays what all have earned."""
        places = _open(lanes)
        self._credit = {lanes[at].name: self._credit.get(lanes[at].name, 0.0) + lanes[at].weight for at in places}
        chosen = max(places, key=lambda at: self._credit[lanes[at].name])
        self._credit[lanes[chosen].name] -= sum(lanes[at].weight for at in places)
        return chosen


class LeastConnections:
    """The lane with the fewest requests in flight for its weight; between equals, one after the other."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def choose(self, lanes: Sequence[Lane]) -> int:
        """The least loaded open lane."""
        load = {at: (lanes[at].in_flight + 1) / lanes[at].weight for at in _open(lanes)}
        least = min(load.values())
        return self._turns.choose([_only(lane, load.get(at) == least) for at, lane in enumerate(lanes)])


POLICIES: Mapping[str, Callable[[], Policy]] = MappingProxyType(
    {"round_robin": RoundRobin, "weighted": Weighted, "least_connections": LeastConnections}
)
"""By the name that the settings use; beside them ``shared`` and ``hybrid``, where replicas pull from one queue."""


def _open(lanes: Sequence[Lane]) -> list[int]:
    places = [at for at, lane in enumerate(lanes) if lane.open]
    if not places:
        raise ServiceError(
            f"none of {len(lanes)} replicas and endpoints can take a request now: try again in a while"
        )
    return places


def _only(lane: Lane, is_open: bool) -> Lane:
    return Lane(name=lane.name, weight=lane.weight, in_flight=lane.in_flight, open=is_open)
