"""Carries the log of events to another system: at least once, in order, from where it left off."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from camcount.delivery.feed import Feed
from camcount.delivery.log import EventLog, StoredEvent
from camcount.delivery.totals import Totals
from camcount.delivery.turn import LEASE_S, Turn
from camcount.errors import CamcountError, DatabaseUnavailable, DiskFull, ServiceError, Undelivered
from camcount.storage.positions import Position, Positions

State = Literal["starting", "up", "away", "standby", "gone", "closed"]

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 60.0
_TENDED_EVERY_S = 1.0
_PAGE = 1000
_ATTEMPTS = 100
_log = logging.getLogger("camcount.delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a delivery does.

    Attributes:
        name: ``mqtt``, ``redis`` or ``webhook:NAME``.
        state: ``gone`` where the receiver wants no more events, ``standby`` where another server delivers.
        number: of the last event that has arrived for certain.
        error: why it is away, on one line; empty if it is not.
    """

    name: str
    state: State
    number: int
    error: str = ""


class Delivery(Protocol):
    """Brings events to another system.

    ``start`` returns at once: a receiver that is away is tried until it is there. Every event committed after the
    first ``start`` ever that found the log arrives at least once, in order of number, whatever is stopped or killed
    on the way; an event that arrives twice has the same id. Of several servers on one database one delivers, and if
    it goes, another goes on. ``close`` may be called twice; the next start goes on from there.
    """

    def start(self) -> None: ...
    def close(self) -> None: ...
    def health(self) -> Health: ...


class Outlet(Protocol):
    """The far end of a `Relay`, used from its thread only.

    ``open`` connects, ``send`` returns when all events have been taken, ``tend`` is called about every second and
    after each ``send``, ``close`` may be called at any time and twice.

    Attributes:
        batch: events that ``send`` is given at most.
        identity: changes when the receiver is another one.

    Raises:
        Undelivered: by ``open``, ``send`` and ``tend``; the relay then closes and tries again later.
    """

    batch: int
    identity: str

    def open(self) -> None: ...
    def send(self, events: Sequence[StoredEvent]) -> None: ...
    def tend(self) -> None: ...
    def close(self) -> None: ...


