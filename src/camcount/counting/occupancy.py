"""How many are inside a site that has several doors, kept right where doors miss somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class OccupancySettings:
    """How an occupancy is kept from drifting.

    Attributes:
        closing: when everybody has left, on the clock of ``zone``; None: never.
        balance: learn from days that are over which way is missed more, and make up for it.
        faith: so many crossings each way speak for doors that miss nothing, before anything is learnt.
        memory: share of what is known of earlier days that a new day leaves, 0 to 1.
    """

    closing: time | None = None
    zone: tzinfo = UTC
    balance: bool = True
    faith: float = 100.0
    memory: float = 0.8


@dataclass(frozen=True, slots=True)
class Day:
    """From one closing time to the next.

    Attributes:
        end: when it was over.
        entries, exits: as counted.
        unseen: exits while nobody was inside: that many must have come in unseen.
        left_over: inside by the counts when nobody could be.
        peak: the most that were inside at once.
    """

    end: datetime
    entries: int
    exits: int
    unseen: int
    left_over: int
    peak: int


class SiteOccupancy:
    """Entries and exits of all doors, in order of time, to how many are inside. Never below 0.

    Whoever comes in goes out before closing time: the sums of a day that is over should be alike. If fewer exits
    than entries are counted, day after day, exits are missed, and each exit counts for that much more: ``weight``
    of the way that is missed is the ratio of the two sums, drawn towards 1 by ``faith``. At closing time the
    count is 0 again, whatever it was. Memory is that of a few numbers, and of the `Day` objects that are returned.
    """

    def __init__(self, settings: OccupancySettings = OccupancySettings()) -> None:
        self._settings = settings
        self._inside = 0.0
        self._entries = self._exits = self._unseen = self._peak = 0
        self._before = [0.0, 0.0]
        self._closing: datetime | None = None
        self._last: datetime | None = None

    @property
    def inside(self) -> int:
        """How many are inside."""
        return round(self._inside)

    @property
    def weights(self) -> tuple[float, float]:
        """What an entry and an exit count for."""
        if not self._settings.balance:
            return 1.0, 1.0
        entries, exits = (known + self._settings.faith for known in self._before)
        return max(1.0, exits / entries), max(1.0, entries / exits)

    def enter(self, moment: datetime) -> list[Day]:
        """Somebody came in; the days that are over by then.

        Raises:
            ValueError: it is before the last moment, or without a time zone.
        """
        days = self.until(moment)
        self._entries += 1
        self._change(self.weights[0])
        return days

    def leave(self, moment: datetime) -> list[Day]:
        """Somebody went out; the days that are over by then. Raises as `enter`."""
        days = self.until(moment)
        self._exits += 1
        if self.inside < 1:
            self._unseen += 1
            self._inside = 0.0
        else:
            self._change(-self.weights[1])
        return days

    def until(self, moment: datetime) -> list[Day]:
        """Nobody came or went until then; the days that are over. Raises as `enter`."""
        if moment.tzinfo is None or (self._last is not None and moment < self._last):
            raise ValueError(f"{moment} has no time zone, or is before {self._last}")
        self._last = moment
        days = []
        if self._closing is None:
            self._closing = self._closing_after(moment)
        while self._closing is not None and self._closing <= moment:
            days.append(self._close(self._closing))
            self._closing = self._closing_after(self._closing)
        return days

    def reset(self, inside: int = 0) -> None:
        """Somebody has counted: so many are inside."""
        self._inside = float(max(inside, 0))

    def _change(self, by: float) -> None:
        self._inside = max(0.0, self._inside + by)
        self._peak = max(self._peak, self.inside)

    def _close(self, end: datetime) -> Day:
        day = Day(end, self._entries, self._exits, self._unseen, self.inside, self._peak)
        counted = (self._entries, self._exits)
        self._before = [self._settings.memory * b + n for b, n in zip(self._before, counted, strict=True)]
        self._entries = self._exits = self._unseen = self._peak = 0
        self._inside = 0.0
        return day

    def _closing_after(self, moment: datetime) -> datetime | None:
        if self._settings.closing is None:
            return None
        zone = self._settings.zone
        day = moment.astimezone(zone).date()
        for ahead in range(3):  # a clock change may put this day's behind the moment
            closing = datetime.combine(day + timedelta(days=ahead), self._settings.closing, zone).astimezone(UTC)
            if closing > moment:
                return closing
        raise AssertionError("every three days have a closing time")
