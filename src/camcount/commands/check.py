"""``camcount check``: what a source is, whether frames arrive, and how the lines lie on its picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.frame import Frame
    from camcount.protocols import Source
    from camcount.settings import Settings


def check(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A video file, camera address, folder or demo:street.")
    ],
    line: options.Line = None,
    zone: options.Zone = None,
    out: Annotated[Path, typer.Option(help="Where to draw the picture with the lines.")] = Path("check.png"),
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to watch.")] = 3.0,
    timeout_s: options.Timeout = None,
    transport: options.Transport = None,
    config: Annotated[Path | None, typer.Option(help="A camcount.yaml with lines and zones.")] = None,
    json: options.Json = False,
) -> None:
    """Say what SOURCE is, whether frames arrive and at what rate, and draw its picture with lines and zones."""
    from camcount.app_open import open_source

    settings = console.asked(context)
    ahead, info = open_source(settings)
    try:
        frame, arrived = watch(ahead, seconds)
        if frame is None:
            from camcount.errors import SourceError

            raise SourceError(
                f"{info.uri} opens but gives no frame: the file holds no pictures, or the camera is silent"
            )
        draw(frame, settings, out)
    finally:
        ahead.close()
    report: dict[str, Any] = {
        "source": info.uri,
        "live": info.live,
        "width": info.width,
        "height": info.height,
        "codec": info.codec,
        "fps": info.fps,
        "duration_s": info.duration_s,
        "rotation": info.rotation,
        **arrived,
        "picture": str(out),
        "warnings": ahead.warnings,
    }
    if json:
        console.print_json(report)
        return
    from camcount.commands.tables import print_figures

    print_figures("Source", {k: "unknown" if v is None else v for k, v in report.items() if k != "warnings"})
    console.warn(ahead.warnings)


def watch(source: Source, seconds: float) -> tuple[Frame | None, dict[str, Any]]:
    """Reads for so many seconds of video: the last frame, and how frames arrived."""
    begun = time.monotonic()
    first = last = source.read()
    frames = 1 if first is not None else 0
    gaps = [0.0]
    while last is not None and first is not None and last.time_s - first.time_s < seconds:
        following = source.read()
        if following is None:
            break
        gaps.append(following.time_s - last.time_s)
        last, frames = following, frames + 1
    span = last.time_s - first.time_s if first is not None and last is not None else 0.0
    return last, {
        "frames_seen": frames,
        "measured_fps": round((frames - 1) / span, 2) if span > 0 else None,
        "longest_gap_s": round(max(gaps), 3),
        "watched_s": round(time.monotonic() - begun, 2),
    }


def draw(frame: Frame, settings: Settings, out: Path) -> None:
    """The frame with lines and zones on it, as a PNG."""
    from camcount.app_open import check_shapes
    from camcount.detections import Detections, Tracks
    from camcount.protocols import Step
    from camcount.video.overlay import Overlay
    from camcount.video.writer import save_picture

    lines, zones = settings.drawn_lines(), settings.drawn_zones()
    check_shapes(lines, zones, frame.width, frame.height)
    overlay = Overlay(lines, zones, frame.width, frame.height, anchor=settings.anchor)
    save_picture(out, overlay.draw(Step(frame, Detections.empty(), Tracks.empty(), ())))
