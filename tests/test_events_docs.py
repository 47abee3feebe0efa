"""docs/events.md and docs/event.schema.json: examples are real, the schema holds, every option stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pytest
import yaml

from camcount.api.application import application
from camcount.api.event_stream import PARAMETERS, event_router
from camcount.delivery.cloudevents import as_cloudevent
from camcount.delivery.feed import Feed
from camcount.delivery.options import MqttSettings, RedisStreamSettings, SinkSettings, WebhookSettings
from camcount.delivery.webhooks import signature_headers, signing_key
from camcount.events import Crossing, Event, FlowCompleted, ZoneEntered, ZoneLeft
from tests.asgi_servers import served
from tests.event_logs import START, MemoryLog, Stored, crossing
from tests.planes import StandIn

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "events.md").read_text()
SCHEMA = orjson.loads((DOCS / "event.schema.json").read_bytes())
EXAMPLES = [orjson.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
COMMON: dict[str, Any] = {"time_s": 1.0, "time": START, "track_id": 1, "label": "person", "confidence": 0.5}
COMMON |= {"camera_id": "north/gate 1", "reason": "it did", "point": (1, 2)}
EVENTS: list[Event] = [
    Crossing(**COMMON, line="street", direction="out"),
    ZoneEntered(**COMMON, zone="hall"),
    ZoneLeft(**COMMON, zone="hall", dwell_s=2.5),
    FlowCompleted(**COMMON, origin="a", destination="b", travel_s=3.0),
]


def _valid(event: Any) -> bool:
    return bool(jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True).is_valid(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_every_kind_of_event_keeps_to_the_schema(event: Event) -> None:
    """With a clock and without one; what any of its parts would not be is refused."""
    told = orjson.loads(orjson.dumps(as_cloudevent(Stored(7, event))))
    assert _valid(told)
    assert told["source"] == "/cameras/north%2Fgate%201"
    assert (told["id"], told["sequence"], told["data"]) == (event.event_id, f"{7:020d}", event.as_dict())
    timeless = as_cloudevent(Stored(7, replace(event, time=None)))
    assert "time" not in timeless
    assert _valid(timeless)
    wrongs: list[dict[str, Any]] = [
        {"sequence": 7},
        {"type": "camcount.dance"},
        {"source": "gate"},
        {"more": 1},
        {"data": {}},
    ]
    for wrong in wrongs:
        assert not _valid(told | wrong)


def test_the_examples_are_what_leaves_the_server() -> None:
    """One of each kind, and each keeps to the schema, with the id that the event really has."""
    assert [example["type"] for example in EXAMPLES] == [f"camcount.{event.type}" for event in EVENTS]
    kinds = {f"camcount.{event.type}": type(event) for event in EVENTS}
    for example in EXAMPLES:
        assert _valid(example)
        data = {name: value for name, value in example["data"].items() if name not in ("event_id", "type")}
        event = kinds[example["type"]](**data)
        assert example["id"] == example["data"]["event_id"] == event.event_id


def test_the_configuration_can_be_used() -> None:
    """As it stands, by the settings."""
    block = next(text for text in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "sinks:" in text)
    sinks = yaml.safe_load(block)["sinks"]
    settings = SinkSettings(
        mqtt=MqttSettings(**sinks["mqtt"]),
        webhooks=tuple(WebhookSettings(**webhook) for webhook in sinks["webhooks"]),
        redis_stream=RedisStreamSettings(**sinks["redis_stream"]),
    )
    assert settings.webhooks[0].label == "example.com"
    assert signing_key(settings.webhooks[0].secret or "")


@pytest.mark.parametrize(
    "name",
    [
        *PARAMETERS,
        *(
            f.name
            for kind in (MqttSettings, WebhookSettings, RedisStreamSettings, SinkSettings)
            for f in fields(kind)
        ),
    ],
)
def test_all_that_there_is_is_told(name: str) -> None:
    """No parameter or option is known to the code alone."""
    assert re.search(rf"\b{name}\b", TEXT)


def test_the_verification_by_hand_works() -> None:
    """It lets through what we sign, and nothing that was changed or is old."""
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    scope: dict[str, Any] = {}
    exec(code[1], scope)
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"a": 1}'
    now = signature_headers(signing_key(secret), "1f", time.time(), body)
    assert scope["genuine"](secret, now, body)
    assert not scope["genuine"](secret, now, body + b" ")
    assert not scope["genuine"]("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", now, body)
    assert not scope["genuine"](secret, now | {"webhook-id": "2f"}, body)
    assert not scope["genuine"](secret, signature_headers(signing_key(secret), "1f", time.time() - 600, body), body)


def test_the_commands_do_what_they_say() -> None:
    """Each curl line runs as it stands, but for the port; the stream is cut off after its second."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    log = MemoryLog()
    log.append(*(crossing(number) for number in range(500)))
    feed = Feed(log)
    commands = [line for line in TEXT.splitlines() if line.startswith("curl ")]
    assert len(commands) == 3
    with served(application(StandIn(), routers=[event_router(log, feed)])) as port:
        for command in commands:
            line = command.replace("localhost:8000", f"127.0.0.1:{port}").replace("curl", "curl --silent --fail", 1)
            done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=30)
            assert done.returncode == (28 if "sse" in line else 0)
            assert b'"sequence":"00000000000000000481"' in done.stdout or "limit=100" in line
        feed.close()
