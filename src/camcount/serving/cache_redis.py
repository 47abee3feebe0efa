"""The cache that processes share: Redis.

What was invalidated is a table in Redis, prefix to number, and the numbers only rise. Every value carries the highest
number its writer knew, every read brings the highest there is: a value older than a prefix of its key is a miss. So
``invalidate`` touches no key, every process sees it with its next read, and an answer that was computed before the
invalidation and written after it is not believed.
"""

from __future__ import annotations

import logging
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from camcount.errors import UsageError
from camcount.serving.cache import CacheSettings

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise UsageError('a shared cache needs the redis library: pip install "camcount[redis]"') from None

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_STAMP = struct.Struct("<Q")
_TABLE = "camcount:invalidated"
_NUMBER = b"n"
_READ = "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]), redis.call('HGET', KEYS[2], 'n')}"

# numbered by the clock, so that a Redis that lost its table does not give a number a second time
_SETTLE = """
if #ARGV > 0 then
    local time = redis.call('TIME')
    local number = math.max(time[1] * 1000000 + time[2], (tonumber(redis.call('HGET', KEYS[1], 'n')) or 0) + 1)
    number = string.format('%.0f', number)
    redis.call('HSET', KEYS[1], 'n', number)
    for _, prefix in ipairs(ARGV) do redis.call('HSET', KEYS[1], 'p' .. prefix, number) end
end
return redis.call('HGETALL', KEYS[1])
"""


@dataclass(frozen=True, slots=True)
class _Known:
    """The table of what was invalidated, as last read."""

    number: int = 0
    prefixes: Mapping[str, int] = field(default_factory=dict)

    def newer_than(self, other: _Known) -> list[str]:
        return [prefix for prefix, number in self.prefixes.items() if number > other.prefixes.get(prefix, 0)]

    def allows(self, key: str, number: int) -> bool:
        return number <= self.number and not any(
            invalidated > number and key.startswith(prefix) for prefix, invalidated in self.prefixes.items()
        )


class RedisCache:
    """A `ResultCache` in Redis, under keys that begin with ``camcount:``.

    The first call that fails, after at most the settings' time-outs, turns the others away at once; a thread looks
    for Redis meanwhile. An outage is logged when that thread cannot reach it either. Invalidations of that time are
    kept and made up for before anything is read again. Give Redis ``maxmemory-policy allkeys-lru``: one that is full
    and refuses to write counts as out of order.

    Args:
        settings: ``url`` must be there.
        invalidated: told every prefix that any process invalidated, at most ``check_s`` and a time-out later, or
            when Redis is back; the empty one where Redis has lost count.

    Raises:
        UsageError: the address cannot be read.
    """

    local = False

    def __init__(self, settings: CacheSettings, invalidated: Callable[[str], None] = lambda prefix: None) -> None:
        self._settings = settings
        self._invalidated = invalidated
        self._client = _client(settings)
        self._read = self._client.register_script(_READ)
        self._table = self._client.register_script(_SETTLE)
        self._known = _Known()
        self._owed: dict[str, None] = {}
        self._lock = threading.Lock()
        self._up = self._told = False
        self._closing = False
        self._wake = threading.Event()
        self._check()
        self._watcher = threading.Thread(target=self._watch, name="camcount-cache-watch", daemon=True)
        self._watcher.start()

    @property
    def number(self) -> int:
        """Of the latest invalidation that this process knows of."""
        return self._known.number

    def get(self, kind: str, key: str) -> bytes | None:
        """The value, unless it is too old, invalidated, was never kept, or Redis does not answer."""
        found = self.look(kind, key)
        return found[0] if found else None

    def look(self, kind: str, key: str) -> tuple[bytes, float] | None:
        """As `get`, with the seconds that the value has left."""
        return self._ask(lambda: self._look(_place(kind, key), key))

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Keeps a value for as long as its kind is kept."""
        self.write(kind, key, value, self.number)

    def write(self, kind: str, key: str, value: bytes, number: int) -> None:
        """Keeps a value that was made when ``number`` was the latest invalidation."""
        milliseconds = max(1, round(self._settings.seconds(kind) * 1000))
        self._ask(lambda: self._client.set(_place(kind, key), _STAMP.pack(number) + value, px=milliseconds))

    def invalidate(self, prefix: str) -> None:
        """Forgets every key, of all kinds, that begins so, in all processes; as soon as Redis is there."""
        self._owed[prefix] = None
        if self._lock.acquire(timeout=self._settings.timeout_s):
            try:
                self._ask(self._settle)
            finally:
                self._lock.release()

    def close(self) -> None:
        """Ends the thread and the connections; what is in Redis stays."""
        self._closing = True
        self._wake.set()
        self._watcher.join()
        self._up = False
        self._client.close()

    def _ask(self, question: Callable[[], _T]) -> _T | None:
        if not self._up:
            return None
        try:
            return question()
        except (redis.RedisError, OSError):
            self._up = False
            self._wake.set()
            return None

    def _look(self, place: str, key: str) -> tuple[bytes, float] | None:
        answer: Any = self._read(keys=[place, _TABLE])
        value, milliseconds, latest = answer[0], answer[1], int(answer[2] or 0)
        known = self._known
        if latest != known.number:
            self._wake.set()  # to learn of it in the other thread: here only a value from after it is sure
        if value is None or len(value) < _STAMP.size:
            return None
        (number,) = _STAMP.unpack_from(value)
        sure = number == latest or (latest == known.number and known.allows(key, number))
        return (value[_STAMP.size :], max(0, milliseconds) / 1000) if sure else None

    def _settle(self) -> None:
        """Makes up for what is owed, and learns what others have invalidated."""
        owed, before = list(self._owed), self._known
        now = self._tell(owed)
        for prefix in owed:
            self._owed.pop(prefix, None)
        lost = before.newer_than(now)
        if lost:  # Redis came back without them, perhaps with values from before them
            now = self._tell(lost)
        self._known = now
        for prefix in [""] if lost else now.newer_than(before):
            self._invalidated(prefix)

    def _tell(self, prefixes: list[str]) -> _Known:
        flat: Any = self._table(keys=[_TABLE], args=prefixes)
        table = dict(zip(flat[::2], map(int, flat[1::2]), strict=True))
        number = table.pop(_NUMBER, 0)
        return _Known(number, {name[1:].decode(): invalidated for name, invalidated in table.items()})

    def _watch(self) -> None:
        while not self._closing:
            self._wake.wait(self._settings.check_s)
            self._wake.clear()
            self._check()

    def _check(self) -> None:
        try:
            if not self._up:
                self._client.connection_pool.disconnect(inuse_connections=False)
                self._client.set("camcount:probe", b"", px=1000)  # a full or read-only one would fail here
            with self._lock:
                self._settle()
        except (redis.RedisError, OSError) as error:
            self._up = False
            if not self._told:
                _LOG.warning("SYS_003 the result cache at %s does not answer: %s", self._settings.address, error)
            self._told = True
        else:
            if self._told:
                _LOG.warning("the result cache at %s is back", self._settings.address)
            self._up, self._told = True, False


def _place(kind: str, key: str) -> str:
    return f"camcount:{kind}:{key}"


def _client(settings: CacheSettings) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            settings.url or "",
            socket_connect_timeout=settings.connect_timeout_s,
            socket_timeout=settings.timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    except ValueError as error:
        raise UsageError(f"the cache's address {settings.address} cannot be read: {error}") from None
