"""The deliveries that settings ask for."""

from __future__ import annotations

import threading

from camcount.delivery.cameras import NoCameras, Site
from camcount.delivery.feed import Feed
from camcount.delivery.log import EventLog
from camcount.delivery.options import SinkSettings
from camcount.delivery.relay import Delivery, Outlet, Relay
from camcount.delivery.totals import Totals
from camcount.delivery.turn import LEASE_S
from camcount.delivery.webhooks import WebhookOutlet
from camcount.storage.database import Database
from camcount.storage.positions import Positions


def deliveries_for(
    settings: SinkSettings,
    log: EventLog,
    feed: Feed,
    database: Database,
    site: Site | None = None,
    *,
    lease_s: float = LEASE_S,
) -> list[Delivery]:
    """One delivery for each of the settings' sinks, not started yet; close them before the feed.

    Args:
        log: where all events are.
        site: the cameras that MQTT shows and tells commands.
        lease_s: after so long without a word from the server that delivers, another one on the database goes on.

    Raises:
        UsageError: a library is missing, or an address or a secret cannot be read.
    """
    positions = Positions(database)
    turns = threading.BoundedSemaphore(settings.webhooks_at_once)
    found: list[Delivery] = []

    def relay(name: str, outlet: Outlet, totals: Totals | None = None) -> None:
        found.append(Relay(name, outlet, log, feed, positions, totals=totals, lease_s=lease_s))

    if settings.mqtt is not None:
        from camcount.delivery.mqtt import MqttOutlet

        relay("mqtt", MqttOutlet(settings.mqtt, site or NoCameras(), totals := Totals()), totals)
    if settings.redis_stream is not None:
        from camcount.delivery.redis_stream import RedisStreamOutlet

        relay("redis", RedisStreamOutlet(settings.redis_stream))
    for webhook in settings.webhooks:
        relay(f"webhook:{webhook.label}", WebhookOutlet(webhook, turns))
    return found
