"""The feed: order of numbers, slow listeners, logs that are away, listeners of both kinds."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from camcount.delivery.feed import Feed, Missed, News
from tests.event_logs import MemoryLog, committed, crossing, until


@pytest.fixture
def log() -> MemoryLog:
    """With three events in it."""
    log = MemoryLog()
    log.append(*(crossing(number) for number in range(3)))
    return log


@pytest.fixture
def feed(log: MemoryLog) -> Iterator[Feed]:
    """Over the log."""
    feed = Feed(log)
    yield feed
    feed.close()


def numbers(news: list[News]) -> list[int]:
    """Of the events among the news."""
    return [one.number for one in news if not isinstance(one, Missed)]


def test_listeners_hear_what_comes_after_they_subscribed(log: MemoryLog, feed: Feed) -> None:
    """Each of them all of it, from the number it is told."""
    with feed.subscribe() as early:
        committed(log, feed, 10)
        assert numbers(early.take(5)) == [4]
        with feed.subscribe() as late:
            committed(log, feed, 11, 12)
            until(lambda: numbers(late.take(5)))
            assert (early.since, late.since) == (3, 4)
            assert numbers(early.take(5)) == [5, 6]


def test_events_come_in_order_of_number_whoever_publishes_first(log: MemoryLog, feed: Feed) -> None:
    """The second camera's event waits for the first one's, which was committed before and is not published yet."""
    with feed.subscribe() as listener:
        first, second = log.append(crossing(1, "a")), log.append(crossing(2, "b"))
        feed.publish("b", second)
        heard = listener.take(5)
        feed.publish("a", first)
        committed(log, feed, 13)
        while len(heard) < 3:
            heard += listener.take(5)
    assert numbers(heard) == [4, 5, 6]


def test_what_follows_without_a_gap_costs_no_reading(log: MemoryLog, feed: Feed) -> None:
    """The usual case never asks the database."""
    with feed.subscribe() as listener:
        before = log.reads
        for number in range(50):
            committed(log, feed, number)
            assert listener.take(5)
        assert log.reads == before


def test_a_slow_listener_loses_the_oldest_and_is_told(log: MemoryLog, feed: Feed) -> None:
    """The number it is told leads to exactly what it missed, and publishing did not wait for it."""
    with feed.subscribe(capacity=10) as slow, feed.subscribe() as quick:
        for number in range(100, 125):
            committed(log, feed, number)
        heard: list[News] = []
        while len(heard) < 25:
            heard += quick.take(5)
        missed, *rest = slow.take(5)
        assert missed == Missed(15, 3)
        assert numbers(rest) == list(range(19, 29))
        assert [stored.number for stored in log.events(after=3, limit=15)] == list(range(4, 19))
        committed(log, feed, 200)
        assert numbers(slow.take(5)) == [29]


def test_a_log_that_is_away_loses_nothing(log: MemoryLog, feed: Feed) -> None:
    """What could not be read is told when it is back, in order."""
    with feed.subscribe() as listener:
        log.append(crossing(1))
        log.away = True
        committed(log, feed, 2)
        assert not listener.take(0.2)
        log.away = False
        committed(log, feed, 3)
        heard: list[News] = []
        while len(heard) < 3:
            heard += listener.take(5)
    assert numbers(heard) == [4, 5, 6]


def test_both_kinds_of_listeners_end_with_the_feed(log: MemoryLog, feed: Feed) -> None:
    """A thread's loop and a task's loop give what lies there and end."""
    in_thread: list[News] = []
    listener = feed.subscribe()
    thread = threading.Thread(target=lambda: in_thread.extend(listener))
    thread.start()

    async def listen() -> list[News]:
        with feed.subscribe() as mine:
            asyncio.get_running_loop().call_later(0.1, committed, log, feed, 1, 2, 3)
            asyncio.get_running_loop().call_later(0.3, threading.Thread(target=feed.close).start)
            return [news async for news in mine]

    assert numbers(asyncio.run(listen())) == [4, 5, 6]
    thread.join(5)
    assert numbers(in_thread) == [4, 5, 6]
    assert feed.subscribe().ended


def test_waiting_in_asyncio_ends_with_its_time(feed: Feed) -> None:
    """Nothing comes, and the loop is free meanwhile."""

    async def wait() -> tuple[list[News], float]:
        with feed.subscribe() as mine:
            began = time.monotonic()
            return await mine.wait(0.1), time.monotonic() - began

    news, took = asyncio.run(wait())
    assert news == []
    assert took >= 0.1


def test_a_loop_that_has_ended_holds_up_nobody(log: MemoryLog, feed: Feed) -> None:
    """Its listener was never closed; the others go on hearing."""
    asyncio.run(feed.subscribe().wait(0.01))
    with feed.subscribe() as listener:
        committed(log, feed, 1)
        assert numbers(listener.take(5)) == [4]
