"""Tells listeners of this process what was committed, in order of number."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from camcount.delivery.log import EventLog, StoredEvent
from camcount.errors import CamcountError

CAPACITY = 1000
"""Events that a listener may leave lying before it loses the oldest."""

_POLL_S = 5.0
_MOST_PENDING = 10_000
_log = logging.getLogger("camcount.delivery")


@dataclass(frozen=True, slots=True)
class Missed:
    """A listener was too slow: ``count`` events were dropped here; the log has them, from above number ``after``."""

    count: int
    after: int


News = StoredEvent | Missed


class Feed:
    """Passes on what cameras commit; safe from all threads.

    Cameras may publish in another order than they committed. Listeners hear of events in order of number all the
    same: where a number is missing, the feed's thread reads the log. So it hears of other processes' events too,
    within five seconds.

    Args:
        log: where every published event already is.

    Raises:
        DatabaseUnavailable: the log cannot be read.
    """

    def __init__(self, log: EventLog) -> None:
        self._events = log
        self._lock = threading.Lock()
        self._position = log.last_number()
        self._pending: list[StoredEvent] = []
        self._listeners: set[Subscription] = set()
        self._wake = threading.Event()
        self._closed = self._away = False
        self._thread = threading.Thread(target=self._run, name="camcount-feed", daemon=True)
        self._thread.start()

    def publish(self, camera_id: str, events: Sequence[StoredEvent]) -> None:
        """Says that a camera's events are in the log; never waits for anyone."""
        with self._lock:
            self._pending += events
            if len(self._pending) > _MOST_PENDING:  # the log has them all
                self._pending.clear()
        self._wake.set()

    def subscribe(self, *, capacity: int = CAPACITY) -> Subscription:
        """A new listener, from the next event on; close it when done."""
        with self._lock:
            listener = Subscription(self._position, capacity, self._forget)
            if self._closed:
                listener.end()
            else:
                self._listeners.add(listener)
        return listener

    def close(self) -> None:
        """Ends all listeners' waiting."""
        with self._lock:
            self._closed = True
            listeners = list(self._listeners)
        self._wake.set()
        self._thread.join()
        for listener in listeners:
            listener.close()

    def _forget(self, listener: Subscription) -> None:
        with self._lock:
            self._listeners.discard(listener)

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(_POLL_S)
            self._wake.clear()
            try:
                self._pass_on()
                self._away = False
            except CamcountError as error:
                if not self._away:
                    _log.error("%s: %s; live events wait for it", error.code, error)
                self._away = True
            except Exception:
                _log.exception("live events could not be passed on; they are read again from the log")

    def _pass_on(self) -> None:
        with self._lock:
            fresh, self._pending = sorted(self._pending, key=lambda stored: stored.number), []
        fresh = [stored for stored in fresh if stored.number > self._position]
        first = self._position + 1
        if fresh and [stored.number for stored in fresh] == list(range(first, first + len(fresh))):
            self._tell(fresh)
            return
        while not self._closed and (page := self._events.events(after=self._position)):
            self._tell(page)

    def _tell(self, events: Sequence[StoredEvent]) -> None:
        with self._lock:
            self._position = events[-1].number
            listeners = list(self._listeners)
            for listener in listeners:
                listener.offer(events)


class Subscription:
    """One listener: wait for news in a thread (`take`, or a ``for`` loop) or in asyncio (`wait`, ``async for``).

    Attributes:
        since: events above this number come here; those up to it are in the log only.
    """

    def __init__(self, since: int, capacity: int, forget: Callable[[Subscription], None]) -> None:
        self.since = since
        self._capacity, self._forget = capacity, forget
        self._events: deque[StoredEvent] = deque()
        self._dropped, self._after = 0, since
        self._news = threading.Condition()
        self._ended = False
        self._awake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def offer(self, events: Sequence[StoredEvent]) -> None:
        """Lays events down for the listener; the feed calls this."""
        with self._news:
            self._events.extend(events)
            while len(self._events) > self._capacity:
                oldest = self._events.popleft()
                self._after = self._after if self._dropped else oldest.number - 1
                self._dropped += 1
            self._notify()

    def take(self, timeout_s: float | None = None) -> list[News]:
        """What lies there, the oldest first; empty after ``timeout_s`` without news, and at once when closed."""
        with self._news:
            self._news.wait_for(self._ready, timeout_s)
            return self._taken()

    async def wait(self, timeout_s: float | None = None) -> list[News]:
        """As `take`, for one task of asyncio."""
        with self._news:
            loop, awake = asyncio.get_running_loop(), asyncio.Event()
            self._awake = (loop, awake)
            if self._ready():
                return self._taken()
        try:
            async with asyncio.timeout(timeout_s):
                await awake.wait()
        except TimeoutError:
            pass
        with self._news:
            return self._taken()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        with self._news:
            return self._ended and not self._events

    def end(self) -> None:
        """No more news after those that lie there."""
        with self._news:
            self._ended = True
            self._notify()

    def close(self) -> None:
        """The feed forgets this listener; who waits is woken."""
        self._forget(self)
        self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[News]:
        while not self.ended:
            yield from self.take()

    async def __aiter__(self) -> AsyncIterator[News]:
        while not self.ended:
            for news in await self.wait():
                yield news

    def _ready(self) -> bool:
        return bool(self._events or self._dropped or self._ended)

    def _taken(self) -> list[News]:
        taken: list[News] = [Missed(self._dropped, self._after)] if self._dropped else []
        taken += self._events
        self._events.clear()
        self._dropped = 0
        return taken

    def _notify(self) -> None:
        self._news.notify_all()
        if self._awake is not None:
            loop, awake = self._awake
            with suppress(RuntimeError):  # a loop that has ended has nobody who waits
                loop.call_soon_threadsafe(awake.set)
