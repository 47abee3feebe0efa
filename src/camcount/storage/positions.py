"""How far each delivery has come in the log of events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData, Table, Text, select
from sqlalchemy.dialects import postgresql, sqlite

from camcount.storage.database import Database, UtcDateTime

TABLE = Table(
    "deliveries",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("number", BigInteger),
    Column("state", JSON(none_as_null=True)),
    Column("gone", Text),
    Column("updated", UtcDateTime),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a delivery stands.

    Attributes:
        number: the last event that is known to have arrived.
        state: what the delivery has made of the events up to there, if it keeps anything.
        gone: the receiver, by a fingerprint, that has said that it wants no more; empty if none has.
    """

    number: int
    state: dict[str, Any] | None = None
    gone: str = ""


class Positions:
    """The positions of all deliveries; safe from many threads.

    Both methods raise `DatabaseUnavailable` where the database does not answer, ``write`` also `DiskFull`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, name: str) -> Position | None:
        """Where a delivery stands; ``None`` before its first event."""
        with self._database.reading() as connection:
            row = connection.execute(select(TABLE).where(TABLE.c.name == name)).one_or_none()
        return Position(number=row.number, state=row.state, gone=row.gone) if row else None

    def write(self, name: str, position: Position) -> None:
        """Replaces what was known of a delivery."""
        values: dict[str, Any] = {"number": position.number, "state": position.state, "gone": position.gone}
        values["updated"] = datetime.now(UTC)
        kind: Any = postgresql if self._database.dialect == "postgresql" else sqlite
        insert = kind.insert(TABLE).values(name=name, **values)
        with self._database.writing() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
