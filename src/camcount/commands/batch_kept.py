"""``camcount batch list|pause|continue|cancel|remove|watch``: runs and schedules, as the database has them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.storage.database import Database

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]


def listed(json: options.Json = False) -> None:
    """List what runs or ran, and what is scheduled."""
    from dataclasses import asdict

    from camcount.storage.batch_runs import Runs
    from camcount.storage.batch_schedules import Schedules

    with _database() as database:
        runs, schedules = Runs(database).all(), Schedules(database).all()
    if json:
        console.print_json({"runs": [run.as_dict() for run in runs], "schedules": [asdict(s) for s in schedules]})
        return
    from camcount.commands.tables import print_batches

    print_batches([run.as_dict() for run in runs], [asdict(entry) for entry in schedules])


def pause(run: RunArgument) -> None:
    """Let a run wait, until it is continued; the file it is at is kept open."""
    from camcount.storage.batch_runs import Runs

    with _database() as database:
        typer.echo(f"run {Runs(database).pause(run).run_id} pauses")


def go_on(run: RunArgument) -> None:
    """Let a paused run go on."""
    from camcount.storage.batch_runs import Runs

    with _database() as database:
        typer.echo(f"run {Runs(database).go_on(run).run_id} goes on")


def cancel(run: RunArgument) -> None:
    """End a run; what is done stays done."""
    from camcount.storage.batch_runs import Runs

    with _database() as database:
        typer.echo(f"run {Runs(database).cancel(run).run_id} ends")


def remove(name: Annotated[str, typer.Argument(help="Of the schedule.")]) -> None:
    """Take a schedule out; its results stay."""
    from camcount.storage.batch_schedules import Schedules

    with _database() as database:
        Schedules(database).remove(name)
    typer.echo(f"schedule {name} is removed")


def watch() -> None:
    """Run what is scheduled when it is due, until stopped."""
    from camcount.batch.schedule import Schedule

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _database() as database:
        schedule = Schedule(database)
        schedule.start()
        typer.echo(f"camcount watches the schedules in {database.name}")
        stop.wait()
        schedule.close()


def add(cron: str, name: str | None, zone: str, arguments: list[str]) -> None:
    """Enters a schedule and says when it comes first.

    Raises:
        UsageError: the expression, the zone or the name cannot be.
    """
    from camcount.batch.schedule import scheduled
    from camcount.storage.batch_schedules import Schedules

    entry = scheduled(name or _named_after(arguments), cron, zone, Path.cwd(), arguments)
    with _database() as database:
        Schedules(database).add(entry)
    typer.echo(f"schedule {entry.name}: first at {entry.next_run.astimezone():%Y-%m-%d %H:%M %Z}")


COMMANDS: dict[str, Callable[..., None]] = {
    "list": listed,
    "pause": pause,
    "continue": go_on,
    "cancel": cancel,
    "remove": remove,
    "watch": watch,
}


def _named_after(arguments: list[str]) -> str:
    out = next((a.partition("=")[2] for a in arguments if a.startswith("--out=")), "")
    return Path(out or arguments[arguments.index("--out") + 1]).name


@contextmanager
def _database() -> Iterator[Database]:
    from camcount.storage.database import open_database

    database = open_database()
    try:
        yield database
    finally:
        database.close()