class Relay:
    """A `Delivery` through an outlet.

    Args:
        name: under which the position is kept.
        positions: where; written after each batch.
        totals: kept up to date with what was delivered; at the first start they begin with those of the log.
        longest_pause_s: between two attempts; pauses double up to it, each by chance up to a quarter shorter.
        lease_s: after so long without a word from the server that delivers, another one goes on.
    """

    def __init__(
        self,
        name: str,
        outlet: Outlet,
        log: EventLog,
        feed: Feed,
        positions: Positions,
        *,
        totals: Totals | None = None,
        longest_pause_s: float = _LONGEST_PAUSE_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._name, self._outlet, self._events, self._feed = name, outlet, log, feed
        self._positions, self._totals, self._longest_pause_s = positions, totals, longest_pause_s
        self._turn = Turn(positions, name, lease_s=lease_s)
        self._position: Position | None = None
        self._opened = self._recalled = False
        self._state: State = "starting"
        self._error, self._failures = "", 0
        self._closing = threading.Event()
        self._news = feed.subscribe(capacity=1)
        self._thread = threading.Thread(target=self._run, name=f"camcount-{name}", daemon=True)

    def start(self) -> None:
        """Notes where the log ends, if this is the first start ever, and begins; a second call does nothing."""
        if self._thread.ident is None and not self._closing.is_set():
            try:
                self._find_position()
            except CamcountError as error:
                _log.error("%s waits: %s (%s)", self._name, error, error.code)
            self._thread.start()

    def close(self) -> None:
        """Ends after the attempt that is being made."""
        self._closing.set()
        self._news.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._outlet.close()
        self._turn.close()
        self._state = "closed"

    def health(self) -> Health:
        """How it does now."""
        number = self._position.number if self._position else 0
        return Health(name=self._name, state=self._state, number=number, error=self._error)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._advance()
            except CamcountError as error:
                self._failed(error)
            except Exception as error:
                _log.exception("%s failed", self._name)
                self._failed(ServiceError(f"{type(error).__name__}, see the log"))
            else:
                self._news.take(_TENDED_EVERY_S)

    def _advance(self) -> None:
        """Delivers all that there is, if it is this server's turn."""
        place = self._find_position()
        if not self._turn.mine:
            if not (taken := self._turn.take()) or not self._turn.unbroken:
                self._leave()
            if not taken:
                self._state, self._error = "standby", ""
                return
            place = self._find_position()
        if place.gone:
            self._state, self._error = "gone", "the receiver wants no more events"
            return
        if self._totals is not None and not self._recalled:
            self._recall(self._totals, place)
            self._recalled = True
        if not self._opened:
            self._outlet.open()
            self._opened = True
        while self._turn.mine and not self._closing.is_set():
            batch = self._events.events(after=self._find_position().number, limit=self._outlet.batch)
            if not batch:
                break
            self._deliver(batch)
            self._outlet.tend()
        else:
            return
        self._outlet.tend()
        self._succeeded()

    def _leave(self) -> None:
        """Another server delivered since: it has the receiver, and knows better how far it has come."""
        if self._opened:
            self._outlet.close()
        self._opened = self._recalled = False
        self._position = None

    def _deliver(self, batch: Sequence[StoredEvent]) -> None:
        try:
            self._outlet.send(batch)
        except Undelivered as refused:
            if refused.delivered:
                self._failures = 0
                self._keep(batch[: refused.delivered])
            if refused.gone:
                self._write(replace(self._find_position(), gone=self._outlet.identity))
            raise
        self._failures = 0
        self._keep(batch)

    def _keep(self, delivered: Sequence[StoredEvent]) -> None:
        state = None
        if self._totals is not None:
            self._totals.add(delivered)
            state = self._totals.state()
        # in memory first: if it cannot be written now, this process at least does not deliver it again
        self._position = replace(self._find_position(), number=delivered[-1].number, state=state)
        self._write(self._position)

    def _find_position(self) -> Position:
        if self._position is None:
            found = self._positions.read(self._name)
            if found is None:
                self._positions.begin(self._name, self._events.last_number())
                found = self._positions.read(self._name) or Position(number=0)
            if found.gone and found.gone != self._outlet.identity:
                found = replace(found, gone="")
            self._position = found
        return self._position

    def _recall(self, totals: Totals, found: Position) -> None:
        if found.state is not None:
            totals.restore(found.state)
            return
        for _ in range(_ATTEMPTS):  # until nothing was committed between one look and the next
            end = self._events.last_number()
            totals.restore(self._events.totals())
            if self._events.last_number() == end:
                break
        else:
            raise ServiceError("the log grows too fast to be added up")
        at = found.number
        while at < end and (page := self._events.events(after=at, limit=_PAGE)):
            totals.take_back(stored for stored in page if stored.number <= end)
            at = page[-1].number
        self._write(replace(found, state=totals.state()))

    def _write(self, position: Position) -> None:
        if not self._positions.write(self._name, position, self._turn.owner):
            self._turn.lose()
        self._position = position

    def _succeeded(self) -> None:
        if self._state == "away":
            _log.warning("%s is back", self._name)
        self._state, self._error, self._failures = "up", "", 0

    def _failed(self, error: CamcountError) -> None:
        if self._state != "away":
            _log.warning("%s: %s (%s); events wait for it", self._name, error, error.code)
        self._state, self._error = "away", str(error)
        if not isinstance(error, DatabaseUnavailable | DiskFull):  # those are no fault of the receiver's
            self._outlet.close()
            self._opened = False
        asked = error.retry_after_s if isinstance(error, Undelivered) else None
        self._closing.wait(asked if asked is not None else self._pause_s())

    def _pause_s(self) -> float:
        pause: float = min(_FIRST_PAUSE_S * 2 ** min(self._failures, 30), self._longest_pause_s)
        self._failures += 1
        return pause * random.uniform(0.75, 1.0)
