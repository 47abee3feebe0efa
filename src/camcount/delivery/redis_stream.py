"""Events into a Redis stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from camcount.delivery.cloudevents import as_json
from camcount.delivery.log import StoredEvent
from camcount.delivery.options import RedisStreamSettings
from camcount.errors import Undelivered, UsageError, words_of

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise UsageError('a Redis stream needs the redis library: pip install "camcount[redis]"') from None

_T = TypeVar("_T")
_TIMEOUT_S = 5.0


class RedisStreamOutlet:
    """An `Outlet` that appends entries with the fields ``id``, ``type``, ``camera`` and ``event`` (the CloudEvent).

    One transaction takes a whole batch or nothing of it. Whether it took a batch whose answer was lost is read from
    the stream's own end after connecting, so that nothing stands in it twice.
    """

    batch = 200
    identity = ""

    def __init__(self, settings: RedisStreamSettings) -> None:
        self._settings = settings
        self._client = _client(settings)
        self._there: set[str] = set()

    def open(self) -> None:
        """Reads what the stream ends with."""
        newest: Any = self._ask(lambda: self._client.xrevrange(self._settings.stream, count=self.batch))
        self._there = {fields[b"id"].decode() for _, fields in newest or () if fields and b"id" in fields}

    def send(self, events: Sequence[StoredEvent]) -> None:
        """Appends what is not there yet."""
        fresh = [stored for stored in events if stored.event.event_id not in self._there]
        transaction = self._client.pipeline(transaction=True)
        for stored in fresh:
            transaction.xadd(self._settings.stream, _fields(stored), maxlen=self._settings.keep, approximate=True)
        if fresh:
            self._ask(transaction.execute)
        self._there.clear()

    def tend(self) -> None:
        """A connection that has died is found with the next event."""

    def close(self) -> None:
        """Lets the connection go."""
        self._client.connection_pool.disconnect()

    def _ask(self, what: Callable[[], _T]) -> _T:
        try:
            return what()
        except (redis.RedisError, OSError) as error:
            raise Undelivered(f"Redis at {self._settings.address} does not take events: {words_of(error)}") from None


def _fields(stored: StoredEvent) -> dict[Any, Any]:
    event = stored.event
    return {"id": event.event_id, "type": event.type, "camera": event.camera_id, "event": as_json(stored)}


def _client(settings: RedisStreamSettings) -> redis.Redis:
    try:
        return redis.Redis.from_url(
            settings.url,
            socket_connect_timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
    except ValueError as error:
        raise UsageError(f"the address {settings.address} of the Redis stream cannot be read: {error}") from None
