"""Cameras that were made, changed or deleted over the interface: a restart finds them as they were left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, MetaData, Table, Text, delete, insert, select

from camcount.storage.database import Database, UtcDateTime

CAMERAS = Table(
    "cameras",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("definition", JSON(none_as_null=True)),
    Column("changed", UtcDateTime, nullable=False),
)


class CameraTable:
    """Definitions by name; ``None`` stands for a camera that was deleted.

    Every method raises `DatabaseUnavailable` where the database does not answer.

    Args:
        database: open; whoever opened it closes it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, dict[str, Any] | None]:
        """What was said of each camera last."""
        with self._database.reading() as connection:
            rows = connection.execute(select(CAMERAS.c.name, CAMERAS.c.definition)).all()
        return {row.name: row.definition for row in rows}

    def put(self, name: str, definition: Mapping[str, Any] | None) -> None:
        """Remembers a definition in place of the last one."""
        row = {
            "name": name,
            "definition": None if definition is None else dict(definition),
            "changed": datetime.now(UTC),
        }
        with self._database.writing() as connection:
            connection.execute(delete(CAMERAS).where(CAMERAS.c.name == name))
            connection.execute(insert(CAMERAS), [row])
