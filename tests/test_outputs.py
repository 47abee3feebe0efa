"""Event files in their three formats."""

from __future__ import annotations

import csv
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from camcount.detections import Detections, Tracks
from camcount.errors import DiskFull, UsageError
from camcount.events import Event, ZoneLeft
from camcount.frame import Frame
from camcount.outputs import COLUMNS, events_file
from camcount.protocols import Step
from tests.test_values import crossing


def step(*events: Event) -> Step:
    """A step in which these events came out."""
    return Step(Frame(index=0, time_s=0.0, width=1, height=1), Detections.empty(), Tracks.empty(), events)


def left() -> ZoneLeft:
    """Somebody left the hall."""
    return ZoneLeft(
        camera_id="door",
        time_s=5.0,
        track_id=3,
        label="person",
        confidence=0.5,
        reason="left, seen outside",
        point=(1.0, 2.0),
        zone="hall",
        dwell_s=2.5,
    )


def read(path: Path) -> list[dict[str, object]]:
    """The rows of any of the formats."""
    if path.suffix == ".jsonl":
        return [orjson.loads(row) for row in path.read_bytes().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    rows: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_what_is_written_is_read_back_in_order(tmp_path: Path, suffix: str) -> None:
    """Events of a step, of another, and those found at the end."""
    path = tmp_path / f"events{suffix}"
    sink = events_file(path)
    sink.write(step(crossing()))
    sink.write(step())
    sink.write(step(left()))
    sink.close([crossing(direction="out")])
    rows = read(path)
    assert [row["type"] for row in rows] == ["crossing", "zone_left", "crossing"]
    assert rows[0]["event_id"] == crossing().event_id
    assert float(rows[1]["dwell_s"]) == 2.5  # type: ignore[arg-type]
    assert rows[2]["direction"] == "out"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_flat_formats_have_the_same_columns_whatever_happened(tmp_path: Path, suffix: str) -> None:
    """Also when nothing happened at all."""
    path = tmp_path / f"none{suffix}"
    events_file(path).close()
    names = pq.read_schema(path).names if suffix == ".parquet" else path.read_text().strip().split(",")
    assert tuple(names) == COLUMNS


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_lines_are_on_disk_before_the_run_ends(tmp_path: Path, suffix: str) -> None:
    """A killed process loses no event that it wrote."""
    path = tmp_path / f"events{suffix}"
    sink = events_file(path)
    sink.write(step(crossing()))
    assert len(read(path)) == 1
    sink.close()


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path) -> None:
    """The message says what would be right."""
    with pytest.raises(UsageError, match=r"\.jsonl, \.csv or \.parquet"):
        events_file(tmp_path / "events.xls")


def test_a_folder_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    """Before an hour of video is counted, not after."""
    with pytest.raises(UsageError, match="cannot write"):
        events_file(tmp_path / "nowhere" / "events.csv")


def test_a_full_disk_is_told_as_such() -> None:
    """/dev/full answers every write with 'no space left'."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    from camcount.outputs import EventsFile, _JsonLines

    sink = EventsFile(full, _JsonLines)
    with pytest.raises(DiskFull, match="disk is full"):
        sink.write(step(crossing()))
    sink.close()
