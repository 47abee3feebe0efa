"""``camcount count``: a video in, counts out."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcount.commands import console
from camcount.commands.console import (
    AnchorOption,
    AppearanceOption,
    ClassNamesOption,
    ConfidenceOption,
    DecoderOption,
    DetectionsOption,
    FpsOption,
    InputSizeOption,
    JsonOption,
    LabelMapOption,
    LabelsOption,
    LineOption,
    ModelOption,
    NmsOption,
    ProvidersOption,
    SizeOption,
    SourceArgument,
    ThreadsOption,
    TimeoutOption,
    TrackerOption,
    TransportOption,
    ZoneOption,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from camcount.app import CountingRun


def count(
    context: typer.Context,
    source: SourceArgument = None,
    model: ModelOption = None,
    line: LineOption = None,
    zone: ZoneOption = None,
    labels: LabelsOption = None,
    anchor: AnchorOption = None,
    fps: FpsOption = None,
    annotate: Annotated[Path | None, typer.Option(help="Write the video with everything drawn on it.")] = None,
    events: Annotated[Path | None, typer.Option(help="Write every event: .jsonl, .csv or .parquet.")] = None,
    tracks: Annotated[Path | None, typer.Option(help="Write the tracks (MOTChallenge format).")] = None,
    heatmap: Annotated[Path | None, typer.Option(help="Write a picture of where the objects were.")] = None,
    every: Annotated[str | None, typer.Option(help="Count by intervals too, for example 15m or 1h.")] = None,
    duration: Annotated[str | None, typer.Option(help="Stop after so much video, for example 30s or 1h.")] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="NAME=METRES", help="Real length of a line; speeds are then in km/h.")
    ] = None,
    start_time: Annotated[
        str | None, typer.Option(help="When the video begins, for example 2026-05-04T08:00:00+02:00.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="Name of the camera in the events. [from the source]")] = None,
    decoder: DecoderOption = None,
    class_names: ClassNamesOption = None,
    input_size: InputSizeOption = None,
    confidence: ConfidenceOption = None,
    nms_iou: NmsOption = None,
    label_map: LabelMapOption = None,
    providers: ProvidersOption = None,
    threads: ThreadsOption = None,
    data_plane: Annotated[
        bool | None,
        typer.Option("--data-plane", help="Detect as a server's cameras do: replicas, retries, breakers."),
    ] = None,
    tracker: TrackerOption = None,
    appearance: AppearanceOption = None,
    detections: DetectionsOption = None,
    detections_label: Annotated[str | None, typer.Option(help="What --detections are of. [person]")] = None,
    size: SizeOption = None,
    timeout_s: TimeoutOption = None,
    transport: TransportOption = None,
    config: Annotated[Path | None, typer.Option(help="A camcount.yaml with any of these settings.")] = None,
    json: JsonOption = False,
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
