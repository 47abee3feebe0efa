"""How far each delivery has come in the log of events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData, Table, Text, select, update
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
    Column("owner", Text),
    Column("beats", BigInteger),
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


@dataclass(frozen=True, slots=True)
class Held:
    """Who delivers, and how often it has said so; ``owner`` is empty where nobody does."""

    owner: str = ""
    beats: int = 0


class Positions:
    """The positions of all deliveries, and whose turn each is; safe from many threads and beside other servers.

    All methods raise `DatabaseUnavailable` where the database does not answer, those that write also `DiskFull`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, name: str) -> Position | None:
        """Where a delivery stands; ``None`` before its first start."""
        with self._database.reading() as connection:
            row = connection.execute(select(TABLE).where(TABLE.c.name == name)).one_or_none()
        return Position(number=row.number, state=row.state, gone=row.gone) if row else None

    def begin(self, name: str, number: int) -> None:
        """Notes where a delivery begins, unless that is known."""
        kind: Any = postgresql if self._database.dialect == "postgresql" else sqlite
        insert = kind.insert(TABLE).values(name=name, owner="", beats=0, **_values(Position(number=number)))
        with self._database.writing() as connection:
            connection.execute(insert.on_conflict_do_nothing(index_elements=["name"]))

    def write(self, name: str, position: Position, owner: str) -> bool:
        """Replaces what was known of a delivery; False, and nothing, where it is not this owner's turn any more."""
        change = update(TABLE).where(TABLE.c.name == name, TABLE.c.owner == owner).values(**_values(position))
        with self._database.writing() as connection:
            return connection.execute(change).rowcount == 1

    def held(self, name: str) -> Held:
        """Whose turn it is."""
        with self._database.reading() as connection:
            row = connection.execute(select(TABLE.c.owner, TABLE.c.beats).where(TABLE.c.name == name)).one_or_none()
        return Held(row.owner, row.beats) if row else Held()

    def hold(self, name: str, owner: str, seen: Held) -> bool:
        """Makes it this owner's turn if nothing has changed since ``seen``; a holder says so that it is still there.

        Giving the empty owner ends the turn.
        """
        same = TABLE.c.name == name, TABLE.c.owner == seen.owner, TABLE.c.beats == seen.beats
        change = update(TABLE).where(*same).values(owner=owner, beats=seen.beats + 1)
        with self._database.writing() as connection:
            return connection.execute(change).rowcount == 1


def _values(position: Position) -> dict[str, Any]:
    values = {"number": position.number, "state": position.state, "gone": position.gone}
    return values | {"updated": datetime.now(UTC)}
