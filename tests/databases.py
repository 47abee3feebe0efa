"""Real databases for the tests: SQLite files, and a PostgreSQL server of their own."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.ports import free_port

_numbers = count(1)


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL server in a folder of its own, which its user `owner` may read."""

    programs: Path
    folder: Path
    port: int
    owner: str | None

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of a new, empty one."""
        name = f"camcount_{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off -c shared_buffers=16MB"
        self._run("pg_ctl", "start", "-w", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", options)

    def stop(self) -> None:
        """Ends it at once, as a power cut would."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", f"{self.folder}/data")

    def create(self) -> None:
        """Makes its files."""
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.programs / program, *arguments],
            user=self.owner,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )


def _programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def _owner() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def new_server() -> PostgresServer:
    """A running server; whoever starts it stops it. Skips where PostgreSQL is not installed."""
    if (programs := _programs()) is None:
        pytest.skip("no PostgreSQL server: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="camcount-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = PostgresServer(programs, folder, free_port(), _owner())
    if server.owner:
        shutil.chown(folder, server.owner)
    server.create()
    server.start()
    return server


@cache
def postgres() -> PostgresServer:
    """The server that tests share; it ends with them."""
    server = new_server()
    atexit.register(server.stop)
    return server


def sqlite_url(folder: Path) -> str:
    """The address of a file that is not there yet."""
    return f"sqlite:///{folder / f'{next(_numbers)}.db'}"


def new_url(kind: str, folder: Path) -> str:
    """The address of an empty database of a kind."""
    makers: dict[str, Callable[[], str]] = {
        "sqlite": lambda: sqlite_url(folder),
        "postgresql": lambda: postgres().new_database(),
    }
    return makers[kind]()
