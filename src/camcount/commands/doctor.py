"""``camcount doctor``: what a counting line will lose, why, and a better one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options

Found = list[tuple["Diagnosis", "Diagnosis | None"]]

if TYPE_CHECKING:
    from camcount.app import CountingRun
    from camcount.counting.doctor import Diagnosis, Ledger, Recording
    from camcount.events import Event
    from camcount.frame import Image
    from camcount.geometry import Anchor
    from camcount.protocols import Step
    from camcount.settings import Settings

_MOST_PATHS = 150
"""More than so many paths hide the picture."""


def doctor(
    context: typer.Context,
    source: options.Source = None,
    line: options.Line = None,
    model: options.Model = None,
    labels: options.Labels = None,
    anchor: options.Anchor = None,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long to watch.")] = 90.0,
    out: Annotated[Path | None, typer.Option(help="Draw paths and lines into this .png or .jpg.")] = None,
    fps: options.Fps = None,
    detections: options.Detections = None,
    size: options.Size = None,
    confidence: options.Confidence = None,
    decoder: options.Decoder = None,
    input_size: options.InputSize = None,
    label_map: options.LabelMap = None,
    threads: options.Threads = None,
    tracker: options.Tracker = None,
    appearance: options.Appearance = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Say what a line will lose and why, and propose a better one, from a minute or two of video.

    camcount doctor street.mp4 --model yolox_nano.onnx --line "gate=0.1,0.95,0.9,0.95" --out doctor.png
    """
    from camcount.counting.doctor import Ledger, Recording
    from camcount.counting.doctor_proposal import better_line
    from camcount.errors import UsageError

    settings = console.asked(context, duration=f"{seconds:g}s")
    if not settings.lines:
        raise UsageError('give the line to look at: --line "gate=0.1,0.5,0.9,0.5"')
    watcher = _Watcher(settings.anchor, picture=out is not None)
    run = _watch(settings, watcher, quiet=json)
    ledger = Ledger(watcher.recording or Recording(run.info.width, run.info.height, settings.anchor))
    found = [(diagnosis, better_line(ledger, diagnosis)) for diagnosis in ledger.diagnose(run.lines)]
    if out is not None:
        _draw(ledger, watcher.picture, found, out)
    report = _report(run, ledger, found, out)
    if json:
        console.print_json(report)
        return
    from camcount.commands.doctor_words import print_diagnoses

    print_diagnoses(report)
    console.warn(run.warnings)


class _Watcher:
    """A sink that keeps the tracks, and the picture of the moment that shows most of them."""

    def __init__(self, anchor: Anchor, *, picture: bool) -> None:
        self.recording: Recording | None = None
        self.picture: Image | None = None
        self._anchor: Anchor = anchor
        self._wanted = picture
        self._most = -1

    def write(self, step: Step) -> None:
        from camcount.counting.doctor import Recording

        frame = step.frame
        if self.recording is None:
            self.recording = Recording(frame.width, frame.height, self._anchor)
        self.recording.add(step.tracks, frame.time_s)
        shown = int(step.tracks.confirmed.sum())
        if self._wanted and shown > self._most and frame.render is not None:
            self._most = shown
            self.picture = frame.image()

    def close(self, last: Sequence[Event] = ()) -> None:
        """Nothing is written."""


def _watch(settings: Settings, watcher: _Watcher, *, quiet: bool) -> CountingRun:
    from camcount.app import CountingRun
    from camcount.commands.count import watch

    with CountingRun(settings, sinks=[watcher], propose=False) as run, console.progress(quiet) as bar:
        watch(run, bar)
    return run


def _report(run: CountingRun, ledger: Ledger, found: Found, out: Path | None) -> dict[str, Any]:
    recording = ledger.recording
    return {
        "source": run.info.uri,
        "watched_s": round(recording.end_s - recording.begin_s, 2),
        "frames": len(recording.frames),
        "tracks": len(ledger.confirmed),
        "lines": {d.line.name: d.as_dict() | {"proposal": _proposal(better)} for d, better in found},
        "picture": None if out is None else str(out),
        "warnings": run.warnings,
    }


def _proposal(better: Diagnosis | None) -> dict[str, Any] | None:
    from camcount.app import line_text

    return None if better is None else {"line": line_text(better.line)} | better.as_dict()


def _draw(ledger: Ledger, picture: Image | None, found: Found, out: Path) -> None:
    from camcount.video.doctor_picture import Judged, doctor_picture
    from camcount.video.writer import save_picture

    size = ledger.recording.width, ledger.recording.height
    drawn: list[Judged] = []
    for diagnosis, better in found:
        name = diagnosis.line.name
        lost = "nobody passes" if diagnosis.loss is None else f"expect to miss {100 * diagnosis.loss:.0f} %"
        drawn.append(Judged(diagnosis.line.at(*size), f"{name}: {lost}", diagnosis.grade))
        if better is not None:
            text = f"better: {100 * (better.loss or 0.0):.0f} %"
            drawn.append(Judged(better.line.at(*size), text, "good", proposed=True))
    longest = sorted(ledger.confirmed, key=lambda path: -len(path.time))[:_MOST_PATHS]
    save_picture(out, doctor_picture(picture, size, [path.point for path in longest], drawn))
