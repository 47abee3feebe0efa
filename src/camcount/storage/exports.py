"""Counted spans as rows: what reports and pages write to files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from camcount.storage.rollup import StoredInterval

COLUMNS = ("camera_id", "line", "start", "end", "in", "out", "count", "low", "high", "coverage")


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A header and a line each; what is None is left empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(found: Iterable[StoredInterval]) -> list[dict[str, Any]]:
    """Rows with `COLUMNS`, whose times are aware datetimes."""
    rows = []
    for one in found:
        row = one.as_dict() | {"start": one.start, "end": one.end}
        rows.append({name: row[name] for name in COLUMNS})
    return rows
