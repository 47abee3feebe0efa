"""A log of events in memory, events to put there, and a site of cameras."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from camcount.delivery.cameras import CameraOutline, Command
from camcount.delivery.feed import Feed
from camcount.delivery.totals import Totals
from camcount.errors import DatabaseUnavailable
from camcount.events import Crossing, Event
from camcount.storage.event_log import EventQuery

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def crossing(number: int, camera: str = "gate", **fields: Any) -> Crossing:
    """One of many crossings that differ by their number."""
    values: dict[str, Any] = {"line": "street", "direction": "in", "label": "person", "confidence": 0.9}
    values |= {"time_s": float(number), "time": START + timedelta(seconds=number), "track_id": number}
    return Crossing(camera_id=camera, reason="it went over", point=(1.0, 2.0), **(values | fields))


@dataclass(frozen=True)
class Stored:
    """An event with its number."""

    number: int
    event: Event
    stored: datetime = START


class MemoryLog:
    """An `EventLog` that may be away."""

    def __init__(self) -> None:
        self.kept: list[Stored] = []
        self.away = False
        self.reads = 0
        self._lock = threading.Lock()

    def append(self, *events: Event) -> list[Stored]:
        """Commits events."""
        with self._lock:
            first = self.kept[-1].number + 1 if self.kept else 1
            fresh = [Stored(first + place, event) for place, event in enumerate(events)]
            self.kept += fresh
        return fresh

    def events(self, *, after: int = 0, limit: int = 1000, **query: Unpack[EventQuery]) -> Sequence[Stored]:
        """Those above a number."""
        self._look()
        wanted = {name: value for name, value in query.items() if value is not None}
        with self._lock:
            found = [stored for stored in self.kept if stored.number > after]
        return [s for s in found if all(getattr(s.event, n, None) == v for n, v in wanted.items())][:limit]

    def last_number(self) -> int:
        """Of the newest."""
        self._look()
        with self._lock:
            return self.kept[-1].number if self.kept else 0

    def totals(self) -> Mapping[str, Any]:
        """All crossings."""
        self._look()
        found = Totals()
        with self._lock:
            found.add(self.kept)
        return found.state()

    def _look(self) -> None:
        self.reads += 1
        if self.away:
            raise DatabaseUnavailable("the log is away")


def committed(log: MemoryLog, feed: Feed, *numbers: int, camera: str = "gate") -> list[Stored]:
    """Crossings, written and published."""
    stored = log.append(*(crossing(number, camera) for number in numbers))
    feed.publish(camera, stored)
    return stored


@dataclass
class Cameras:
    """A `Site` that notes its commands."""

    now: list[CameraOutline] = field(default_factory=list)
    commands: list[tuple[str, Command]] = field(default_factory=list)

    def outlines(self) -> Sequence[CameraOutline]:
        """All of them."""
        return list(self.now)

    def command(self, camera: str, command: Command) -> None:
        """Noted."""
        self.commands.append((camera, command))


def until(true: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Waits for something to become true."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
