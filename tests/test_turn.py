"""Of several servers on one database one delivers, and another goes on when it is gone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from camcount.delivery.turn import Turn
from camcount.storage.counts import CountStore
from camcount.storage.database import open_database
from camcount.storage.positions import Position, Positions
from tests.databases import new_url
from tests.event_logs import until
from tests.event_receivers import Hook
from tests.test_webhooks_out import numbers

LEASE_S = 2.0
_SERVER = """
import sys, time
from camcount.delivery.feed import Feed
from camcount.delivery.options import SinkSettings, WebhookSettings
from camcount.delivery.select import deliveries_for
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import open_database
from tests.event_logs import crossing

database = open_database(sys.argv[1])
store = CountStore(database)
feed = Feed(store)
sinks = SinkSettings(webhooks=(WebhookSettings(url=sys.argv[2], name="shared", timeout_s=5),))
(delivery,) = deliveries_for(sinks, store, feed, database, lease_s=float(sys.argv[3]))
delivery.start()
while delivery.health().state not in ("up", "standby"):
    time.sleep(0.01)
print(delivery.health().state, flush=True)
camera = sys.argv[4]
for number in range(10_000):
    feed.publish(camera, store.commit(CountBatch(camera_id=camera, events=(crossing(number, camera),))))
    time.sleep(0.01)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    return new_url(request.param, tmp_path)


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running receiver."""
    hook = Hook()
    yield hook
    hook.stop()


@contextmanager
def server(url: str, hook: Hook, camera: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that counts and delivers, and whether it delivers (``up``) or waits (``standby``)."""
    command = [sys.executable, "-c", _SERVER, url, hook.webhook.url, f"{LEASE_S}", camera]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.alone
def test_one_of_two_servers_delivers_and_the_other_goes_on_when_it_is_killed(url: str, hook: Hook) -> None:
    """Events of both arrive once each and in order; after kill -9 the other is there within the lease, none lost."""
    with server(url, hook, "east") as (first, state), server(url, hook, "west") as (_, other):
        assert (state, other) == ("up", "standby")
        until(lambda: {event["source"] for event in hook.received()} == {"/cameras/east", "/cameras/west"})
        time.sleep(LEASE_S)
        before = numbers(hook)
        assert before == sorted(set(before))
        first.kill()
        killed = time.monotonic()
        until(lambda: len(set(numbers(hook))) > len(before) + 20, 10 * LEASE_S)
        waited_s = time.monotonic() - killed
    database = open_database(url)
    there = [stored.number for stored in CountStore(database).events(limit=100_000)]
    database.close()
    arrived = numbers(hook)
    once = list(dict.fromkeys(arrived))
    assert once == there[there.index(once[0]) :][: len(once)]
    assert len(arrived) - len(once) <= 50  # what the killed one had sent and not noted: a batch
    assert waited_s < 3 * LEASE_S
    print(f"taken over after {waited_s:.1f} s, {len(arrived) - len(once)} of {len(arrived)} repeated")  # noqa: T201 # figures


@pytest.fixture
def positions(url: str) -> Iterator[Positions]:
    """With a delivery that has begun."""
    database = open_database(url)
    positions = Positions(database)
    positions.begin("mqtt", 0)
    yield positions
    database.close()


def test_who_says_nothing_for_a_lease_has_had_its_turn(positions: Positions) -> None:
    """It stops by itself before the other begins, may write no more, and takes it back only when that one is gone."""
    now = [0.0]
    first, second = (Turn(positions, "mqtt", lease_s=1000.0, clock=lambda: now[0]) for _ in range(2))
    assert first.take()
    assert not second.take()
    now[0] = 749.0
    assert (first.mine, second.take()) == (True, False)
    now[0] = 999.0
    assert (first.mine, second.take()) == (False, False)
    now[0] = 1000.0
    assert second.take()
    assert not second.unbroken
    assert not first.take()
    assert not positions.write("mqtt", Position(number=7), first.owner)
    assert positions.write("mqtt", Position(number=8), second.owner)
    second.close()
    assert first.take()
    first.close()


@pytest.mark.alone
def test_a_turn_lasts_as_long_as_its_server_and_ends_at_once_with_it(positions: Positions) -> None:
    """However long a receiver takes to answer, nobody else begins; closed, the next one need not wait."""
    first, second = (Turn(positions, "mqtt", lease_s=1.0) for _ in range(2))
    assert first.take()
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert not second.take()
        assert first.mine
        time.sleep(0.05)
    first.close()
    assert second.take()
    second.close()


def test_who_could_not_say_so_for_a_while_goes_on_as_before(positions: Positions) -> None:
    """If nobody else has delivered, what it knows of its position still holds."""
    now = [0.0]
    turn = Turn(positions, "mqtt", lease_s=1000.0, clock=lambda: now[0])
    assert turn.take()
    assert not turn.unbroken
    now[0] = 5000.0
    assert not turn.mine
    assert turn.take()
    assert turn.unbroken
    turn.close()
