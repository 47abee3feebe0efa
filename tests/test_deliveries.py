"""What holds for every delivery, over a real broker, a real HTTP server and a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from camcount.delivery.feed import Feed
from camcount.delivery.relay import Delivery
from camcount.delivery.select import deliveries_for
from camcount.storage.database import Database, open_database
from tests.databases import sqlite_url
from tests.event_logs import MemoryLog, committed, crossing, until
from tests.event_receivers import Receiver, receiver_of


@pytest.fixture(params=["webhook", "redis", "mqtt"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    """One of the systems."""
    with receiver_of(request.param, tmp_path) as running:
        yield running


class Server:
    """What a server has around a delivery: a log, a feed and a database that outlive it."""

    def __init__(self, receiver: Receiver, folder: Path) -> None:
        self.receiver, self.log = receiver, MemoryLog()
        self.database: Database = open_database(sqlite_url(folder))
        self.feed = Feed(self.log)
        self.made: list[Delivery] = []

    def delivery(self) -> Delivery:
        """A new one."""
        found = deliveries_for(self.receiver.settings, self.log, self.feed, self.database)
        assert len(found) == 1
        self.made += found
        return found[0]

    def numbers(self) -> list[int]:
        """Of what was received, repetitions included."""
        return [int(event["sequence"]) for event in self.receiver.received()]


@pytest.fixture
def server(receiver: Receiver, tmp_path: Path) -> Iterator[Server]:
    """Over the receiver."""
    server = Server(receiver, tmp_path)
    yield server
    for delivery in server.made:
        delivery.close()
    server.feed.close()
    server.database.close()


def once(numbers: list[int]) -> list[int]:
    """In order of first arrival, as a consumer sees them that honours ids."""
    return list(dict.fromkeys(numbers))


def test_what_is_committed_after_the_first_start_arrives_in_order(server: Server) -> None:
    """Once each, with the ids of the events; what was in the log before does not."""
    server.log.append(*(crossing(number) for number in range(5)))
    delivery = server.delivery()
    delivery.start()
    delivery.start()
    for number in range(5, 25):
        committed(server.log, server.feed, number)
    until(lambda: len(server.numbers()) == 20)
    assert server.numbers() == list(range(6, 26))
    ids = [event["id"] for event in server.receiver.received()]
    assert ids == [stored.event.event_id for stored in server.log.kept[5:]]
    until(lambda: delivery.health().number == 25)
    until(lambda: (delivery.health().state, delivery.health().error) == ("up", ""))


def test_a_receiver_that_is_away_is_waited_for(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Starting does not wait, health says why, the log says it once, and the events arrive when it is there."""
    server.receiver.stop()
    delivery = server.delivery()
    began = time.monotonic()
    delivery.start()
    committed(server.log, server.feed, 1, 2, 3)
    assert time.monotonic() - began < 1
    until(lambda: delivery.health().state == "away")
    time.sleep(1)
    assert delivery.health().error
    server.receiver.start()
    until(lambda: once(server.numbers()) == [1, 2, 3])
    until(lambda: delivery.health().state == "up")
    ours = [record for record in caplog.records if record.name == "camcount.delivery"]
    said = [record.getMessage() for record in ours]
    assert len(said) == 2
    assert "events wait for it" in said[0]
    assert said[1].endswith("is back")


def test_a_delivery_goes_on_where_the_last_one_was_closed(server: Server) -> None:
    """What was committed in between comes first, nothing comes twice, and closing twice does no harm."""
    first = server.delivery()
    first.start()
    committed(server.log, server.feed, 1, 2, 3)
    until(lambda: first.health().number == 3)
    first.close()
    first.close()
    assert first.health().state == "closed"
    committed(server.log, server.feed, 4, 5)
    second = server.delivery()
    second.start()
    committed(server.log, server.feed, 6)
    until(lambda: second.health().number == 6)
    until(lambda: server.numbers() == [1, 2, 3, 4, 5, 6])


def test_one_that_never_started_can_be_closed(server: Server) -> None:
    """And does not start any more."""
    delivery = server.delivery()
    delivery.close()
    delivery.start()
    committed(server.log, server.feed, 1)
    time.sleep(0.2)
    assert server.numbers() == []


def test_an_outage_in_mid_run_loses_nothing(server: Server) -> None:
    """2000 events while the receiver is stopped and started three times: all arrive, in order, with their ids."""
    delivery = server.delivery()
    delivery.start()
    in_flight: list[int] = []

    def commit() -> None:
        for begin in range(0, 2000, 10):
            committed(server.log, server.feed, *range(begin, begin + 10))
            time.sleep(0.02)

    cameras = threading.Thread(target=commit)
    cameras.start()
    for _ in range(3):
        time.sleep(0.4)
        server.receiver.stop()
        in_flight.append(len(server.log.kept) - delivery.health().number)
        time.sleep(0.5)
        server.receiver.start()
    cameras.join()
    until(lambda: delivery.health().number == 2000, 60)
    until(lambda: len(once(server.numbers())) == 2000)
    numbers = server.numbers()
    assert once(numbers) == list(range(1, 2001))
    print(f"in flight at each stop: {in_flight}; repetitions: {len(numbers) - 2000}")  # noqa: T201 # the figure asked for
    assert len({event["id"] for event in server.receiver.received()}) == 2000


def test_a_log_that_is_away_stops_nothing_for_good(server: Server) -> None:
    """The delivery says so, and goes on when it is back."""
    server.log.away = True
    delivery = server.delivery()
    delivery.start()
    until(lambda: delivery.health().state == "away")
    assert "the log is away" in delivery.health().error
    server.log.away = False
    until(lambda: delivery.health().state == "up")
    committed(server.log, server.feed, 1)
    until(lambda: server.numbers() == [1])


def test_closing_leaves_no_thread(server: Server) -> None:
    """Whatever the library behind it has started."""
    before = set(threading.enumerate())
    delivery = server.delivery()
    delivery.start()
    committed(server.log, server.feed, 1)
    until(lambda: delivery.health().number == 1)
    delivery.close()
    until(lambda: not {thread for thread in set(threading.enumerate()) - before if "consumer" not in thread.name})
