"""How many are inside, from what went in and out: a pure policy against errors that add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from camcount.errors import UsageError
from camcount.events import Direction


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many are inside a place.

    Attributes:
        inside: how many, 0 or more.
        entered, left: as counted since ``since``.
        corrected: how many were added, since more had left than were inside: entries that were missed.
        since: when it was last known how many were inside; None where counting began from the first event.
    """

    inside: int
    entered: int
    left: int
    corrected: int
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancyRule:
    """When a place is known to hold how many, so that counting errors of one day do not go on to the next.

    Args:
        reset: at this time of every day ``value`` are inside, for example nobody at 04:00; None for never.
        zone: of the camera's clock.
        value: how many are inside then.

    Raises:
        UsageError: ``value`` is below 0.
    """

    reset: time | None
    zone: tzinfo
    value: int = 0

    def __post_init__(self) -> None:
        if self.value < 0:
            raise UsageError(f"{self.value} cannot be inside: the value at the reset is 0 or more")

    def last_reset(self, now: datetime) -> datetime | None:
        """The newest reset that is not after ``now``, in UTC.

        A time of day that the clock leaves out is taken where it would have been, one that it shows twice at the
        first time.

        >>> rule = OccupancyRule(reset=time(4), zone=UTC)
        >>> rule.last_reset(datetime(2026, 3, 2, 3, 59, tzinfo=UTC)).isoformat()
        '2026-03-01T04:00:00+00:00'
        """
        if self.reset is None:
            return None
        today = now.astimezone(self.zone).date()
        days = (today + timedelta(days=ahead) for ahead in (1, 0, -1, -2))
        moments = (datetime.combine(day, self.reset, self.zone).astimezone(UTC) for day in days)
        return next(moment for moment in moments if moment <= now)

    def inside(self, crossings: Iterable[Direction], since: datetime | None) -> Occupancy:
        """After these crossings, in order of time since the last reset.

        Whoever leaves an empty place came in unseen: the count stays at 0, and who enters next is the first one.
        """
        inside, entered, left, corrected = self.value, 0, 0, 0
        for direction in crossings:
            if direction == "in":
                inside, entered = inside + 1, entered + 1
                continue
            left += 1
            if inside:
                inside -= 1
            else:
                corrected += 1
        return Occupancy(inside, entered, left, corrected, since)
