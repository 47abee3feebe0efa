"""Old events to Parquet files, one a day, and back: each in the database or in a verified file, never in neither."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, delete, func, insert, select

from camcount.errors import DatabaseUnavailable, DiskFull, words_of, writing
from camcount.models.files import sha256
from camcount.storage.count_tables import ARCHIVED, ARCHIVES, EVENTS
from camcount.storage.database import Database
from camcount.storage.event_log import Wanted, read

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
_AT_ONCE = 10_000
_NUMBERS = ("number", "track_id")
_FLOATS = ("time_s", "dwell_s", "travel_s", "confidence", "x", "y")
_MOMENTS = ("stored", "at", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFile:
    """One file of the archive.

    Attributes:
        first, last: the numbers of its first and last event; there is none between them that is not in it.
        rows: how many events.
        since, until: when the first and the last of them happened; aware, UTC.
        file: its name, or where it is.
        sha256: of its bytes.
    """

    first: int
    last: int
    rows: int
    since: datetime
    until: datetime
    file: str
    sha256: str


def archive(
    database: Database,
    folder: Path,
    keep: timedelta,
    *,
    now: datetime | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> list[ArchiveFile]:
    """Moves the events that were stored on days before the last ``keep`` to files in ``folder``.

    A file has a day (UTC) of events. It is written beside its place, read back and compared, put into its place and
    into ``manifest.json``; then the rows are deleted, in one transaction with the note of where they are. Killed in
    between, the next call writes that file again, and readers find each event once. When ``stopping`` says so, it
    ends after the day it is at.

    Raises:
        DatabaseUnavailable, DiskFull, UsageError: days before that one are archived; the others are as they were.
    """
    moment = (now or datetime.now(UTC)) - keep
    before = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with writing(folder, "archive"):
        folder.mkdir(parents=True, exist_ok=True)
    done = []
    with _alone(folder):
        while not stopping() and (span := _oldest(database, before)) is not None:
            made = _write(database, folder.absolute(), *span)
            _note(folder, made)
            _forget(database, made)
            done.append(made)
    return done


def verify(folder: Path) -> list[str]:
    """What is wrong with the files that the manifest names, a line each."""
    found = []
    for name, entry in _manifest(folder).items():
        path = folder / name
        if not path.exists():
            found.append(f"{path} is not there")
        elif sha256(path) != entry["sha256"]:
            found.append(f"{path} was changed: its bytes are not those that were archived")
    return found


def archived(connection: Connection, wanted: Wanted, limit: int | None) -> Iterator[Mapping[str, Any]]:
    """At most ``limit`` rows of the archive that are asked for, in order of number; all of them for None.

    Raises:
        DatabaseUnavailable: a file is not there, or is not what it was.
    """
    query = select(ARCHIVES).where(ARCHIVES.c.last > wanted.after).order_by(ARCHIVES.c.first)
    if wanted.since is not None:
        query = query.where(ARCHIVES.c.until >= wanted.since)
    if wanted.until is not None:
        query = query.where(ARCHIVES.c.since < wanted.until)
    files = connection.execute(query).mappings().all()
    found = (row for entry in files for row in _rows(Path(entry["file"])) if wanted.holds(row))
    return islice(found, limit)


def _oldest(database: Database, before: datetime) -> tuple[int, int, datetime] | None:
    """First and last number and the day of the oldest events, if they are from days before that one."""
    number, stored = EVENTS.c.number, EVENTS.c.stored
    with database.reading() as connection:
        first = connection.execute(select(number, stored).order_by(number).limit(1)).one_or_none()
        if first is None or first.stored >= before:
            return None
        day = first.stored.replace(hour=0, minute=0, second=0, microsecond=0)
        # numbers without a hole, whatever a clock that was set back has written beside them
        later = connection.execute(select(func.min(number)).where(stored >= day + timedelta(days=1))).scalar()
        last = later - 1 if later else connection.execute(select(func.max(number))).scalar_one()
        return first.number, last, day


def _write(database: Database, folder: Path, first: int, last: int, day: datetime) -> ArchiveFile:
    import pyarrow.parquet as pq  # half a second that only an archive needs

    path = folder / f"events-{day:%Y-%m-%d}-{first}.parquet"
    part = path.with_suffix(".part")
    rows, moments = 0, []
    with writing(path, "archive"):
        with pq.ParquetWriter(part, _schema(), compression="zstd") as writer:
            for table in _tables(database, first, last):
                writer.write_table(table)
                rows += table.num_rows
                moments += [min(table["at"].to_pylist()), max(table["at"].to_pylist())]
        with part.open("rb") as file:
            os.fsync(file.fileno())
        numbers = pq.read_table(part)["number"].to_pylist()
        if len(numbers) != rows or (numbers[0], numbers[-1]) != (first, last):
            raise DiskFull(f"{part} does not hold the {rows} events that were written: is the disk well?")
        made = ArchiveFile(
            first=first,
            last=last,
            rows=rows,
            since=min(moments),
            until=max(moments),
            file=str(path),
            sha256=sha256(part),
        )
        part.replace(path)
        _sync(folder)
    return made


def _tables(database: Database, first: int, last: int) -> Iterator[pa.Table]:
    import pyarrow as pa

    after = first - 1
    while after < last:
        with database.reading() as connection:
            rows = [row for row in read(connection, Wanted(after=after), _AT_ONCE) if row["number"] <= last]
        if not rows:
            return
        yield pa.Table.from_pylist(rows, schema=_schema())
        after = rows[-1]["number"]


def _note(folder: Path, made: ArchiveFile) -> None:
    path = folder / MANIFEST
    files = _manifest(folder) | {Path(made.file).name: asdict(made) | {"file": Path(made.file).name}}
    part = path.with_suffix(".part")
    with writing(path, "archive's manifest"):
        with part.open("wb") as file:
            file.write(orjson.dumps({"files": list(files.values())}, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(folder)


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    return {entry["file"]: entry for entry in orjson.loads(path.read_bytes())["files"]}


def _forget(database: Database, made: ArchiveFile) -> None:
    there = EVENTS.c.number.between(made.first, made.last)
    with database.alone("counts", durable=True) as connection:
        if connection.execute(select(func.count()).where(there)).scalar() != made.rows:
            raise DatabaseUnavailable(f"the events in {made.file} are not those in the database: nothing was deleted")
        connection.execute(insert(ARCHIVES), asdict(made))
        connection.execute(insert(ARCHIVED).from_select(["event_id"], select(EVENTS.c.event_id).where(there)))
        connection.execute(delete(EVENTS).where(there))


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_AT_ONCE):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DatabaseUnavailable(
            f"archived events cannot be read, {path}: {words_of(error)}; put the file back"
        ) from None


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = dict.fromkeys(_NUMBERS, pa.int64()) | dict.fromkeys(_FLOATS, pa.float64())
    kinds |= dict.fromkeys(_MOMENTS, pa.timestamp("us", tz="UTC"))
    return pa.schema([(column.name, kinds.get(column.name, pa.string())) for column in EVENTS.columns])


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time writes to the folder."""
    import fcntl  # not on Windows, where only the archive is not to be had

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    """A rename outlives a power cut only once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
