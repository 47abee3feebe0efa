"""From one camera to another: who left here is who came in there, by time and way alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camcount.counting.floor import Sighting
from camcount.events import Direction

_REACH = 3.0
"""Standard deviations of the travel time within which two crossings may be one journey."""
_ROUNDS = 6
_MESSAGES = 200
_FAITH = 10.0
"""A leg's own share counts for so many who left, beside those that there were."""


@dataclass(frozen=True, slots=True)
class Port:
    """A way out of, or into, the view of a camera."""

    camera_id: str
    line: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.camera_id}/{self.line}:{self.direction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A way from one port to another.

    Attributes:
        speed: median over those who go, in metres per second.
        spread: standard deviation of the logarithm of the travel time; 0.25: two of three within a fourth.
        distance_m: how long the way is; None: as the crow flies between the two crossings on the floor.
        share: of those who leave at the origin, how many are thought to come this way before anybody has.
    """

    origin: Port
    destination: Port
    speed: float = 1.3
    spread: float = 0.25
    distance_m: float | None = None
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Journey:
    """A crossing here and one there that are taken for one person's; ``confidence`` 0..1 that they are."""

    leg: Leg
    start: Sighting
    end: Sighting
    confidence: float

    @property
    def travel_s(self) -> float:
        """From the first crossing to the second."""
        return self.end.time_s - self.start.time_s


def journeys(sightings: Sequence[Sighting], legs: Sequence[Leg]) -> list[Journey]:
    """The journeys, in order of their end; each crossing is the start of one at most and the end of one at most.

    Travel times are log-normal around the way's length over the speed. A pair weighs what it is more likely to be a
    journey than two who have nothing to do with each other: ``share f(t) / (rest rate)``, with ``rest`` the share of
    those who go nowhere known and ``rate`` the unrelated arrivals per second. Those pairs are taken whose weights
    have the largest product. ``confidence`` is the marginal probability of a pair over all ways to pair them all, by
    belief propagation (Williams and Lau, IEEE TAES 50(4), 2014); from it shares and rates are learnt in a few
    rounds. Nothing about anybody's looks is asked or kept.
    """
    ports = _by_port(sightings)
    pairs = [pair for number, leg in enumerate(legs) for pair in _pairs(number, leg, ports)]
    if not pairs:
        return []
    web = _Web(sightings, legs, pairs)
    sure, weights = web.learnt()
    found = [
        Journey(legs[pairs[k].leg], pairs[k].start, pairs[k].end, float(sure[k]))
        for k in _best(web.starts, web.ends, np.log(np.maximum(weights, 1.0)), len(sightings))
        if weights[k] > 1
    ]
    return sorted(found, key=lambda journey: journey.end.time_s)


@dataclass(frozen=True, slots=True)
class _Pair:
    leg: int
    start: Sighting
    end: Sighting
    density: float


class _Web:
    """All pairs that may be, as arrays: ``starts`` and ``ends`` say which sighting, ``leg`` which way."""

    def __init__(self, sightings: Sequence[Sighting], legs: Sequence[Leg], pairs: Sequence[_Pair]) -> None:
        names = {id(sighting): number for number, sighting in enumerate(sightings)}
        self.starts = np.array([names[id(pair.start)] for pair in pairs])
        self.ends = np.array([names[id(pair.end)] for pair in pairs])
        self._leg = np.array([pair.leg for pair in pairs])
        self._density = np.array([pair.density for pair in pairs])
        self._shares = np.array([leg.share for leg in legs])
        self._origin = _numbered([leg.origin for leg in legs])
        self._destination = _numbered([leg.destination for leg in legs])
        ports = _by_port(sightings)
        self._leaving = np.array([len(ports.get(leg.origin, ())) for leg in legs])
        self._coming = np.array([len(ports.get(leg.destination, ())) for leg in legs])
        times = [sighting.time_s for sighting in sightings]
        self._span_s = max(max(times) - min(times), 60.0)

    def learnt(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The marginal probability and the weight of each pair."""
        shares, unrelated = self._shares, self._coming / 2
        for _ in range(_ROUNDS):
            weights = self._weights(shares, unrelated)
            sure = _marginals(self.starts, self.ends, weights)
            expected = np.bincount(self._leg, sure, len(shares))
            shares = (expected + _FAITH * self._shares) / (self._leaving + _FAITH)
            explained = np.bincount(self._destination, expected)[self._destination]
            unrelated = np.maximum(self._coming - explained, 0.05 * self._coming + 1)
        return sure, weights

    def _weights(self, shares: NDArray[np.float64], unrelated: NDArray[np.float64]) -> NDArray[np.float64]:
        rest = np.maximum(1 - np.bincount(self._origin, shares)[self._origin], 0.05)
        return np.asarray((shares / (rest * unrelated / self._span_s))[self._leg] * self._density)


def _numbered(ports: Sequence[Port]) -> NDArray[np.intp]:
    return np.array([list(dict.fromkeys(ports)).index(port) for port in ports])


def _marginals(starts: NDArray[np.intp], ends: NDArray[np.intp], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely each pair is, where every start and every end is in one pair or in none."""
    free = np.ones(len(weights))
    for _ in range(_MESSAGES):
        reach = weights * free
        asked = weights / (1 + np.bincount(starts, reach)[starts] - reach)
        before, free = free, 1 / (1 + np.bincount(ends, asked)[ends] - asked)
        if np.abs(free - before).max() < 1e-4:
            break
    reach = weights * free
    return np.asarray(reach / (1 + np.bincount(starts, reach)[starts]))


def _by_port(sightings: Sequence[Sighting]) -> dict[Port, list[Sighting]]:
    ports: dict[Port, list[Sighting]] = defaultdict(list)
    for sighting in sorted(sightings, key=lambda s: s.time_s):
        crossing = sighting.crossing
        ports[Port(crossing.camera_id, crossing.line, crossing.direction)].append(sighting)
    return ports


def _pairs(number: int, leg: Leg, ports: Mapping[Port, list[Sighting]]) -> list[_Pair]:
    starts, ends = ports.get(leg.origin, []), ports.get(leg.destination, [])
    if not starts or not ends:
        return []
    times = np.array([end.time_s for end in ends])
    stretch = math.exp(_REACH * leg.spread)
    longest_s = stretch / leg.speed * max(_metres(leg, a, b) for a in _corners(starts) for b in _corners(ends))
    found = []
    for start in starts:
        first, last = np.searchsorted(times, (start.time_s, start.time_s + 1.5 * longest_s), "right").tolist()
        for end in ends[first:last]:
            travel_s, usual_s = end.time_s - start.time_s, _metres(leg, start, end) / leg.speed
            if usual_s / stretch <= travel_s <= usual_s * stretch and start.crossing.label == end.crossing.label:
                found.append(_Pair(number, start, end, _density(travel_s, usual_s, leg.spread)))
    return found


def _corners(sightings: Sequence[Sighting]) -> list[Sighting]:
    """The outermost ones, for the longest way between two ports."""
    known = [s for s in sightings if s.place is not None]
    if not known:
        return [sightings[0]]
    places = np.array([s.place for s in known])
    turns = [places @ (math.cos(angle), math.sin(angle)) for angle in np.linspace(0, 2 * math.pi, 8, endpoint=False)]
    return [known[int(np.argmax(turn))] for turn in turns]


def _metres(leg: Leg, start: Sighting, end: Sighting) -> float:
    if leg.distance_m is not None:
        return leg.distance_m
    if start.place is None or end.place is None:
        raise ValueError(f"the way from {leg.origin} to {leg.destination} has neither a length nor a floor")
    return max(math.dist(start.place, end.place), 0.1)


def _density(travel_s: float, usual_s: float, spread: float) -> float:
    off = math.log(travel_s / usual_s) / spread
    return math.exp(-off * off / 2) / (travel_s * spread * math.sqrt(2 * math.pi))


def _best(starts: NDArray[np.intp], ends: NDArray[np.intp], gains: NDArray[np.float64], count: int) -> list[int]:
    """Which pairs, one to one, have the largest sum of gains; a part at a time that has to do with itself only."""
    from scipy.sparse import coo_array  # SciPy takes 30 MB, which a server without cameras does without
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(starts)), (starts, ends + count)), shape=(2 * count, 2 * count))
    _, part = connected_components(graph, directed=False)
    by_part: dict[int, list[int]] = defaultdict(list)
    for pair, number in enumerate(part[starts].tolist()):
        by_part[number].append(pair)
    return [pair for members in by_part.values() for pair in _best_of(np.array(members), starts, ends, gains)]


def _best_of(
    members: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp], gains: NDArray[np.float64]
) -> list[int]:
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(starts[members], return_inverse=True)
    columns, column = np.unique(ends[members], return_inverse=True)
    gain = np.zeros((len(rows), len(columns)))
    pair = np.full(gain.shape, -1)
    gain[row, column], pair[row, column] = gains[members], members
    chosen = pair[linear_sum_assignment(gain, maximize=True)]
    return [int(number) for number in chosen if number >= 0]
