"""What the page of counts is asked to show; it stands in the page's address, so that a view can be shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, tzinfo

from camcount.errors import UsageError
from camcount.storage.interval_log import Step
from camcount.storage.periods import span

PERIODS = ("today", "yesterday", "7d", "30d", "365d", "custom")
CHOICES: dict[str, tuple[str, ...]] = {
    "period": PERIODS,
    "step": ("auto", "1m", "15m", "1h", "1d"),
    "way": ("", "in", "out"),
    "split": ("line", "label", "way"),
    "kind": ("bar", "curve"),
    "compare": ("none", "yesterday", "week"),
}
"""Where there is not a free choice; the first is what stands there unless something is asked for."""
BACK = {"yesterday": timedelta(days=1), "week": timedelta(days=7)}
_MOST = 3000
"""Spans that a chart can show; of a longer period the steps are longer."""
_SUITING: dict[Step, float] = {"1m": 5400, "15m": 8 * 3600, "1h": 73 * 3600}
"""The longest period, in seconds, for each step."""
_SECONDS: dict[Step, int] = {"1m": 60, "15m": 900, "1h": 3600, "1d": 86400}


@dataclass(frozen=True, slots=True)
class Asked:
    """One view. Empty texts ask for everything: all cameras, lines (as ``camera/line``), labels, or both ways.

    Attributes:
        since, until: days as YYYY-MM-DD, both included, where ``period`` is ``custom``.
        split: what the parts of a bar, or the curves, are.
        compare: also the same hours of the day or of the week before.
    """

    period: str = "today"
    since: str = ""
    until: str = ""
    step: str = "auto"
    camera: str = ""
    line: str = ""
    label: str = ""
    way: str = ""
    split: str = "line"
    kind: str = "bar"
    compare: str = "none"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """From an address; what cannot be is passed over."""
        known = {one.name: query[one.name] for one in fields(cls) if query.get(one.name)}
        return cls(**{name: text for name, text in known.items() if text in CHOICES.get(name, (text,))})

    def query(self) -> dict[str, str]:
        """As it stands in the address: what is not as usual."""
        usual = Asked()
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: text for name, text in values.items() if text != getattr(usual, name)}

    def span(self, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
        """From when to when, on the clock of ``zone``; not later than ``now``.

        Raises:
            UsageError: a day is missing or cannot be read, or the period is empty.
        """
        if self.period != "custom":
            begin, end = span(self.period, None, None, now, zone)
            return begin.astimezone(zone), end.astimezone(zone)
        days = []
        for text in (self.since, self.until):
            try:
                days.append(datetime.fromisoformat(text).replace(tzinfo=zone))
            except ValueError:
                raise UsageError(f"{text!r} is no day: write it as 2026-03-01") from None
        begin, end = days[0], min(days[1] + timedelta(days=1), now.astimezone(zone))
        if begin >= end:
            raise UsageError(f"the period from {self.since} to {self.until} is empty")
        return begin, end

    def steps(self, begin: datetime, end: datetime) -> Step:
        """How long the spans are: as asked, but no more of them than can be seen, else what suits the period."""
        seconds = (end - begin).total_seconds()
        suiting: Step = next((step for step, longest_s in _SUITING.items() if seconds <= longest_s), "1d")
        return next((s for s, each in _SECONDS.items() if s == self.step and seconds / each <= _MOST), suiting)

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Camera and line; None for all."""
        if self.line:
            camera, _, line = self.line.partition("/")
            return camera, line
        return self.camera or None, None
