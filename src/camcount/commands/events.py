"""``camcount events``: the log of events, out to a file or into the archive."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.storage.counts import CountStore, StoredEvent
    from camcount.storage.event_log import EventQuery

app = typer.Typer(no_args_is_help=True, help="The events that cameras have stored.")

_AT_ONCE = 5000
_FORMATS = {"csv": ".csv", "parquet": ".parquet", "jsonl": ".jsonl", "geojson": ".geojson"}


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="The file to write.")],
    since: options.Since = None,
    until: Annotated[str | None, typer.Option(help="Up to this time.")] = None,
    camera: Annotated[str | None, typer.Option(help="Only of this camera.")] = None,
    line: Annotated[str | None, typer.Option(help="Only at this line.")] = None,
    label: Annotated[str | None, typer.Option(help="Only of this label.")] = None,
    format: Annotated[
        str | None, typer.Option(help="csv, parquet, jsonl or geojson. [what the file's name says]")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of --since and --until. [this machine's]")] = None,
    sites: Annotated[Path | None, typer.Option(help="Coordinates of cameras and lines, for geojson.")] = None,
    json: options.Json = False,
) -> None:
    """Write stored events to a file, those in the archive too; geojson has the lines with what they counted.

    camcount events export --since 2026-03-01 --label person --out march.parquet
    """
    from camcount.storage.counts import CountStore
    from camcount.storage.database import open_database
    from camcount.storage.periods import moment, zone_of

    kind, where = _kind(format, out), zone_of(zone)
    wanted: EventQuery = {
        "camera_id": camera,
        "line": line,
        "label": label,
        "since": moment(since, where, "--since"),
        "until": moment(until, where, "--until"),
    }
    database = open_database()
    try:
        events = _pages(CountStore(database), wanted)
        many = _lines(events, wanted, out, sites) if kind == "geojson" else _file(events, out, kind)
    finally:
        database.close()
    if json:
        console.print_json({"out": str(out), "events": many})
    else:
        console.screen().print(f"wrote {many} events to {out}")


@app.command()
def archive(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the Parquet files go.")],
    older_than: Annotated[int, typer.Option(min=1, metavar="DAYS", help="Keep so many days in the database.")] = 90,
    json: options.Json = False,
) -> None:
    """Move old events to Parquet files, one a day, verified before their rows are deleted.

    Reports, totals and exports go on to find them there: leave the folder where it is.

    camcount events archive /var/lib/camcount/archive --older-than 90
    """
    from camcount.storage.archive import archive as move
    from camcount.storage.database import open_database

    database = open_database()
    try:
        made = move(database, folder, timedelta(days=older_than))
    finally:
        database.close()
    if json:
        console.print_json({"folder": str(folder), "files": len(made), "events": sum(one.rows for one in made)})
    else:
        console.screen().print(f"moved {sum(one.rows for one in made)} events to {len(made)} files in {folder}")


def _kind(asked: str | None, out: Path) -> str:
    from camcount.errors import UsageError

    by_suffix = {suffix: kind for kind, suffix in _FORMATS.items()}
    kind = asked or by_suffix.get(out.suffix.lower())
    if kind not in _FORMATS:
        raise UsageError(f"events go to csv, parquet, jsonl or geojson, not to {asked or out.name!r}: give --format")
    return kind


def _pages(store: CountStore, wanted: EventQuery) -> Iterator[list[StoredEvent]]:
    after = 0
    while page := store.events(after=after, limit=_AT_ONCE, **wanted):
        yield page
        after = page[-1].number


def _file(pages: Iterator[list[StoredEvent]], out: Path, kind: str) -> int:
    from camcount.errors import writing
    from camcount.outputs import events_file

    # under another name, so that a file of the name asked for is whole
    part, many = out.with_name(f"{out.name}.part{_FORMATS[kind]}"), 0
    try:
        file = events_file(part)
        for page in pages:
            file.append([one.event for one in page])
            many += len(page)
        file.close()
        with writing(out, "events"):
            part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return many


def _lines(pages: Iterator[list[StoredEvent]], wanted: EventQuery, out: Path, sites: Path | None) -> int:
    from camcount.commands.export_formats import as_geojson, write_text
    from camcount.commands.sites import Sites
    from camcount.events import Crossing
    from camcount.storage.event_log import add_up

    known = Sites(sites, "geojson")
    crossings = [one.event for page in pages for one in page if isinstance(one.event, Crossing)]
    totals = add_up((e.camera_id, e.line, e.label, e.direction, 1) for e in crossings)
    write_text(out, as_geojson(totals, known, wanted["since"], wanted["until"]), "lines")
    return len(crossings)
