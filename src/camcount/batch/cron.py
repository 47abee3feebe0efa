"""Cron expressions: five fields, as crontab(5) has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger

from camcount.errors import UsageError, words_of

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Cron:
    """When something is due, for example ``*/15 6-22 * * mon-fri``.

    Weekdays are 0 to 7, Sunday being both, or names. Where day and weekday are both limited, either is enough, as
    cron has it. A time that a clock change skips comes as much later.

    Args:
        zone: a name such as ``Europe/Berlin``; the machine's own zone unless given.

    Raises:
        UsageError: it is no such expression, it never comes, or there is no such zone.
    """

    def __init__(self, expression: str, zone: str = "") -> None:
        self.expression = expression
        fields = _NAMED.get(expression.strip().lower(), expression).split()
        if len(fields) != 5:
            raise UsageError(
                f"{expression!r} is no cron expression: write minute hour day month weekday, */15 * * * *"
            )
        self._triggers = [_trigger(expression, row, _zone(zone)) for row in _either(fields)]
        self.after(datetime.now(UTC))

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment, aware, in UTC.

        Raises:
            UsageError: there is none.
        """
        times = [trigger.get_next_fire_time(moment, moment) for trigger in self._triggers]
        if not (known := [time for time in times if time is not None]):
            raise UsageError(f"{self.expression!r} never comes: there is no such day")
        first: datetime = min(known)
        return first.astimezone(UTC)


def _either(fields: Sequence[str]) -> list[list[str]]:
    minute, hour, day, month, weekday = fields
    if day == "*" or weekday == "*":
        return [[minute, hour, day, month, weekday]]
    return [[minute, hour, day, month, "*"], [minute, hour, "*", month, weekday]]


def _trigger(expression: str, fields: Sequence[str], zone: tzinfo | None) -> CronTrigger:
    minute, hour, day, month, weekday = fields
    try:
        return CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=_weekdays(weekday), timezone=zone
        )
    except ValueError as error:
        raise UsageError(
            f"{expression!r} is no cron expression ({words_of(error)}): for example */15 * * * *"
        ) from None


def _weekdays(field: str) -> str:
    """Names for numbers, one by one: the library's weeks begin on Monday, with 0."""
    return ",".join(_spread(part) for part in field.lower().split(","))


def _spread(part: str) -> str:
    match = re.fullmatch(r"(\d)(?:-(\d))?(?:/(\d+))?", re.sub(r"^\*/", "0-6/", part))
    if match is None:
        return part
    first, last, step = (None if text is None else int(text) for text in match.groups())
    assert first is not None
    last = last if last is not None else 6 if step else first
    if max(first, last) > 7 or first > last or step == 0:
        raise ValueError(f"weekday {part!r} is not in 0 to 7")
    return ",".join(_DAYS[number] for number in range(first, last + 1, step or 1))


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"{name!r} is no time zone: write for example Europe/Berlin, or UTC") from None
