"""``camcount count``: a video in, counts out."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from rich.progress import Progress

    from camcount.app import CountingRun


def count(
    context: typer.Context,
    source: options.Source = None,
    model: options.Model = None,
    line: options.Line = None,
    zone: options.Zone = None,
    labels: options.Labels = None,
    anchor: options.Anchor = None,
    fps: options.Fps = None,
    annotate: options.Annotate = None,
    events: Annotated[Path | None, typer.Option(help="Write every event: .jsonl, .csv or .parquet.")] = None,
    tracks: Annotated[Path | None, typer.Option(help="Write the tracks (MOTChallenge format).")] = None,
    heatmap: Annotated[Path | None, typer.Option(help="Write a picture of where the objects were.")] = None,
    every: options.Every = None,
    duration: Annotated[str | None, typer.Option(help="Stop after so much video, for example 30s or 1h.")] = None,
    scale: options.Scale = None,
    start_time: Annotated[
        str | None, typer.Option(help="When the video begins, for example 2026-05-04T08:00:00+02:00.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="Name of the camera in the events. [from the source]")] = None,
    decoder: options.Decoder = None,
    class_names: options.ClassNames = None,
    input_size: options.InputSize = None,
    confidence: options.Confidence = None,
    nms_iou: options.NmsIou = None,
    label_map: options.LabelMap = None,
    providers: options.Providers = None,
    device: options.Device = None,
    threads: options.Threads = None,
    data_plane: Annotated[
        bool | None,
        typer.Option("--data-plane", help="Detect as a server's cameras do: replicas, retries, breakers."),
    ] = None,
    tracker: options.Tracker = None,
    appearance: options.Appearance = None,
    detections: options.Detections = None,
    detections_label: Annotated[str | None, typer.Option(help="What --detections are of. [person]")] = None,
    size: options.Size = None,
    timeout_s: options.Timeout = None,
    transport: options.Transport = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Count what crosses lines and visits zones.

    camcount count street.mp4 --model yolox_nano.onnx --line "gate=0.1,0.5,0.9,0.5" --labels person,car
    """
    from camcount.app import CountingRun, Outputs

    settings = console.asked(context)
    outputs = Outputs(annotate=annotate, events=events, tracks=tracks, heatmap=heatmap)
    with CountingRun(settings, outputs) as run:
        report(run, as_json=json)


def report(run: CountingRun, *, as_json: bool) -> None:
    """Counts with a progress bar, then prints the result: a table, or one JSON object."""
    begun = time.perf_counter()
    with console.progress(as_json) as bar:
        watch(run, bar)
    took = time.perf_counter() - begun
    result = run.result()
    console.warn(run.warnings)
    if as_json:
        console.print_json(result)
        return
    from camcount.commands.tables import print_result

    print_result(result, took, run.written)


def watch(run: CountingRun, bar: Progress) -> None:
    """Runs to the end, or until interrupted, with running counts on the bar."""
    task = bar.add_task(run.info.uri, total=run.length_s, state="")
    begun = shown = time.perf_counter()
    with closing(run.steps()) as steps:
        try:
            for step in steps:
                now = time.perf_counter()
                if now - shown > 0.2:
                    shown = now
                    state = f"{run.frames / (now - begun):.0f} frames/s  {run.headline()}"
                    bar.update(task, completed=step.frame.time_s, state=state)
        except KeyboardInterrupt:
            run.warnings.append("interrupted: these are the counts up to here")
