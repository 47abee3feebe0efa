"""A site with several doors and cameras: one count of it from the crossings of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from camcount.counting.floor import Floor, Sighting
from camcount.counting.journeys import Journey, Leg, Port, journeys
from camcount.counting.occupancy import Day, OccupancySettings, SiteOccupancy
from camcount.counting.overlap import OverlapSettings, seen_once
from camcount.errors import UsageError
from camcount.events import Crossing


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What belongs together.

    Attributes:
        doors: by name, the ports that are its way in, one of each camera that sees it; the other direction of those
            lines is its way out.
        floors: by camera.
        clocks: by camera, seconds to add to its times.
        legs: ways between cameras.
    """

    doors: Mapping[str, Sequence[Port]] = field(default_factory=dict)
    floors: Mapping[str, Floor] = field(default_factory=dict)
    clocks: Mapping[str, float] = field(default_factory=dict)
    legs: Sequence[Leg] = ()
    overlap: OverlapSettings = field(default_factory=OverlapSettings)
    occupancy: OccupancySettings = field(default_factory=OccupancySettings)


@dataclass(frozen=True, slots=True)
class Passage:
    """Somebody who went through a door, however many cameras saw it."""

    door: str
    entering: bool
    time_s: float
    sightings: Sequence[Sighting]


@dataclass(frozen=True, slots=True)
class Span:
    """What happened in one time span; ``inside`` is at its end, ``peak`` the most within it."""

    start_s: float
    entries: int
    exits: int
    inside: int
    peak: int


def sightings_of(site: Site, crossings: Sequence[Crossing]) -> list[Sighting]:
    """The crossings on the clock and the floor of the site, in order of time.

    Times are seconds since 1970 where crossings know the clock, else since the start of their source.

    Raises:
        UsageError: some know the clock and others do not.
    """
    clocked = {crossing.time is not None for crossing in crossings}
    if len(clocked) > 1:
        raise UsageError("some events have clock times and others have none: count all videos with --start-time")
    found = [_sighting(site, crossing) for crossing in crossings]
    return sorted(found, key=lambda s: s.time_s)


def _sighting(site: Site, crossing: Crossing) -> Sighting:
    time_s = crossing.time.timestamp() if crossing.time is not None else crossing.time_s
    floor = site.floors.get(crossing.camera_id)
    place = floor.place(crossing.point) if floor is not None else None
    return Sighting(crossing, time_s + site.clocks.get(crossing.camera_id, 0.0), place)


def passages_of(site: Site, sightings: Sequence[Sighting]) -> list[Passage]:
    """Who went through the doors, each counted once; in order of time."""
    ways: dict[tuple[str, bool], list[Sighting]] = {}
    doors = {(port.camera_id, port.line): (name, port) for name, ports in site.doors.items() for port in ports}
    for sighting in sightings:
        crossing = sighting.crossing
        if (found := doors.get((crossing.camera_id, crossing.line))) is not None:
            name, port = found
            ways.setdefault((name, crossing.direction == port.direction), []).append(sighting)
    found_all = [
        Passage(name, entering, float(np.mean([s.time_s for s in group])), group)
        for (name, entering), several in ways.items()
        for group in seen_once(several, site.overlap)
    ]
    return sorted(found_all, key=lambda passage: passage.time_s)


def occupied(site: Site, passages: Sequence[Passage], every_s: float) -> tuple[list[Span], list[Day]]:
    """How many were inside, in steps of ``every_s`` seconds, and the days that are over."""
    counter, days, spans = SiteOccupancy(site.occupancy), list[Day](), list[Span]()
    for start_s, inside_it in _steps(passages, every_s):
        peak, entries = counter.inside, 0
        for passage in inside_it:
            days += (counter.enter if passage.entering else counter.leave)(_moment(passage.time_s))
            peak = max(peak, counter.inside)
            entries += passage.entering
        days += counter.until(_moment(start_s + every_s))
        spans.append(Span(start_s, entries, len(inside_it) - entries, counter.inside, peak))
    return spans, days


def _steps(passages: Sequence[Passage], every_s: float) -> Iterator[tuple[float, list[Passage]]]:
    if not passages:
        return
    first, last = (int(passages[k].time_s // every_s) for k in (0, -1))
    by_step: dict[int, list[Passage]] = {}
    for passage in passages:
        by_step.setdefault(int(passage.time_s // every_s), []).append(passage)
    for number in range(first, last + 1):
        yield number * every_s, by_step.get(number, [])


def _moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def site_report(site: Site, crossings: Sequence[Crossing], every_s: float) -> dict[str, Any]:
    """Doors, occupancy and journeys of a site, ready for JSON.

    Raises:
        UsageError: clock times are missing, of some events or for a closing time.
    """
    clocked = any(crossing.time is not None for crossing in crossings)
    if site.occupancy.closing is not None and crossings and not clocked:
        raise UsageError("a closing time needs events with clock times: count the videos with --start-time")
    sightings = sightings_of(site, crossings)
    passages = passages_of(site, sightings)
    spans, days = occupied(site, passages, every_s)
    zone = site.occupancy.zone

    def told(time_s: float) -> str | float:
        return _moment(time_s).astimezone(zone).isoformat() if clocked else round(time_s, 3)

    return {
        "doors": {name: _door(name, passages) for name in site.doors},
        "occupancy": [
            {"start": told(s.start_s), "entries": s.entries, "exits": s.exits, "inside": s.inside, "peak": s.peak}
            for s in spans
        ],
        "days": [_day(day, told(day.end.timestamp())) for day in days],
        "journeys": _flows(site.legs, journeys(sightings, site.legs)),
    }


def _door(name: str, passages: Sequence[Passage]) -> dict[str, int]:
    mine = [passage for passage in passages if passage.door == name]
    entries = sum(passage.entering for passage in mine)
    return {
        "entries": entries,
        "exits": len(mine) - entries,
        "sightings": sum(len(passage.sightings) for passage in mine),
        "seen_twice": sum(len(passage.sightings) > 1 for passage in mine),
    }


def _day(day: Day, end: str | float) -> dict[str, Any]:
    numbers = {name: getattr(day, name) for name in ("entries", "exits", "unseen", "left_over", "peak")}
    return {"end": end, **numbers}


def _flows(legs: Sequence[Leg], found: Sequence[Journey]) -> list[dict[str, Any]]:
    rows = []
    for leg in legs:
        mine = [journey for journey in found if journey.leg is leg]
        expected = sum(journey.confidence for journey in mine)
        rows.append(
            {
                "from": str(leg.origin),
                "to": str(leg.destination),
                "count": len(mine),
                "expected": round(expected, 1),
                "confidence": round(expected / len(mine), 3) if mine else None,
                "median_travel_s": round(float(np.median([j.travel_s for j in mine])), 2) if mine else None,
            }
        )
    return rows
