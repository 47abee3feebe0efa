"""What Home Assistant is told so that it shows a camera as a device (MQTT discovery per device, from 2024.12 on)."""

from __future__ import annotations

import re
import zlib
from typing import Any

import camcount
from camcount.delivery.cameras import CameraOutline
from camcount.delivery.topics import Topics

Components = dict[str, dict[str, Any]]


def discovery(camera: CameraOutline, topics: Topics) -> dict[str, Any]:
    """The ``config`` message of a camera: a device with a sensor per line and direction, one per zone, a switch."""
    node = f"{slug(topics.prefix)}_{slug(camera.name)}"
    counted = {"availability": [topics.available, topics.camera(camera.name, "available")]}
    always = {"availability": [topics.available]}
    components: Components = {}
    for line in camera.lines:
        for direction in ("in", "out"):
            components[f"{node}_line_{slug(line)}_{direction}"] = _total(camera, line, direction, topics) | counted
    for zone in camera.zones:
        components[f"{node}_zone_{slug(zone)}"] = _occupancy(camera, zone, topics) | counted
    components[f"{node}_on"] = _switch(camera, topics) | always
    if camera.zones:
        components[f"{node}_reset"] = _reset(camera, topics) | always
    for name, component in components.items():
        component["unique_id"] = name
        component["availability"] = [{"topic": topic} for topic in component["availability"]]
        component["availability_mode"] = "all"
    return {
        "device": {"identifiers": [node], "name": camera.name, "manufacturer": "camcount", "model": "camera"},
        "origin": {"name": "camcount", "sw_version": camcount.__version__},
        "components": components,
        "qos": 1,
    }


def without(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """``now``, which also says of what was there before and is no more that it goes away."""
    lost = {
        name: {"platform": component["platform"]}
        for name, component in before["components"].items()
        if name not in now["components"]
    }
    return now | {"components": now["components"] | lost}


def slug(name: str) -> str:
    """A name of letters, digits, ``-`` and ``_``; names that differ stay different.

    >>> slug("gate-1"), slug("Gate 1")
    ('gate-1', 'Gate_1_69d6df12')
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return plain if plain == name else f"{plain}_{zlib.crc32(name.encode()):08x}"


def _total(camera: CameraOutline, line: str, direction: str, topics: Topics) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": f"{line} {direction}",
        "state_topic": topics.line(camera.name, line),
        "value_template": f"{{{{ value_json['{direction}'] }}}}",
        "state_class": "total_increasing",
        "icon": "mdi:counter",
    }


def _occupancy(camera: CameraOutline, zone: str, topics: Topics) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": f"{zone} occupancy",
        "state_topic": topics.zone(camera.name, zone),
        "state_class": "measurement",
        "icon": "mdi:account-group",
    }


def _switch(camera: CameraOutline, topics: Topics) -> dict[str, Any]:
    return {
        "platform": "switch",
        "name": "Counting",
        "state_topic": topics.camera(camera.name, "state"),
        "command_topic": topics.camera(camera.name, "set"),
        "icon": "mdi:cctv",
    }


def _reset(camera: CameraOutline, topics: Topics) -> dict[str, Any]:
    return {
        "platform": "button",
        "name": "Reset occupancy",
        "command_topic": topics.camera(camera.name, "set"),
        "payload_press": "RESET_OCCUPANCY",
        "entity_category": "config",
    }
