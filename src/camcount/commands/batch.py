"""``camcount batch``: many videos and pictures in, a folder of results out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from camcount.commands import batch_kept, batch_run, console, options

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SOURCES…]", help="Folders, globs, files, or @list.txt with one of these a line."),
]


class _RunByDefault(TyperGroup):
    """``camcount batch videos/ …`` is ``camcount batch run videos/ …``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts in what was left out."""
        if args and args[0] != "--help" and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    help="Count many videos, or find what is in many pictures: now, or again and again.",
)


@app.command("run")
def run(
    context: typer.Context,
    sources: SourcesArgument = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder of the results; what is done there stays done.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Items at once. [one per core]")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Do all of it again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be done.")] = False,
    model: options.Model = None,
    line: options.Line = None,
    zone: options.Zone = None,
    labels: options.Labels = None,
    anchor: options.Anchor = None,
    fps: options.Fps = None,
    every: options.Every = None,
    duration: Annotated[str | None, typer.Option(help="Only so much of each video, for example 30s or 1h.")] = None,
    scale: options.Scale = None,
    decoder: options.Decoder = None,
    class_names: options.ClassNames = None,
    input_size: options.InputSize = None,
    confidence: options.Confidence = None,
    nms_iou: options.NmsIou = None,
    label_map: options.LabelMap = None,
    providers: options.Providers = None,
    device: options.Device = None,
    threads: options.Threads = None,
    tracker: options.Tracker = None,
    appearance: options.Appearance = None,
    config: Annotated[Path | None, typer.Option(help="A camcount.yaml with any settings of a count.")] = None,
    json: options.Json = False,
) -> None:
    """Count videos and look at pictures, several at once; 'run' may be left out.

    camcount batch videos/ --out results --model yolox_nano.onnx --line "gate=0.1,0.5,0.9,0.5"

    Cut off or stopped, the same command goes on where it was: what is done in --out is not done again, unless its
    file has changed. What failed is tried again.
    """
    from camcount.batch.items import items_of
    from camcount.errors import UsageError

    if not sources:
        raise UsageError("nothing to do: name folders, globs or files of videos and pictures")
    items = items_of(sources)
    settings = console.asked(context, source=items[0].source)
    if dry_run:
        batch_run.print_items(items, settings, out, as_json=json)
        return
    if out is None:
        raise UsageError("--out FOLDER is missing: the results need a place")
    batch_run.work(items, settings, out, workers=workers, anew=anew, as_json=json)


for _name, _command in batch_kept.COMMANDS.items():
    app.command(_name)(_command)


@app.command("schedule", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def schedule(
    context: typer.Context,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="When: '*/15 * * * *', '0 3 * * mon-fri', @daily.")],
    name: Annotated[str | None, typer.Option(help="What to call it. [from --out]")] = None,
    time_zone: Annotated[str, typer.Option(help="Whose clock, for example Europe/Berlin. [this machine's]")] = "",
) -> None:
    """Run a batch again and again; after CRON follows what 'camcount batch' would be given.

    camcount batch schedule "0 3 * * *" incoming/ --out results --model yolox_nano.onnx

    Files that came since the last time are counted. 'camcount batch watch' has to be running.
    """
    batch_kept.add(cron, name, time_zone, _checked(context.args))


def _checked(arguments: list[str]) -> list[str]:
    """The arguments of a run, if they are some: better to fail now than every night.

    Raises:
        UsageError: what is missing.
    """
    from camcount.errors import UsageError

    command: Any = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined] # it is a group
    try:
        given = command.make_context("run", list(arguments)).params
    except Exception as error:
        if not hasattr(error, "format_message"):  # an error of the command line's own
            raise
        raise UsageError(f"camcount batch {' '.join(arguments)}: {error.format_message()}") from None
    if given["out"] is None or not given["sources"]:
        raise UsageError("a schedule needs SOURCES and --out FOLDER after the cron expression")
    return list(arguments)
