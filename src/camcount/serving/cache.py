"""Answers kept for a while: what may be kept how long, and the cache in this process's memory."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import inf
from typing import NamedTuple
from urllib.parse import urlsplit

from camcount.errors import UsageError
from camcount.protocols import ResultCache

URL_VARIABLE = "CAMCOUNT_CACHE_URL"
KINDS = ("results", "metadata", "inference", "batch")
CRITICAL = frozenset({"results", "metadata"})
"""Kinds that are written through to a shared cache before ``put`` returns."""

_SCHEMES = ("redis", "rediss", "unix")
_ENTRY_BYTES = 350
"""What one entry takes in memory beside its key and value, measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """How much is kept, for how long, and where.

    Attributes:
        url: of a Redis server that other processes share (``redis://``, ``rediss://``, ``unix://``);
            ``CAMCOUNT_CACHE_URL``, or ``None`` for this process's memory alone. It may hold a password: it is never
            shown, `address` is.
        results_s, metadata_s, inference_s, batch_s: seconds that each kind is kept: results of jobs, what the
            registry said of a model, answers to interactive and to batch requests.
        weights_s: seconds that a model stays in memory when nobody asks for it.
        max_results, max_bytes: at most so much in this process's memory, the least recently used goes first; what
            Redis holds is bounded by time, and by its own ``maxmemory``.
        connect_timeout_s, timeout_s: the longest that a call waits for Redis.
        check_s: how often this process asks Redis what was invalidated by others, and whether it is back.
        waiting_writes: how many uncritical values may wait to be written to Redis; more are not written.

    Raises:
        UsageError: a number that cannot be, or an address that is none of Redis.
    """

    enabled: bool = True
    url: str | None = field(default_factory=lambda: os.environ.get(URL_VARIABLE) or None, repr=False)
    results_s: float = 300.0
    metadata_s: float = 3600.0
    weights_s: float = 86_400.0
    inference_s: float = 60.0
    batch_s: float = 1800.0
    max_results: int = 10_000
    max_bytes: int = 256 * 1024**2
    connect_timeout_s: float = 0.05
    timeout_s: float = 0.05
    check_s: float = 0.25
    waiting_writes: int = 1000

    def __post_init__(self) -> None:
        numbers = [each.name for each in fields(self) if each.name not in ("enabled", "url")]
        for name in numbers:
            if not 0 < getattr(self, name) < inf:
                raise UsageError(f"the cache's {name} is {getattr(self, name)}, expected a number above 0")
        if self.url is not None and urlsplit(self.url).scheme not in _SCHEMES:
            raise UsageError(f"the cache's address {self.address} is not one of redis://, rediss:// or unix://")

    @property
    def address(self) -> str:
        """The url without user, password and options."""
        parts = urlsplit(self.url or "memory:")
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if self.url else "memory"

    def seconds(self, kind: str) -> float:
        """How long a kind is kept.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"a cache keeps {', '.join(KINDS)}, not {kind!r}")
        seconds: float = getattr(self, f"{kind}_s")
        return seconds


class _Entry(NamedTuple):
    value: bytes
    expires: float
    size: int


class MemoryCache:
    """A `ResultCache` in this process: least recently used goes first, nothing outlives its time.

    ``get`` and ``put`` take constant time; ``invalidate`` looks at every key once.

    Args:
        clock: seconds that never go back.
    """

    local = True

    def __init__(self, settings: CacheSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._bytes = 0

    @property
    def entries(self) -> int:
        """How many values it has; not its length, for an empty cache is still a cache."""
        return len(self._entries)

    @property
    def held_bytes(self) -> int:
        """What the entries take, keys and bookkeeping included."""
        return self._bytes

    def get(self, kind: str, key: str) -> bytes | None:
        """The value, unless it is too old or was never kept."""
        with self._lock:
            entry = self._entries.get((kind, key))
            if entry is None:
                return None
            if entry.expires <= self._clock():
                self._drop((kind, key))
                return None
            self._entries.move_to_end((kind, key))
            return entry.value

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keeps a value for as long as its kind is kept."""
        self.keep(kind, key, value, self._settings.seconds(kind))

    def keep(self, kind: str, key: str, value: bytes, seconds: float) -> None:
        """Keeps a value for so long; one that is larger than all that may be kept is not kept."""
        size = len(value) + len(key) + _ENTRY_BYTES
        with self._lock:
            self._drop((kind, key))
            if size > self._settings.max_bytes:
                return
            self._entries[(kind, key)] = _Entry(value, self._clock() + seconds, size)
            self._bytes += size
            while len(self._entries) > self._settings.max_results or self._bytes > self._settings.max_bytes:
                self._drop(next(iter(self._entries)))

    def forget(self, kind: str, key: str) -> None:
        """Lets one value go."""
        with self._lock:
            self._drop((kind, key))

    def invalidate(self, prefix: str) -> None:
        """Forgets every key, of all kinds, that begins so; the empty prefix forgets all."""
        with self._lock:
            for place in [place for place in self._entries if place[1].startswith(prefix)]:
                self._drop(place)

    def close(self) -> None:
        """Forgets all."""
        self.invalidate("")

    def _drop(self, place: tuple[str, str]) -> None:
        entry = self._entries.pop(place, None)
        if entry is not None:
            self._bytes -= entry.size


def cache_for(settings: CacheSettings) -> ResultCache | None:
    """The cache that the settings ask for: in memory, or with Redis behind it; ``None`` where it is switched off.

    Raises:
        UsageError: the address cannot be read, or the redis library is missing.
    """
    if not settings.enabled:
        return None
    if settings.url is None:
        return MemoryCache(settings)
    from camcount.serving.cache_tiered import TieredCache

    return TieredCache(settings)
