"""What commands share: where text goes, progress, tables, and the flags that several of them take."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from camcount.settings import Settings

SourceArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="A video file, rtsp:// or http:// address, usb:0, a folder of pictures, or demo:street.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="A model file or package, a registered model (NAME, NAME:1.2.0, NAME@champion), a server's address, or "
        "'motion': whatever moves, no weights. [motion]",
    ),
]
DecoderOption = Annotated[str | None, typer.Option(help="How to read the model's outputs; see 'camcount models'.")]
ClassNamesOption = Annotated[
    str | None, typer.Option(help="The model's class names in order, comma separated, or a file with one a line.")
]
InputSizeOption = Annotated[str | None, typer.Option(metavar="WxH", help="The model's input size, if it is free.")]
ConfidenceOption = Annotated[
    str | None, typer.Option(help="Least confidence, for all labels or by label: 0.3 or person=0.4,car=0.3.")
]
NmsOption = Annotated[float | None, typer.Option("--nms-iou", help="Overlap above which boxes are one object.")]
LabelMapOption = Annotated[
    list[str] | None, typer.Option("--label-map", metavar="FROM=TO", help="Count one label as another. Repeatable.")
]
LabelsOption = Annotated[
    str | None, typer.Option(help="Only these labels, comma separated; 'vehicle' is car, truck, bus, …")
]
ProvidersOption = Annotated[str | None, typer.Option(help="ONNX Runtime execution providers, comma separated.")]
ThreadsOption = Annotated[int | None, typer.Option(help="Frames detected at the same time. [one per core]")]
LineOption = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        "-l",
        metavar="NAME=X1,Y1,X2,Y2",
        help="A counting line, 0..1 of the picture or pixels; 'in' is to the right of someone walking from the "
        "first point to the second; ':reverse' at the end flips it. Repeatable.",
    ),
]
ZoneOption = Annotated[
    list[str] | None,
    typer.Option("--zone", "-z", metavar="NAME=X1,Y1,X2,Y2,X3,Y3…", help="A polygon to watch. Repeatable."),
]
AnchorOption = Annotated[str | None, typer.Option(help="The point of the box that counts: foot or centre. [foot]")]
TrackerOption = Annotated[str | None, typer.Option(help="Which tracker. [camcount]")]
AppearanceOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL.ONNX", help="A re-identification model, asked who is who where motion leaves it open."
    ),
]
DetectionsOption = Annotated[
    str | None, typer.Option(metavar="DET.TXT", help="Given boxes (MOTChallenge format) in place of a video.")
]
SizeOption = Annotated[str | None, typer.Option(metavar="WxH", help="Picture size that --detections belong to.")]
FpsOption = Annotated[
    float | None, typer.Option(help="At most so many frames a second; with --detections, the file's rate.")
]
TimeoutOption = Annotated[float | None, typer.Option("--timeout", help="Seconds to wait for a camera. [10]")]
TransportOption = Annotated[str | None, typer.Option(help="RTSP over tcp or udp. [tcp]")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


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
