"""Numbers and dates as the visitor's language writes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from camcount.dashboard.page import Visit
from camcount.storage.interval_log import Step


def number(visit: Visit, value: int | None) -> str:
    """With thousands apart; a dash for what is not known."""
    if value is None:
        return "–"
    return f"{value:,}" if visit.language == "en" else f"{value:,}".replace(",", ".")


def percent(share: float, *, sign: bool = False) -> str:
    """A share as a whole number of hundredths."""
    return f"{share:+.0%}".replace("-", "−") if sign else f"{share:.0%}"


def day(visit: Visit, moment: datetime) -> str:
    """As in ``Mon 2 Mar``."""
    week = visit.say("counts.weekdays").split()[moment.weekday()]
    return visit.say("counts.day", week=week, day=moment.day, month=_month(visit, moment))


def labels(visit: Visit, starts: Sequence[datetime], step: Step) -> list[str]:
    """One for each span: the hour within a day, the day beside it where there are several."""
    if step == "1d":
        return [day(visit, moment) for moment in starts]
    if len({moment.date() for moment in starts}) <= 1:
        return [f"{moment:%H:%M}" for moment in starts]
    return [f"{day(visit, moment)} {moment:%H:%M}" for moment in starts]


def period(visit: Visit, begin: datetime, end: datetime) -> str:
    """From when to when, with the zone of the clock."""
    zone = str(begin.tzinfo)
    end -= timedelta(seconds=1)
    last = day(visit, end)
    if begin.date() == end.date():
        return f"{last} {end.year} · {begin:%H:%M}–{end + timedelta(seconds=1):%H:%M} · {zone}"
    first = day(visit, begin) + (f" {begin.year}" if begin.year != end.year else "")
    return f"{first} – {last} {end.year} · {zone}"


def _month(visit: Visit, moment: datetime) -> str:
    return visit.say("counts.months").split("|")[moment.month - 1]
