"""What commands share: their settings, where text goes, progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from camcount.settings import Settings


def asked(context: typer.Context, **more: Any) -> Settings:
    """The settings of a command: its configuration file, under its flags that are settings, under ``more``.

    Raises:
        UsageError: a setting is wrong; which, and what would be right.
    """
    from camcount.settings import Settings, load, shapes

    flags = {name: value for name, value in context.params.items() if name in Settings.model_fields}
    flags["label_map"] = pairs(context.params.get("label_map"), "--label-map")
    drawn = shapes(context.params.get("line"), context.params.get("zone"))
    return load(context.params.get("config"), flags | drawn | more)


def screen() -> Console:
    """The console for people: standard error, so that standard output stays clean for results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Mapping[str, Any]) -> None:
    """Writes exactly one JSON object to standard output."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode())


def warn(messages: list[str]) -> None:
    """Says on standard error what did not stop the run."""
    for message in messages:
        sys.stderr.write(f"camcount: warning: {message}\n")


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """A progress bar on standard error; silent where nobody watches."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = screen()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bar:
        yield bar


def pairs(values: list[str] | None, flag: str) -> dict[str, str] | None:
    """``["a=b", "c=d,e=f"]`` as a mapping.

    Raises:
        UsageError: a part has no ``=``.
    """
    from camcount.errors import UsageError

    if not values:
        return None
    parts = [part for value in values for part in value.split(",")]
    for part in parts:
        if "=" not in part.strip("="):
            raise UsageError(f"{flag} {part!r} is not FROM=TO, for example {flag} 'cell phone=car'")
    return dict(part.split("=", 1) for part in parts)
