"""A year of counts, written straight into the tables of the store."""

from __future__ import annotations

from datetime import UTC, datetime
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from camcount.storage.count_tables import HOURS, INTERVALS
from camcount.storage.database import Database, open_database
from camcount.storage.rollup import HOUR_S

DAYS = 365
LINES = {"north-gate": 60, "south-gate": 35}
SHARES = {"person": 0.75, "bicycle": 0.2, "dog": 0.05}
GAP_DAYS = (40, 41, 42)


def year_at(home: Path, camera: str = "high-street") -> None:
    """A year up to the last whole hour in the database of a server whose home that is."""
    database = open_database(f"sqlite:///{home / 'camcount.db'}")
    year(database, datetime.now(UTC), camera=camera)
    database.close()


def year(database: Database, until: datetime, *, camera: str = "high-street", days: int = DAYS) -> None:
    """Hours of two lines with three labels, more by day than by night; nobody saw the days of ``GAP_DAYS``."""
    random = np.random.default_rng([7, *camera.encode()])
    last = int(until.timestamp()) // HOUR_S
    hours: list[dict[str, Any]] = []
    spans: list[dict[str, Any]] = []
    for hour in range(last - days * 24, last):
        if (last - hour) // 24 in GAP_DAYS:
            continue
        for line, many in LINES.items():
            at = datetime.fromtimestamp(hour * HOUR_S, UTC)
            rate = many * max(0.03, 1 - cos((at.hour - 3) / 24 * 2 * pi)) * (0.6 if at.weekday() > 4 else 1.0)
            by_label = {
                label: {way: int(random.poisson(rate * share / 2)) for way in ("in", "out")}
                for label, share in SHARES.items()
            }
            spans.append(_span(camera, line, hour, by_label))
            hours += [
                {"camera_id": camera, "line": line, "label": label, "direction": way, "hour": hour, "count": n}
                for label, ways in by_label.items()
                for way, n in ways.items()
                if n
            ]
    with database.writing() as connection:
        connection.execute(insert(INTERVALS), spans)
        connection.execute(insert(HOURS), hours)


def _span(camera: str, line: str, hour: int, by_label: dict[str, dict[str, int]]) -> dict[str, Any]:
    """An hour as the store makes it of its minutes; the bounds are a little around the counts."""
    counts = {way: sum(ways[way] for ways in by_label.values()) for way in ("in", "out")}
    ways = counts | {"total": sum(counts.values())}
    return {
        "step_s": HOUR_S,
        "camera_id": camera,
        "line": line,
        "start": hour * HOUR_S,
        "known_s": HOUR_S,
        "seen_s": float(HOUR_S),
        "count_in": counts["in"],
        "count_out": counts["out"],
        "by_label": by_label,
        "bounds": {way: [many - many // 20, many + many // 12] for way, many in ways.items()},
        "evidence": {way: [many, {}, {}, 0.02 * many] for way, many in counts.items()},
        "missed_s": 0.0,
        "rate_in": 5000,
        "rate_out": 5000,
        "rate_s": 100.0 * HOUR_S,
    }
