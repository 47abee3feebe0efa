"""``camcount report``: what stored cameras counted in a period, with its gaps and how sure it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from camcount.commands import options

if TYPE_CHECKING:
    from camcount.storage.counts import CountStore, StoredInterval
    from camcount.storage.interval_log import Step
    from camcount.storage.occupancy import Occupancy

_FORMATS = ("table", "csv", "json", "parquet", "french")


def report(
    period: Annotated[
        str | None, typer.Option(help="today, yesterday, 7d, 24h, 2026-03 or 2026-03-01. [today]")
    ] = None,
    since: options.Since = None,
    until: Annotated[str | None, typer.Option(help="Up to this time. [now]")] = None,
    every: Annotated[str | None, typer.Option(help="1m, 15m, 1h or 1d. [what suits the period]")] = None,
    camera: Annotated[str | None, typer.Option(help="Only this camera.")] = None,
    line: Annotated[str | None, typer.Option(help="Only this line.")] = None,
    label: Annotated[str | None, typer.Option(help="Only this label; without low and high.")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of days and hours. [this machine's]")] = None,
    format: Annotated[str, typer.Option(help="table, csv, json, parquet or french.")] = "table",
    out: Annotated[Path | None, typer.Option(help="The file to write; for french, a folder. [the screen]")] = None,
    chart: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it too.")] = None,
    sites: Annotated[Path | None, typer.Option(help="Coordinates of cameras, for french.")] = None,
    reset: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="Also say who is inside: in less out since this time of day.")
    ] = None,
) -> None:
    """Report what was counted, by line and span of time. What nobody saw is a gap, not zero.

    camcount report --period 7d --every 1d --chart week.png
    """
    from camcount.errors import UsageError
    from camcount.storage.counts import CountStore
    from camcount.storage.database import open_database
    from camcount.storage.periods import span, zone_of

    if format not in _FORMATS:
        raise UsageError(f"there is no format {format!r}: choose from {', '.join(_FORMATS)}")
    if format in ("parquet", "french") and out is None:
        raise UsageError(f"{format} goes to a {'folder' if format == 'french' else 'file'}: give --out")
    where, now = zone_of(zone), datetime.now(UTC)
    begin, end = span(period, since, until, now, where)
    database = open_database()
    try:
        store = CountStore(database)
        step = _step(every, begin, end, format)
        found = store.intervals(camera_id=camera, line=line, since=begin, until=end, step=step, zone=where)
        inside = _inside(store, reset, where, camera, line, now)
    finally:
        database.close()
    if not found:
        raise UsageError(f"nothing was counted{_what(camera, line)} in the database {database.name}")
    if label is not None:
        found = [one.of(label) for one in found]
    if chart is not None:
        _draw(chart, found, step)
    _write(found, format, out, sites, inside)


def _step(every: str | None, begin: datetime, end: datetime, format: str) -> Step:
    from camcount.errors import UsageError
    from camcount.storage.interval_log import STEPS

    if every is None:
        hours = (end - begin).total_seconds() / 3600
        return "15m" if format == "french" else "1m" if hours <= 1 else "1h" if hours <= 49 else "1d"
    for step in STEPS:
        if step == every:
            return step
    raise UsageError(f"--every {every!r} cannot be had: choose from {', '.join(STEPS)}")


def _inside(
    store: CountStore, reset: str | None, zone: tzinfo, camera: str | None, line: str | None, now: datetime
) -> Occupancy | None:
    from camcount.errors import UsageError
    from camcount.storage.occupancy import OccupancyRule

    if reset is None:
        return None
    try:
        rule = OccupancyRule(reset=time.fromisoformat(reset), zone=zone)
    except ValueError:
        raise UsageError(f"--reset {reset!r} is no time of day: write it as 04:00") from None
    cameras, lines = ([name] if name else None for name in (camera, line))
    return store.occupancy(rule, camera_ids=cameras, lines=lines, now=now)


def _what(camera: str | None, line: str | None) -> str:
    return (f" by camera {camera!r}" if camera else "") + (f" at line {line!r}" if line else "")


def _write(
    found: Sequence[StoredInterval], format: str, out: Path | None, sites: Path | None, inside: Occupancy | None
) -> None:
    from camcount.commands import export_formats as formats

    if format == "french":
        _french(found, out or Path(), sites)
    elif format == "parquet":
        from camcount.outputs import write_rows
        from camcount.storage.exports import flat

        write_rows(out or Path(), flat(found))
    elif format == "table" and out is None:
        from camcount.commands.tables import print_report

        print_report(found, inside)
    else:
        text = _text(found, format, inside)
        if out is None:
            sys.stdout.write(text)
        else:
            formats.write_text(out, text, "report")


def _text(found: Sequence[StoredInterval], format: str, inside: Occupancy | None) -> str:
    from camcount.storage.exports import COLUMNS, as_csv

    if format != "json":
        return as_csv(COLUMNS, [one.as_dict() for one in found])
    content: dict[str, Any] = {"intervals": [one.as_dict() for one in found]}
    if inside is not None:
        content["occupancy"] = inside
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE).decode()


def _french(found: Sequence[StoredInterval], folder: Path, sites: Path | None) -> None:
    from camcount.commands.export_formats import french_files, write_text
    from camcount.commands.sites import Sites
    from camcount.errors import writing

    files = french_files(found, Sites(sites, "the French format"))
    with writing(folder, "report"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_text(folder / name, text, "report")


def _draw(path: Path, found: Sequence[StoredInterval], step: Step) -> None:
    from camcount.video.chart import Bar, Panel, write_chart

    label = "%a %d %b" if step == "1d" else "%H:%M"
    panels: dict[tuple[str, str], list[Bar]] = {}
    for one in found:
        counts = None if one.counts is None else (one.counts["in"], one.counts["out"])
        midnight = f"{one.start:%H:%M}" == "00:00"
        bar = Bar(
            f"{one.start:{'%d %b' if midnight and step != '1d' else label}}", counts, one.low, one.high, one.coverage
        )
        panels.setdefault((one.camera_id, one.line), []).append(bar)
    days = f"{found[0].start:%Y-%m-%d}", f"{found[-1].start:%Y-%m-%d}"
    when = days[0] if days[0] == days[1] else f"{days[0]} to {days[1]}"
    write_chart(path, [Panel(f"{camera} · {line} · {when}", bars) for (camera, line), bars in panels.items()])
