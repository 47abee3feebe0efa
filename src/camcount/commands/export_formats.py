"""Counts as CSV, Parquet, GeoJSON and the French national files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from camcount.errors import writing
from camcount.storage.exports import as_csv

if TYPE_CHECKING:
    from camcount.commands.sites import Sites
    from camcount.storage.counts import StoredInterval
    from camcount.storage.event_log import Totals

_MOBILITY = {
    "person": "PEDESTRIAN",
    "bicycle": "BIKE",
    "motorcycle": "TWO WHEELS MOTORIZED",
    "car": "CAR",
    "bus": "BUS",
    "truck": "TRUCK",
    "train": "TRAMWAY",
}
"""Labels as the French schema calls them."""

_SITE = ("site_id", "site_name", "fr_insee_code", "xlong", "ylat")
_CHANNEL = (
    "channel_id",
    "site_id",
    "mobility_type",
    "counter_type",
    "provider_direction_code",
    "temporality",
    "started_at",
    "time_step",
)
_MEASURE = ("channel_id", "counter_id", "start_datetime", "end_datetime", "count")


def as_geojson(totals: Totals, sites: Sites, since: datetime | None, until: datetime | None) -> str:
    """A feature a line, with what it counted."""
    times = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": sites.of(camera_id).line(line)},
            "properties": {"camera_id": camera_id, "line": line, **counts, **times},
        }
        for camera_id, lines in totals.items()
        for line, counts in lines.items()
    ]
    return orjson.dumps({"type": "FeatureCollection", "features": features}).decode()


def french_files(found: Sequence[StoredInterval], sites: Sites) -> dict[str, str]:
    """``site.csv``, ``channel.csv`` and ``measure.csv`` of the schema *comptage-mobilites*, by name.

    A camera is a site; a line has a channel for each direction and label. A gap leaves ``count`` empty, as the schema
    wants it, and a span in which nobody came is 0.
    """
    known = {one.camera_id: sites.of(one.camera_id) for one in found}
    site_rows = [
        {
            "site_id": site.camera_id,
            "site_name": site.name,
            "fr_insee_code": site.insee,
            "xlong": f"{site.place[0]:.6f}",
            "ylat": f"{site.place[1]:.6f}",
        }
        for site in known.values()
    ]
    channels = _channels(found)
    measures = [
        {
            "channel_id": channel["channel_id"],
            "counter_id": one.camera_id,
            "start_datetime": _moment(one.start),
            "end_datetime": _moment(one.end),
            "count": None if one.counts is None else one.by_label.get(label, {}).get(way, 0),
        }
        for one in found
        for (camera_id, line, label, way), channel in channels.items()
        if (camera_id, line) == (one.camera_id, one.line)
    ]
    return {
        "site.csv": as_csv(_SITE, site_rows),
        "channel.csv": as_csv(_CHANNEL, channels.values()),
        "measure.csv": as_csv(_MEASURE, measures),
    }


def write_text(path: Path, text: str, what: str) -> None:
    """Writes a file, whole or not at all.

    Raises:
        UsageError, DiskFull: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    with writing(path, what):
        try:
            part.write_text(text, encoding="utf-8", newline="")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _channels(found: Sequence[StoredInterval]) -> dict[tuple[str, str, str, str], dict[str, Any]]:
    starts: dict[tuple[str, str], StoredInterval] = {}
    labels: dict[tuple[str, str], set[str]] = {}
    for one in found:
        starts.setdefault((one.camera_id, one.line), one)
        labels.setdefault((one.camera_id, one.line), set()).update(one.by_label)
    return {
        (camera_id, line, label, way): {
            "channel_id": f"{camera_id}-{line}-{label}-{way}",
            "site_id": camera_id,
            "mobility_type": _MOBILITY.get(label, "UNDEFINED"),
            "counter_type": "VIDEO SENSOR",
            "provider_direction_code": way.upper(),
            "temporality": "PERMANENT",
            "started_at": _moment(first.start),
            "time_step": round((first.end.astimezone(UTC) - first.start.astimezone(UTC)).total_seconds()),
        }
        for (camera_id, line), first in starts.items()
        for label in sorted(labels[camera_id, line]) or ["any"]
        for way in ("in", "out")
    }


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
