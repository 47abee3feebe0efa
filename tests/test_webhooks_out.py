"""Webhooks: signatures, answers of every kind, order, several at once, and a server that is killed."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from camcount.delivery.feed import Feed
from camcount.delivery.options import SinkSettings, WebhookSettings
from camcount.delivery.relay import Delivery, Relay
from camcount.delivery.select import deliveries_for
from camcount.delivery.webhooks import WebhookOutlet, signing_key
from camcount.errors import UsageError
from camcount.storage.database import Database, open_database
from camcount.storage.positions import Positions
from tests.databases import new_url, sqlite_url
from tests.event_logs import MemoryLog, committed, until
from tests.event_receivers import Hook

SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four byte").decode()


class Posting:
    """Webhooks over a log, with pauses of at most 0.2 s."""

    def __init__(self, database: Database) -> None:
        self.log = MemoryLog()
        self.feed = Feed(self.log)
        self.database = database
        self.made: list[Delivery] = []

    def start(self, webhook: WebhookSettings, turns: threading.Semaphore | None = None) -> Delivery:
        """One more."""
        outlet = WebhookOutlet(webhook, turns or threading.Semaphore(8))
        positions = Positions(self.database)
        name = f"webhook:{webhook.label}"
        relay = Relay(name, outlet, self.log, self.feed, positions, longest_pause_s=0.2)
        relay.start()
        self.made.append(relay)
        return relay

    def commit(self, *numbers: int) -> None:
        """Crossings."""
        committed(self.log, self.feed, *numbers)


@pytest.fixture
def posting(tmp_path: Path) -> Iterator[Posting]:
    """Over a new database."""
    posting = Posting(open_database(sqlite_url(tmp_path)))
    yield posting
    for delivery in posting.made:
        delivery.close()
    posting.feed.close()
    posting.database.close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running receiver."""
    hook = Hook(SECRET)
    yield hook
    hook.stop()


def numbers(hook: Hook) -> list[int]:
    """Of the events that it took."""
    return [int(event["sequence"]) for event in hook.received()]


def test_the_signature_is_what_openssl_makes_of_time_and_body(posting: Posting, hook: Hook) -> None:
    """Over id, time and body as they were sent, with the key behind whsec_; the time is now."""
    posting.start(hook.webhook)
    posting.commit(1)
    until(lambda: hook.taken)
    headers, body = hook.posts[0]
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["webhook-id"] == hook.received()[0]["id"]
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_")).hex()
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    digest = subprocess.run(command, input=signed, capture_output=True, check=True).stdout
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_a_webhook_without_a_secret_is_not_signed(posting: Posting, hook: Hook) -> None:
    """No header that would prove nothing."""
    posting.start(replace(hook.webhook, secret=None))
    posting.commit(1)
    until(lambda: hook.taken)
    assert not [name for name in hook.posts[0][0] if name.lower().startswith("webhook-")]


@pytest.mark.parametrize("status", [301, 400, 404, 408, 429, 500, 503])
def test_what_is_refused_is_sent_again_until_it_is_taken(posting: Posting, hook: Hook, status: int) -> None:
    """The same event first, so that the order stays; health tells the status."""
    answers = [204, status, status, 204, status]
    hook.answer = lambda: answers.pop(0) if answers else 204
    relay = posting.start(hook.webhook)
    posting.commit(1, 2, 3, 4)
    until(lambda: str(status) in relay.health().error)
    until(lambda: numbers(hook) == [1, 2, 3, 4])
    assert len(hook.posts) == 7
    until(lambda: relay.health().state == "up")


def test_a_receiver_says_when_to_come_again(posting: Posting, hook: Hook) -> None:
    """Retry-After in seconds is kept."""
    answers = [503]
    hook.answer = lambda: answers.pop(0) if answers else 204
    hook.headers = {"Retry-After": "1"}
    posting.start(hook.webhook)
    began = time.monotonic()
    posting.commit(1)
    until(lambda: hook.taken)
    assert time.monotonic() - began >= 1


def test_a_receiver_that_hangs_is_given_up_and_asked_again(posting: Posting, hook: Hook) -> None:
    """After the time-out; other events wait behind."""
    slow = [1.0, 1.0]

    def answer() -> int:
        if slow:
            time.sleep(slow.pop())
            return 500  # nobody listens any more
        return 204

    hook.answer = answer
    relay = posting.start(hook.webhook)
    posting.commit(1, 2)
    until(lambda: "timed out" in relay.health().error)
    until(lambda: numbers(hook) == [1, 2])


