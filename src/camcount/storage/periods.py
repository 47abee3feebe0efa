"""Spans of time as people type them."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from camcount.errors import UsageError

_EXAMPLES = "today, yesterday, 7d, 24h or 2026-03"


def zone_of(name: str | None) -> tzinfo:
    """The time zone of that name, else this machine's.

    Raises:
        UsageError: there is none of that name.
    """
    link = Path("/etc/localtime")
    here = os.environ.get("TZ") or (str(link.resolve()).partition("zoneinfo/")[2] if link.is_symlink() else "")
    try:
        return ZoneInfo(name or here or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if name is None:
            return UTC
        raise UsageError(f"there is no time zone {name!r}: write one as Europe/Paris") from None


def period(text: str, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """From when to when; days are those of the zone, and nothing is after ``now``.

    ``7d`` is today and the six days before it, ``24h`` begins to the hour, ``2026-03`` is a month, ``2026-03-01`` a
    day.

    >>> since, until = period("yesterday", datetime(2026, 3, 2, 12, tzinfo=UTC), UTC)
    >>> since.isoformat(), until.isoformat()
    ('2026-03-01T00:00:00+00:00', '2026-03-02T00:00:00+00:00')

    Raises:
        UsageError: it is no period, or has not begun.
    """
    local = now.astimezone(zone)
    today = _midnight(local, 0)
    if text == "today":
        return today, now
    if text == "yesterday":
        return _midnight(local, -1), today
    if match := re.fullmatch(r"([1-9]\d{0,3})([dh])", text):
        many = int(match[1])
        if match[2] == "d":
            return _midnight(local, 1 - many), now
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return (hour - timedelta(hours=many - 1)).astimezone(zone), now
    if match := re.fullmatch(r"(\d{4})-(\d\d)(?:-(\d\d))?", text):
        return _dated(text, int(match[1]), int(match[2]), int(match[3]) if match[3] else None, now, zone)
    raise UsageError(f"{text!r} is no period: write {_EXAMPLES}")


def moment(text: str | None, zone: tzinfo, flag: str) -> datetime | None:
    """An ISO 8601 date or time; one without a zone is on the clock of ``zone``.

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{flag} {text!r} is no time: write it as 2026-03-01 or 2026-03-01T12:00") from None
    return found.replace(tzinfo=zone) if found.tzinfo is None else found


def span(
    asked: str | None, since: str | None, until: str | None, now: datetime, zone: tzinfo
) -> tuple[datetime, datetime]:
    """What ``--period``, ``--since`` and ``--until`` say together; today where they say nothing.

    Raises:
        UsageError: they contradict each other, or cannot be read.
    """
    if asked is not None and (since or until):
        raise UsageError("give either --period or --since and --until")
    if since is None and until is None:
        return period(asked or "today", now, zone)
    end = moment(until, zone, "--until") or now
    begin = moment(since, zone, "--since")
    if begin is None:
        raise UsageError("--until needs --since")
    if begin >= end:
        raise UsageError(f"the time range ends before it begins: {begin.isoformat()} to {end.isoformat()}")
    return begin, end


def _dated(
    text: str, year: int, month: int, day: int | None, now: datetime, zone: tzinfo
) -> tuple[datetime, datetime]:
    try:
        since = datetime(year, month, day or 1, tzinfo=zone)
    except ValueError:
        raise UsageError(f"{text!r} is no period: write {_EXAMPLES}") from None
    until = _midnight(since, 1) if day else datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
    if since >= now:
        raise UsageError(f"the period {text} has not begun")
    return since, min(until, now)


def _midnight(local: datetime, days: int) -> datetime:
    return datetime.combine(local.date() + timedelta(days=days), time(), local.tzinfo)
