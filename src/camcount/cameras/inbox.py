"""What a reading thread hands to its working thread."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from camcount.cameras.axis import FileAxis
from camcount.frame import Frame
from camcount.protocols import SourceInfo


@dataclass(frozen=True, slots=True)
class Opened:
    """The source gives pictures."""

    info: SourceInfo


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame, dated on the camera's axis; ``index`` is its number in its pass, ``at`` when it came (monotonic)."""

    frame: Frame
    index: int
    at: float


@dataclass(frozen=True, slots=True)
class PassEnded:
    """A file came to its end, and begins again on ``axis`` unless that was the last pass."""

    axis: FileAxis
    last: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """No more will come, and why."""

    reason: str


Item = Opened | Arrival | PassEnded | Failed


class Inbox:
    """At most ``capacity`` frames in order, among other news; the worker can be woken for other reasons too.

    Where ``keeps`` the sender waits when it is full (nothing is lost: files); else the oldest frame goes and is
    counted in ``dropped``, and so does what the worker finds older than ``max_age_s`` while there is newer
    (lag stays bounded: cameras).
    """

    def __init__(self, capacity: int = 8, *, keeps: bool, max_age_s: float = 1.0) -> None:
        self.dropped = 0
        self._capacity = capacity
        self._keeps = keeps
        self._max_age_s = max_age_s
        self._items: deque[Item] = deque()
        self._frames = 0
        self._changed = threading.Condition()
        self._closed = False
        self._poked = False

    def put(self, item: Item) -> bool:
        """Whether more is wanted."""
        with self._changed:
            if isinstance(item, Arrival):
                if self._keeps:
                    self._changed.wait_for(lambda: self._frames < self._capacity or self._closed)
                elif self._frames >= self._capacity:
                    self._drop()
                self._frames += 1
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def take(self, timeout_s: float, now: float) -> Item | None:
        """The next item; None when there is none in time, or the worker was woken."""
        with self._changed:
            if not self._items:
                self._changed.wait_for(lambda: self._items or self._poked or self._closed, timeout_s)
            self._poked = False
            if not self._items:
                return None
            while not self._keeps and self._frames > 1 and self._is_old(self._items[0], now):
                self._drop()
            item = self._items.popleft()
            if isinstance(item, Arrival):
                self._frames -= 1
                self._changed.notify_all()
            return item

    def wait(self, timeout_s: float) -> None:
        """Waits until the worker is woken."""
        with self._changed:
            self._changed.wait_for(lambda: self._poked or self._closed, timeout_s)
            self._poked = False

    def poke(self) -> None:
        """Wakes the worker."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def close(self) -> None:
        """Takes nothing more, and lets go of what there is."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._frames = 0
            self._changed.notify_all()

    def _is_old(self, item: Item, now: float) -> bool:
        return isinstance(item, Arrival) and now - item.at > self._max_age_s

    def _drop(self) -> None:
        for number, item in enumerate(self._items):
            if isinstance(item, Arrival):
                del self._items[number]
                self._frames -= 1
                self.dropped += 1
                return