def test_a_receiver_that_closes_quiet_connections_is_no_failure(
    posting: Posting, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """The next event goes over a new connection at once."""
    relay = posting.start(hook.webhook)
    posting.commit(1)
    until(lambda: relay.health().number == 1)
    hook.stop()
    hook.start()
    posting.commit(2)
    until(lambda: numbers(hook) == [1, 2])
    assert "events wait" not in caplog.text


def test_410_ends_a_webhook_for_good(posting: Posting, hook: Hook) -> None:
    """Also over a restart of the server; another address under the same name begins where the old one ended."""
    answers = [204, 410]
    hook.answer = lambda: answers.pop(0) if answers else 204
    relay = posting.start(hook.webhook)
    posting.commit(1, 2, 3)
    until(lambda: relay.health().state == "gone")
    relay.close()
    again = posting.start(hook.webhook)
    posting.commit(4)
    until(lambda: again.health().state == "gone")
    again.close()
    assert len(hook.posts) == 2
    posting.start(replace(hook.webhook, url=hook.webhook.url + "&new=1"))
    until(lambda: numbers(hook) == [1, 2, 3, 4])


def test_webhooks_do_not_hold_up_each_other_and_share_a_bound(posting: Posting, hook: Hook) -> None:
    """Of three webhooks never more than two are posting; the one that fails delays none of the others."""
    busy, most, lock = 0, 0, threading.Lock()

    def answer() -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return 204

    hook.answer = answer
    failing = Hook(name="failing")
    failing.answer = lambda: 500
    turns = threading.Semaphore(2)
    for webhook in (failing.webhook, *(replace(hook.webhook, name=name) for name in "abc")):
        posting.start(webhook, turns)
    posting.commit(*range(20))
    until(lambda: len(hook.taken) == 60)
    failing.stop()
    assert most == 2
    assert failing.taken == []


def test_addresses_and_secrets_are_never_shown(
    posting: Posting, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither by the settings nor by messages."""
    hook.answer = lambda: 500
    relay = posting.start(hook.webhook)
    posting.commit(1)
    until(lambda: relay.health().state == "away")
    shown = repr(hook.settings) + repr(hook.webhook) + caplog.text + repr(relay.health())
    assert "token" not in shown
    assert SECRET not in shown


def test_a_secret_may_be_any_text() -> None:
    """What begins as a standard secret must be one."""
    assert signing_key("open sesame") == b"open sesame"
    with pytest.raises(UsageError, match="base64"):
        signing_key("whsec_no base64!")


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
sinks = SinkSettings(webhooks=(WebhookSettings(url=sys.argv[2], name="killed"),))
(delivery,) = deliveries_for(sinks, store, feed, database, lease_s=0.1)
delivery.start()
print("started", flush=True)
for number in range(int(sys.argv[3]), 10_000):
    feed.publish("gate", store.commit(CountBatch(camera_id="gate", events=(crossing(number),))))
    print(number, flush=True)
    time.sleep(0.002)
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_server_that_is_killed_loses_nothing(tmp_path: Path, hook: Hook, kind: str) -> None:
    """Six times kill -9 amid commits and POSTs: every event that was acknowledged arrives, in order of number."""
    url, begin, waiting = new_url(kind, tmp_path), 0, []
    hook.answer = lambda: time.sleep(0.004) or 204  # type: ignore[func-returns-value] # slower than the events come
    for _ in range(6):
        command = [sys.executable, "-c", _SERVER, url, hook.webhook.url, str(begin)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "started\n"
            time.sleep(0.25)
            os.kill(server.pid, signal.SIGKILL)
            begin += len(server.stdout.readlines()) or 0
        waiting.append(begin - len(set(numbers(hook))))
    database = open_database(url)
    from camcount.storage.counts import CountStore

    store = CountStore(database)
    feed = Feed(store)
    sinks = SinkSettings(webhooks=(replace(hook.webhook, name="killed"),))
    (delivery,) = deliveries_for(sinks, store, feed, database, lease_s=0.1)
    delivery.start()
    committed_numbers = [stored.number for stored in store.events(limit=100_000)]
    until(lambda: delivery.health().number == committed_numbers[-1], 60)
    delivery.close()
    feed.close()
    database.close()
    arrived = numbers(hook)
    assert list(dict.fromkeys(arrived)) == committed_numbers
    assert len(committed_numbers) >= begin > 0
    assert max(waiting) > 0
    repeated = len(arrived) - len(set(arrived))
    print(f"{len(arrived)} arrived, {repeated} repeated; waiting at each kill: {waiting}")  # noqa: T201 # the figures
