"""This process's memory in front of a cache that processes share."""

from __future__ import annotations

import queue
import threading

from camcount.serving.cache import CRITICAL, CacheSettings, MemoryCache
from camcount.serving.cache_redis import RedisCache


class TieredCache:
    """A `ResultCache` in memory and in Redis.

    Critical kinds (`CRITICAL`) are in Redis when ``put`` returns; the others are written behind by a thread, and not
    at all where too many wait. What another process invalidates is gone from this one's memory after at most
    ``check_s`` and a time-out; while Redis is away, after its kind's time.

    Attributes:
        dropped: values that were not written to Redis because too many waited.
    """

    local = False

    def __init__(self, settings: CacheSettings) -> None:
        self.dropped = 0
        self._near = MemoryCache(settings)
        self._far = RedisCache(settings, self._near.invalidate)
        self._waiting: queue.Queue[tuple[str, str, bytes, int] | None] = queue.Queue(settings.waiting_writes)
        self._writer = threading.Thread(target=self._write_behind, name="camcount-cache-write", daemon=True)
        self._writer.start()

    def get(self, kind: str, key: str) -> bytes | None:
        """From memory, or else from Redis and then in memory for the time that it has left."""
        value = self._near.get(kind, key)
        if value is not None:
            return value
        number = self._far.number
        found = self._far.look(kind, key)
        if found is None:
            return None
        self._near.keep(kind, key, *found)
        if (
            self._far.number != number
        ):  # invalidated since it was read, perhaps, and memory was told before it was kept
            self._near.forget(kind, key)
        return found[0]

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Into memory, and into Redis at once or behind."""
        number = self._far.number
        self._near.put(kind, key, value)
        if kind in CRITICAL:
            self._far.write(kind, key, value, number)
            return
        try:
            self._waiting.put_nowait((kind, key, value, number))
        except queue.Full:
            self.dropped += 1

    def invalidate(self, prefix: str) -> None:
        """Forgets every key that begins so, here at once and everywhere as soon as Redis is there."""
        self._near.invalidate(prefix)
        self._far.invalidate(prefix)
        self._near.invalidate(prefix)  # what was read from Redis between the two

    def close(self) -> None:
        """Writes what waits, and closes both."""
        self._waiting.put(None)
        self._writer.join()
        self._far.close()
        self._near.close()

    def _write_behind(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            self._far.write(*waiting)
