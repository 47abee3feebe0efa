"""The SQL database: SQLite in a file, or PostgreSQL by its address, always with the newest tables."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Dialect, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.types import DateTime, TypeDecorator

from camcount.errors import CamcountError, DatabaseUnavailable, DiskFull, UsageError, words_of
from camcount.models.home import home

URL_VARIABLE = "CAMCOUNT_DATABASE_URL"
BUSY_S = 5
"""How long to wait for another's lock on the database, and for a server to answer a connection."""

_POSTGRES_DISK_FULL = "53100"
_PATIENCE = {"connect_timeout": BUSY_S, "tcp_user_timeout": 2 * BUSY_S * 1000}
_JSON: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: an aware datetime goes in, one in UTC comes out, whatever the database knows of zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite is given it without the zone, so that text order is order in time."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One database; safe from many threads, each connection from one.

    Every method raises `DatabaseUnavailable` where the database does not answer, and `DiskFull` where it has no
    space left: then nothing of that transaction was written. Rows that break a rule of their table raise
    SQLAlchemy's ``IntegrityError``.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises:
        UsageError: it is no such address, or the extra for PostgreSQL is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = _readable(url)
        self._engine = _engine(self.url)

    @property
    def name(self) -> str:
        """The address as messages may show it."""
        return self.url.set(drivername=self.dialect).render_as_string(hide_password=True)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads and holds up nobody."""
        with self._transaction(writing=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is written whole, or, after an exception, not at all."""
        with self._transaction(writing=True) as connection:
            yield connection

    @contextmanager
    def alone(self, task: str, *, durable: bool = False) -> Iterator[Connection]:
        """A writing transaction that only one process at a time is in for the same ``task``; others wait.

        What was committed outlives the process in any case; with ``durable`` it outlives a power cut too.
        """
        with self._transaction(writing=True, durable=durable) as connection:
            if self.dialect == "postgresql":  # of SQLite there is only one writer at a time anyway
                key = zlib.crc32(f"camcount {task}".encode())
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
            yield connection

    def close(self) -> None:
        """Closes all connections that nobody uses."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, *, writing: bool, durable: bool = False) -> Iterator[Connection]:
        options = {"writing": writing, "durable": durable}
        try:
            with self._engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except (IntegrityError, DataError):  # the fault of what was written, which is for the writer to see
            raise
        except SQLAlchemyError as error:
            raise self._said(error) from error

    def _said(self, error: SQLAlchemyError) -> CamcountError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) == _POSTGRES_DISK_FULL or "disk is full" in str(cause):
            return DiskFull(f"the disk of the database {self.name} is full: free some space, nothing was written")
        return DatabaseUnavailable(f"the database {self.name} cannot be used: {words_of(cause or error)}")


def database_url() -> str:
    """``CAMCOUNT_DATABASE_URL``, or a SQLite file in `camcount.models.home.home`."""
    return os.environ.get(URL_VARIABLE) or f"sqlite:///{home() / 'camcount.db'}"


def open_database(url: str | None = None) -> Database:
    """The database of that address, else of `database_url`, made or brought up to date first.

    Raises:
        UsageError: it is no address of a database.
        DatabaseUnavailable: it does not answer, is no database, or a newer camcount has changed it.
        DiskFull: there is no space for its tables.
    """
    from camcount.storage.upgrade import upgrade

    database = Database(url or database_url())
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def _readable(given: str) -> URL:
    wanted = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        url = make_url(given)
        kind = url.get_backend_name()
    except ArgumentError:
        raise UsageError(f"the database address cannot be read: write {wanted}") from None
    if kind == "postgres":
        url, kind = url.set(drivername="postgresql"), "postgresql"
    if kind not in ("sqlite", "postgresql"):
        raise UsageError(f"databases of kind {kind!r} are not supported: write {wanted}")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise UsageError("a SQLite database needs a file: write sqlite:///FILE")
    return url.set(drivername="postgresql+psycopg") if kind == "postgresql" else url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        try:
            return create_engine(url, pool_pre_ping=True, connect_args=_PATIENCE, **_JSON)
        except ImportError:
            raise UsageError('PostgreSQL needs the psycopg library: pip install "camcount[postgres]"') from None
    folder = Path(url.database or "").absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"the folder {folder} for the database cannot be made: {error.strerror}") from None
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, **_JSON)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    """Readers beside a writer, and transactions that begin where we say, tables' changes included."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    """A writer asks for the lock at once: one that asks halfway would be refused without any waiting."""
    options = connection.get_execution_options()
    # whole after a power cut either way; NORMAL does not wait for the disk and may lose the last transactions
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable') else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writing") else "BEGIN")
