"""What the ``sinks`` section may say, and what comes of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from camcount.delivery.feed import Feed, Missed
from camcount.delivery.options import MqttSettings, RedisStreamSettings, SinkSettings, WebhookSettings
from camcount.delivery.select import deliveries_for
from camcount.errors import UsageError
from camcount.storage.archive import archive
from camcount.storage.counts import CountBatch, CountStore
from camcount.storage.database import open_database
from camcount.storage.positions import TABLE, Held, Position, Positions
from tests.databases import new_url, sqlite_url
from tests.event_logs import START, MemoryLog, crossing

HOOK = WebhookSettings(url="https://example.com/a")


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        (MqttSettings, {"host": ""}, "host"),
        (MqttSettings, {"host": "mqtt://me:s3cret@box"}, "'box'"),
        (MqttSettings, {"host": "box", "port": 0}, "port is 0"),
        (MqttSettings, {"host": "box", "keepalive_s": 1}, "keepalive_s"),
        (MqttSettings, {"host": "box", "password": "s3cret"}, "no username"),
        (MqttSettings, {"host": "box", "tls_ca": "ca.pem"}, "tls is off"),
        (MqttSettings, {"host": "box", "prefix": "a/#"}, "prefix 'a/#'"),
        (MqttSettings, {"host": "box", "prefix": ""}, "prefix is empty"),
        (MqttSettings, {"host": "box", "discovery": "/a"}, "discovery"),
        (WebhookSettings, {"url": "ftp://example.com"}, "no address"),
        (WebhookSettings, {"url": "https://me:s3cret@example.com"}, "no address"),
        (WebhookSettings, {"url": "https://example.com:x"}, "no address"),
        (WebhookSettings, {"url": "https://example.com/a b"}, "no address"),
        (WebhookSettings, {"url": "https://example.com", "secret": ""}, "example.com is empty"),
        (WebhookSettings, {"url": "https://example.com", "timeout_s": 0}, "timeout_s"),
        (RedisStreamSettings, {"url": "http://:s3cret@box"}, "redis://"),
        (RedisStreamSettings, {"url": "redis://box", "stream": ""}, "no name"),
        (RedisStreamSettings, {"url": "redis://box", "keep": 1}, "at least 1000"),
        (SinkSettings, {"webhooks": (HOOK, HOOK)}, "two webhooks are called example.com"),
        (SinkSettings, {"webhooks_at_once": 0}, "webhooks_at_once is 0"),
    ],
)
def test_what_cannot_be_is_refused_on_one_line(kind: Any, values: dict[str, Any], said: str) -> None:
    """With the place of the fault, and without any password."""
    with pytest.raises(UsageError) as refused:
        kind(**values)
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nothing_secret_is_in_a_representation() -> None:
    """Of none of the settings, and addresses for messages have none either."""
    mqtt = MqttSettings(host="box", username="me", password="s3cret", tls=True)
    stream = RedisStreamSettings(url="rediss://me:s3cret@box:7000/1")
    webhook = WebhookSettings(url="https://example.com/?token=s3cret", secret="s3cret")
    settings = SinkSettings(mqtt=mqtt, webhooks=(webhook,), redis_stream=stream)
    assert "s3cret" not in repr(settings)
    assert (mqtt.address, stream.address, webhook.label) == ("mqtts://box:8883", "rediss://box:7000/1", "example.com")


def test_every_sink_gets_a_delivery(tmp_path: Path) -> None:
    """And no settings give none."""
    log = MemoryLog()
    database, feed = open_database(sqlite_url(tmp_path)), Feed(log)
    settings = SinkSettings(
        mqtt=MqttSettings(host="box"), webhooks=(HOOK,), redis_stream=RedisStreamSettings(url="redis://box")
    )
    made = deliveries_for(settings, log, feed, database)
    assert [delivery.health().name for delivery in made] == ["mqtt", "redis", "webhook:example.com"]
    assert {delivery.health().state for delivery in made} == {"starting"}
    assert deliveries_for(SinkSettings(), log, feed, database) == []
    with pytest.raises(UsageError, match="base64"):
        deliveries_for(SinkSettings(webhooks=(WebhookSettings(url=HOOK.url, secret="whsec_!"),)), log, feed, database)
    wrong = MqttSettings(host="box", tls=True, tls_ca=str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match="tls_ca"):
        deliveries_for(SinkSettings(mqtt=wrong), log, feed, database)
    for delivery in made:
        delivery.close()
    feed.close()
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_store_tells_its_last_number_also_of_archived_events(kind: str, tmp_path: Path) -> None:
    """Without opening the archive, so that a feed starts where a file of it is gone."""
    database = open_database(new_url(kind, tmp_path))
    store = CountStore(database, clock=lambda: START)
    assert store.last_number() == 0
    store.commit(CountBatch(camera_id="gate", events=tuple(crossing(number) for number in range(5))))
    assert store.last_number() == 5
    assert archive(database, tmp_path / "archive", timedelta(days=1), now=START + timedelta(days=40))
    for file in (tmp_path / "archive").rglob("*.parquet"):
        file.unlink()
    assert store.last_number() == 5
    feed = Feed(store)
    with feed.subscribe() as listener:
        feed.publish("gate", store.commit(CountBatch(camera_id="gate", events=(crossing(9),))))
        (news,) = listener.take(5)
        assert not isinstance(news, Missed)
        assert news.number == 6
    feed.close()
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_positions_are_kept(kind: str, tmp_path: Path) -> None:
    """By name, the last one written, also for who opens the database later."""
    url = new_url(kind, tmp_path)
    database = open_database(url)
    positions = Positions(database)
    assert positions.read("mqtt") is None
    for name in ("mqtt", "redis"):
        positions.begin(name, 1)
        assert positions.read(name) == Position(number=1)
        assert positions.hold(name, "me", Held())
    positions.begin("mqtt", 2)
    assert positions.write("mqtt", Position(number=3, state={"gate": {"street": 1}}), "me")
    assert positions.write("redis", Position(number=9, gone="abc"), "me")
    assert positions.write("mqtt", Position(number=2**40, state=None), "me")
    assert not positions.write("mqtt", Position(number=7), "another")
    database.close()
    database = open_database(url)
    assert Positions(database).read("mqtt") == Position(number=2**40)
    assert Positions(database).read("redis") == Position(number=9, gone="abc")
    with database.reading() as connection:
        from sqlalchemy import inspect

        found = [column["name"] for column in inspect(connection).get_columns("deliveries")]
    database.close()
    assert sorted(found) == sorted(TABLE.columns.keys())
