"""The log of events that everything here reads from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, Unpack

from camcount.events import Event
from camcount.storage.event_log import EventQuery


class StoredEvent(Protocol):
    """An event with the ``number`` under which it was written; numbers rise, and may leave gaps."""

    @property
    def number(self) -> int: ...
    @property
    def event(self) -> Event: ...
    @property
    def stored(self) -> datetime: ...


class EventLog(Protocol):
    """The durable log; `camcount.storage.counts.CountStore` is one. Safe from many threads.

    ``events`` gives those asked for with numbers above ``after``, in order of number. What becomes visible later has
    a higher number than all that was visible before: whoever goes on from the last number that it saw misses nothing.
    ``last_number`` is 0 before the first event. ``totals`` gives camera -> line -> ``in``, ``out``, ``by_label``, of
    all crossings ever.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """

    def events(self, *, after: int = 0, limit: int = 1000, **query: Unpack[EventQuery]) -> Sequence[StoredEvent]: ...
    def last_number(self) -> int: ...
    def totals(self) -> Mapping[str, Mapping[str, Mapping[str, Any]]]: ...
