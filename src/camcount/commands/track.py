"""``camcount track``: detections or a video in, tracks out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from camcount.commands import console, options


def track(
    context: typer.Context,
    source: options.Source = None,
    out: Annotated[Path, typer.Option(help="Where to write the tracks (MOTChallenge format).")] = Path("tracks.txt"),
    detections: options.Detections = None,
    fps: options.Fps = None,
    size: options.Size = None,
    model: options.Model = None,
    decoder: options.Decoder = None,
    labels: options.Labels = None,
    confidence: options.Confidence = None,
    tracker: options.Tracker = None,
    appearance: options.Appearance = None,
    json: options.Json = False,
) -> None:
    """Follow objects from frame to frame and write their tracks.

    camcount track --detections det.txt --fps 25 --size 640x480 --out tracks.txt
    """
    from camcount.app import CountingRun, Outputs
    from camcount.commands.count import watch

    with (
        CountingRun(console.asked(context), Outputs(tracks=out), propose=False) as run,
        console.progress(json) as bar,
    ):
        watch(run, bar)
    console.warn(run.warnings)
    summary: dict[str, Any] = {"source": run.info.uri, "frames": run.frames, "tracks": run.tracks, "out": str(out)}
    if run.looked is not None:
        summary["appearance"] = run.looked
    if json:
        console.print_json(summary)
    else:
        from camcount.commands.tables import print_figures

        print_figures("Tracks", summary)
