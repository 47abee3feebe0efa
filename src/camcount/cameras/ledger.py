"""What was counted and is not stored yet: kept in memory within a bound, in order, until it is on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from camcount.errors import CamcountError
from camcount.events import Crossing, Event
from camcount.storage.counts import CountBatch, StoredEvent

MOST_EVENTS = 50_000
_RETRY_S = 0.5
_MOST_RETRY_S = 5.0


class Counts(Protocol):
    """What is wanted of `camcount.storage.counts.CountStore`."""

    def commit(self, batch: CountBatch) -> list[StoredEvent]: ...
    def checkpoint(self, camera_id: str) -> bytes | None: ...
    def totals(self, *, camera_id: str | None = None) -> Mapping[str, Any]: ...


class Ledger:
    """One camera's counts on their way to the store.

    ``add`` never waits. Beyond ``most`` events the oldest are let go and counted in ``lost``; who must lose
    nothing asks ``full`` first. A checkpoint is only ever stored with, or after, the events that led to it.
    """

    def __init__(self, camera_id: str, most: int = MOST_EVENTS) -> None:
        self.camera_id = camera_id
        self.alarm = ""
        self.lost = 0
        self._most = most
        self._lock = threading.Lock()
        self._empty = threading.Condition(self._lock)
        self._next: CountBatch | None = None
        self._sending: CountBatch | None = None
        self._stored: dict[str, Any] = {}

    @property
    def full(self) -> bool:
        """Whether the store has been away for so long that no more should be counted."""
        return self.pending >= self._most

    @property
    def pending(self) -> int:
        """Events that are not stored yet."""
        return sum(len(batch.events) for batch in (self._sending, self._next) if batch is not None)

    def begin(self, totals: Mapping[str, Any]) -> None:
        """Takes over what was stored before."""
        with self._lock:
            self._stored = {line: _copied(counts) for line, counts in totals.items()}

    def add(self, batch: CountBatch) -> None:
        """Takes what was counted since the last time."""
        with self._lock:
            self._next = batch if self._next is None else _joined(self._next, batch)
            if (over := self.pending - self._most) > 0:
                self.lost += over
                self._next = replace(self._next, events=self._next.events[over:])

    def totals(self) -> dict[str, Any]:
        """Line -> ``in``, ``out``, ``by_label``: stored, and about to be."""
        with self._lock:
            found = {line: _copied(counts) for line, counts in self._stored.items()}
            for batch in (self._sending, self._next):
                _add(found, batch.events if batch is not None else ())
        return found

    def send(self) -> CountBatch | None:
        """What to store now; None if there is nothing. Until `sent` or `failed` says how it went, it is out."""
        with self._lock:
            if self._sending is None:
                self._sending, self._next = self._next, None
            return self._sending

    def sent(self, stored: Sequence[StoredEvent]) -> None:
        """It is on disk; these of its events were new."""
        with self._lock:
            self._sending, self.alarm = None, ""
            _add(self._stored, [one.event for one in stored])
            self._empty.notify_all()

    def failed(self, reason: str) -> None:
        """It is not; it will be tried again, together with what has come since."""
        with self._lock:
            self.alarm = reason
            if self._sending is not None and self._next is not None:
                self._sending, self._next = _joined(self._sending, self._next), None

    def wait_empty(self, timeout_s: float) -> bool:
        """Waits until everything is stored; False if it is not in time."""
        with self._empty:
            return self._empty.wait_for(lambda: self._sending is None and self._next is None, timeout_s)


class Writer:
    """The one thread that stores the counts of all cameras: a database that hangs holds up nobody who counts."""

    def __init__(self, store: Counts, committed: Callable[[str, Sequence[StoredEvent]], None]) -> None:
        self._store, self._committed = store, committed
        self._ledgers: dict[str, Ledger] = {}
        self._changed = threading.Condition()
        self._due = False
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="store counts", daemon=True)
        self._thread.start()

    def join(self, ledger: Ledger) -> None:
        """Stores this one's too."""
        with self._changed:
            self._ledgers[ledger.camera_id] = ledger

    def leave(self, ledger: Ledger) -> None:
        """No longer."""
        with self._changed:
            if self._ledgers.get(ledger.camera_id) is ledger:
                del self._ledgers[ledger.camera_id]

    def wake(self) -> None:
        """There is something to store."""
        with self._changed:
            self._due = True
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the thread after what it is at."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(5.0)

    def _run(self) -> None:
        retry_s = _RETRY_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._ending, retry_s)
                if self._ending and not self._due:
                    return
                self._due = False
                ledgers = list(self._ledgers.values())
            # all of them: one that fails must not keep the others waiting
            results = [self._store_one(ledger) for ledger in ledgers]
            fine = all(results)
            retry_s = _RETRY_S if fine else min(2 * retry_s, _MOST_RETRY_S)
            if not fine:
                time.sleep(0 if self._ending else min(retry_s, 1.0))

    def _store_one(self, ledger: Ledger) -> bool:
        batch = ledger.send()
        if batch is None:
            return True
        try:
            stored = self._store.commit(batch)
        except CamcountError as error:
            ledger.failed(str(error))
            return False
        except Exception as error:  # a fault of one camera's batch must not end the storing of the others
            ledger.failed(f"storing failed ({type(error).__name__})")
            return False
        ledger.sent(stored)
        if stored:
            with suppress(Exception):  # they are on disk: who listens badly can ask for them later
                self._committed(ledger.camera_id, stored)
        return True


def _joined(first: CountBatch, then: CountBatch) -> CountBatch:
    return replace(
        then,
        events=first.events + then.events,
        intervals=first.intervals + then.intervals,
        occupancy={**first.occupancy, **then.occupancy},
        checkpoint=then.checkpoint if then.checkpoint is not None else first.checkpoint,
    )


def _copied(counts: Mapping[str, Any]) -> dict[str, Any]:
    by_label = {label: dict(ways) for label, ways in counts.get("by_label", {}).items()}
    return {"in": counts.get("in", 0), "out": counts.get("out", 0), "by_label": by_label}


def _add(totals: dict[str, Any], events: Sequence[Event]) -> None:
    for event in events:
        if isinstance(event, Crossing):
            line = totals.setdefault(event.line, {"in": 0, "out": 0, "by_label": {}})
            line[event.direction] += 1
            line["by_label"].setdefault(event.label, {"in": 0, "out": 0})[event.direction] += 1
