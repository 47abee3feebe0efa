"""Events to a file and back: JSON Lines, CSV or Parquet, by the file's suffix."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson

from camcount.errors import UsageError, writing
from camcount.events import Crossing, Event
from camcount.protocols import Step

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "event_id",
    "type",
    "camera_id",
    "line",
    "direction",
    "zone",
    "origin",
    "destination",
    "label",
    "track_id",
    "time_s",
    "time",
    "dwell_s",
    "travel_s",
    "confidence",
    "x",
    "y",
    "reason",
)
"""The columns of the flat formats, in order; a column that an event does not have is left empty."""


def events_file(path: Path) -> EventsFile:
    """A sink that writes every event to ``path``.

    ``.jsonl`` and ``.csv`` are written line by line, so that a killed process leaves all but the last event
    readable; ``.parquet`` is written in row groups and becomes readable when closed.

    Raises:
        UsageError: the suffix is none of the three, or the file cannot be created.
    """
    formats: dict[str, type[_Format]] = {".jsonl": _JsonLines, ".csv": _Csv, ".parquet": _Parquet}
    if path.suffix not in formats:
        raise UsageError(f"events go to a .jsonl, .csv or .parquet file, not to {path.name!r}")
    return EventsFile(path, formats[path.suffix])


class EventsFile:
    """A `Sink` for one file in one format."""

    def __init__(self, path: Path, kind: type[_Format]) -> None:
        self._path = path
        with writing(path, "events"):
            self._format = kind(path)

    def write(self, step: Step) -> None:
        """Appends the step's events."""
        self.append(step.events)

    def close(self, last: Sequence[Event] = ()) -> None:
        """Appends ``last`` and closes the file."""
        self.append(last)
        with writing(self._path, "events"):
            self._format.close()

    def append(self, events: Sequence[Event]) -> None:
        """Appends events."""
        if events:
            with writing(self._path, "events"):
                self._format.append([event.as_dict() for event in events])


class _Format(Protocol):
    def __init__(self, path: Path) -> None: ...
    def append(self, rows: list[dict[str, Any]]) -> None: ...
    def close(self) -> None: ...


class _Text:
    """Whole lines, unbuffered: what was appended is in the file, also when the next write fails."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def close(self) -> None:
        self._file.close()

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]


class _JsonLines(_Text):
    def append(self, rows: list[dict[str, Any]]) -> None:
        self._write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))


class _Csv(_Text):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._write((",".join(COLUMNS) + "\r\n").encode())

    def append(self, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO(newline="")
        csv.DictWriter(text, COLUMNS, restval="").writerows(_flat(row) for row in rows)
        self._write(text.getvalue().encode())


class _Parquet:
    ROWS = 10_000

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq  # half a second that only Parquet needs

        self._schema = _schema()
        self._writer = pq.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def append(self, rows: list[dict[str, Any]]) -> None:
        self._rows += [_flat(row) for row in rows]
        if len(self._rows) >= self.ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    row = dict(row)
    row["x"], row["y"] = row.pop("point")
    return row


def _schema() -> pa.Schema:
    import pyarrow as pa

    numbers = {"time_s", "dwell_s", "travel_s", "confidence", "x", "y"}
    kinds = {name: pa.float64() if name in numbers else pa.string() for name in COLUMNS}
    return pa.schema(list((kinds | {"track_id": pa.int64()}).items()))


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """A Parquet file of rows with the same columns; aware datetimes become UTC.

    Raises:
        UsageError, DiskFull: it cannot be written.
    """
    with writing(path, "rows"):
        parquet(path, rows)


def parquet(file: Path | IO[bytes], rows: list[dict[str, Any]]) -> None:
    """The same into an open file too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), file)


def read_crossings(path: Path) -> list[Crossing]:
    """The crossings of an events file in any of the three formats, in its order.

    Raises:
        UsageError: the file is not there, or is none that `events_file` wrote.
    """
    try:
        rows = _rows(path)
        return [_crossing(row) for row in rows if row["type"] == Crossing.type]
    except FileNotFoundError:
        raise UsageError(f"no events file {path}: write one with camcount count … --events {path.name}") from None
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise UsageError(f"{path} is no events file of camcount count --events: {error}") from None


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [orjson.loads(row) for row in path.read_bytes().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def _crossing(row: Mapping[str, Any]) -> Crossing:
    point = row["point"] if "point" in row else (row["x"], row["y"])
    if row["direction"] not in ("in", "out"):
        raise ValueError(f"direction {row['direction']!r}")
    return Crossing(
        camera_id=row["camera_id"],
        time_s=float(row["time_s"]),
        time=datetime.fromisoformat(row["time"]) if row["time"] else None,
        track_id=int(row["track_id"]),
        label=row["label"],
        confidence=float(row["confidence"]),
        reason=row["reason"],
        point=(float(point[0]), float(point[1])),
        line=row["line"],
        direction=row["direction"],
    )
