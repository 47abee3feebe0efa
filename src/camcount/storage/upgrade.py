"""Brings a database's tables up to date; safe when several processes start at once."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text

from camcount.errors import DatabaseUnavailable
from camcount.storage.database import Database

VERSION_TABLE = "camcount_schema"
"""Not Alembic's usual name: MLflow may keep its tables, and that one, in the same database."""

_one_at_a_time = threading.Lock()  # Alembic keeps what it is doing in module variables


def upgrade(database: Database) -> None:
    """Runs the migrations that this database has not seen, all or none of them.

    Raises:
        DatabaseUnavailable: it does not answer, or its tables are of a newer camcount.
    """
    script = ScriptDirectory(str(Path(__file__).with_name("migrations")))
    with database.reading() as connection:
        if _revision(connection) == script.get_current_head():
            return
    try:
        with _one_at_a_time, database.alone("migrations") as connection:
            _run(script, connection)
    except CommandError as error:
        raise DatabaseUnavailable(
            f"the tables in the database {database.name} are of a newer camcount than this one: upgrade camcount "
            f"({error})"
        ) from None


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _run(script: ScriptDirectory, connection: Connection) -> None:
    def steps(revision: object, context: object) -> list[object]:
        return list(script._upgrade_revs("head", revision))  # type: ignore[arg-type] # as alembic.command does

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE)
        environment.run_migrations()
