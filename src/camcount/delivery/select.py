"""The deliveries that settings ask for."""

from __future__ import annotations

import threading

from camcount.delivery.cameras import NoCameras, Site
from camcount.delivery.feed import Feed
from camcount.delivery.log import EventLog
from camcount.delivery.options import MqttSettings, SinkSettings
from camcount.delivery.relay import Delivery, Relay
from camcount.delivery.totals import Totals
from camcount.delivery.webhooks import WebhookOutlet
from camcount.storage.database import Database
from camcount.storage.positions import Positions


def deliveries_for(
    settings: SinkSettings, log: EventLog, feed: Feed, database: Database, site: Site | None = None
) -> list[Delivery]:
    """One delivery for each of the settings' sinks, not started yet; close them before the feed.

    Args:
        log: where all events are.
        site: the cameras that MQTT shows and tells commands.

    Raises:
        UsageError: a library is missing, or an address or a secret cannot be read.
    """
    positions = Positions(database)
    turns = threading.BoundedSemaphore(settings.webhooks_at_once)
    found: list[Delivery] = []
    if settings.mqtt is not None:
        found.append(_mqtt(settings.mqtt, log, feed, positions, site or NoCameras()))
    if settings.redis_stream is not None:
        from camcount.delivery.redis_stream import RedisStreamOutlet

        found.append(Relay("redis", RedisStreamOutlet(settings.redis_stream), log, feed, positions))
    return found + [
        Relay(f"webhook:{webhook.label}", WebhookOutlet(webhook, turns), log, feed, positions)
        for webhook in settings.webhooks
    ]


def _mqtt(settings: MqttSettings, log: EventLog, feed: Feed, positions: Positions, site: Site) -> Delivery:
    from camcount.delivery.mqtt import MqttOutlet

    totals = Totals()
    return Relay("mqtt", MqttOutlet(settings, site, totals), log, feed, positions, totals=totals)
