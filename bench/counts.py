"""How long the store of counts takes to answer with a year of one camera in it: ``python bench/counts.py [URL]``.

A year of minutes of two lines and a million crossings of three labels in both directions, more by day than by night,
with doubts as a real line has them. Prints the seconds of each question, best of three, and the sizes; low and high,
which are worked out when they are shown, are not in them. Filling takes some ten minutes. Without an address it is a
new SQLite file; one that is filled already is asked only.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from camcount.counting.bounds import Bounds, Evidence, Grounds
from camcount.counting.intervals import Interval
from camcount.events import Crossing
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import open_database
from camcount.storage.interval_log import Step

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 1, 1, tzinfo=PARIS).astimezone(UTC)
DAYS, EVENTS, AT_ONCE = 365, 1_000_000, 5000
LINES, LABELS, SHARES = ("gate", "yard"), ("person", "bicycle", "car"), (0.6, 0.1, 0.3)
_DOUBTS = np.array([19, 19, 19, 16, 14, 12, 9])
"""Bins of the logit that counted crossings fall into."""


def main() -> None:
    """Fills and asks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "year.db"
        database = open_database(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{file}")
        store = CountStore(database)
        if not store.last_number():
            fill(store)
        if file.exists():
            print(f"size: {file.stat().st_size / 1e6:.0f} MB")
        ask(store)
        commits(store)
        database.close()


def fill(store: CountStore) -> None:
    """A year of minutes, then the events."""
    random = np.random.default_rng(1)
    began = time.perf_counter()
    hours = np.arange(24)
    rates = EVENTS / DAYS / 1440 * np.clip(1 - np.cos((hours - 3) / 24 * 2 * np.pi), 0.05, None)
    moments: list[float] = []
    for day in range(DAYS):
        counts = random.poisson(np.repeat(rates / len(LINES), 60)[:, None], (1440, len(LINES)))
        minutes = tuple(
            minute(line, day * 1440 + k, int(many), random)
            for k, row in enumerate(counts)
            for line, many in zip(LINES, row, strict=True)
        )
        moments += [(day * 1440 + k) * 60 + 0.5 * n for k, many in enumerate(counts.sum(axis=1)) for n in range(many)]
        store.commit(CountBatch(camera_id="door", intervals=minutes))
    print(f"filled in {DAYS * 1440 * len(LINES)} minutes: {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    for at in range(0, len(moments), AT_ONCE):
        events = tuple(crossing(time_s, at + k) for k, time_s in enumerate(moments[at : at + AT_ONCE]))
        store.commit(CountBatch(camera_id="door", events=events))
    took = time.perf_counter() - began
    print(f"filled in {len(moments)} events: {took:.0f} s, {len(moments) / took:.0f} a second", flush=True)


def minute(line: str, number: int, many: int, random: np.random.Generator) -> Interval:
    """One that counted so many, a tenth of them half a minute without sight."""
    coverage = 0.5 if random.random() < 0.1 else 1.0
    counts = {"in": many - many // 2, "out": many // 2}
    parts = {way: random.multinomial(n, SHARES).tolist() for way, n in counts.items()}
    by_label = {label: {way: parts[way][at] for way in counts} for at, label in enumerate(LABELS)}
    evidence = {
        way: Evidence(n, Counter(random.choice(_DOUBTS, n).tolist()), Counter(), 0.02 * n)
        for way, n in counts.items()
    }
    usual = {"in": EVENTS // 2 // len(LINES), "out": EVENTS // 2 // len(LINES)}
    grounds = Grounds(evidence=evidence, missed_s=60 * (1 - coverage), counted=usual, rate_s=DAYS * 86400)
    start = START + timedelta(minutes=number)
    return Interval(
        line=line,
        start_s=number * 60,
        end_s=number * 60 + 60,
        start=start,
        end=start + timedelta(minutes=1),
        counts=counts,
        by_label={label: ways for label, ways in by_label.items() if any(ways.values())},
        coverage=coverage,
        bounds={way: Bounds(low=n, high=n + 1) for way, n in (counts | {"total": many}).items()},
        grounds=grounds,
    )


def crossing(time_s: float, number: int) -> Crossing:
    """One of a million."""
    return Crossing(
        camera_id="door",
        time_s=time_s,
        time=START + timedelta(seconds=time_s),
        track_id=number,
        label=LABELS[number % len(LABELS)],
        confidence=0.9,
        reason="stayed 0.6 s beyond the line",
        point=(320.0, 240.0),
        line=LINES[number // 2 % len(LINES)],
        direction="out" if number % 2 else "in",
    )


def ask(store: CountStore) -> None:
    """Every question that a page or a report asks."""
    end, day = START + timedelta(days=DAYS), timedelta(days=1)
    questions: tuple[tuple[str, datetime, Step], ...] = (
        ("the year by day", START, "1d"),
        ("the year by hour", START, "1h"),
        ("a month by hour", end - 30 * day, "1h"),
        ("a week by quarter", end - 7 * day, "15m"),
        ("a day by minute", end - day, "1m"),
    )
    for name, since, step in questions:
        print_took(name, partial(store.intervals, since=since, until=end, step=step, zone=PARIS))
    odd = timedelta(minutes=17)
    print_took("totals of all time", store.totals)
    print_took("totals of a year less some minutes", lambda: store.totals(since=START + odd, until=end - odd))
    print_took("totals since midnight", lambda: store.totals(since=end - day))
    print_took("the newest thousand events", lambda: store.events(after=EVENTS - 2000, camera_id="door"))
    print_took("the first thousand of a day in June", lambda: store.events(since=START + 170 * day))


def commits(store: CountStore) -> None:
    """One crossing, one checkpoint of 20 kB, as a camera commits them."""
    state, began = bytes(20_000), time.perf_counter()
    for k in range(200):
        store.commit(CountBatch(camera_id="new", events=(crossing(1e9 + k, k),), checkpoint=state))
    print(f"a commit of one event and a checkpoint: {(time.perf_counter() - began) / 200 * 1000:.2f} ms")


def print_took(name: str, question: Callable[[], object]) -> None:
    """The best of three."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        question()
        times.append(time.perf_counter() - began)
    print(f"{name}: {min(times):.3f} s (first {times[0]:.3f} s)")


if __name__ == "__main__":
    main()
