"""A few expensive things that many threads share, each used by one thread at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """At most ``size`` items, each made when all others are in use; whoever comes too late waits.

    The item used last is handed out first: its memory is still in the processor's cache.

    Args:
        make: makes one more item.
        size: how many there may be, at least 1.
    """

    def __init__(self, make: Callable[[], T], size: int) -> None:
        self._make = make
        self._free: queue.LifoQueue[T] = queue.LifoQueue()
        self._unmade = threading.Semaphore(size)

    @contextmanager
    def borrow(self) -> Iterator[T]:
        """An item for the length of the ``with`` block."""
        item = self._take()
        try:
            yield item
        finally:
            self._free.put(item)

    def _take(self) -> T:
        try:
            return self._free.get_nowait()
        except queue.Empty:
            if not self._unmade.acquire(blocking=False):
                return self._free.get()
        try:
            return self._make()
        except BaseException:
            self._unmade.release()
            raise
