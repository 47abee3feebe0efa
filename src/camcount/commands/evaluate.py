"""``camcount evaluate``: how right is it, against truth files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.evaluation.truth import Truth
    from camcount.events import Crossing, Event
    from camcount.protocols import Step
    from camcount.settings import Settings

app = typer.Typer(no_args_is_help=True, help="How right the counts, the tracks and the detections are.")


@app.command()
def counting(
    truth: Annotated[Path, typer.Option(help="YAML with lines and their true crossings.")],
    source: Annotated[str | None, typer.Option(help="The video to count.")] = None,
    detections: options.Detections = None,
    tracks: Annotated[Path | None, typer.Option(help="Given tracks (MOTChallenge format).")] = None,
    model: options.Model = None,
    decoder: options.Decoder = None,
    labels: options.Labels = None,
    label_map: options.LabelMap = None,
    confidence: options.Confidence = None,
    anchor: options.Anchor = None,
    tracker: options.Tracker = None,
    appearance: options.Appearance = None,
    fps: options.Fps = None,
    size: options.Size = None,
    json: options.Json = False,
) -> None:
    """Count and compare with the true crossings: precision, recall, F1 and weighted error.

    camcount evaluate counting --truth gate.yaml --source gate.mp4 --model yolox_nano.onnx
    """
    from camcount.evaluation.counting import evaluate_counting
    from camcount.evaluation.truth import load_truth
    from camcount.settings import load

    known = load_truth(truth)
    given = _one_input(source, detections, tracks, known)
    lines = {line.name: {"points": line.points, "anchor": line.anchor} for line in known.lines}
    flags = given | {
        "model": model,
        "decoder": decoder,
        "labels": labels,
        "label_map": console.pairs(label_map, "--label-map"),
        "confidence": confidence,
        "anchor": anchor or known.anchor,
        "tracker": tracker,
        "appearance": appearance,
        "lines": lines,
    }
    if source is None:
        flags |= {"fps": fps or known.fps, "size": size or known.size}
    else:
        flags |= {"fps": fps}
    crossings = _crossings(load(None, flags), tracks, quiet=json)
    score = evaluate_counting(crossings, known).as_dict()
    if json:
        console.print_json(score)
        return
    from camcount.commands.tables import print_counting_score

    print_counting_score(score)


def _one_input(source: str | None, detections: str | None, tracks: Path | None, truth: Truth) -> dict[str, Any]:
    from camcount.errors import UsageError

    given = [value for value in (source, detections, tracks) if value is not None]
    if len(given) != 1:
        hint = f" (the truth is of {truth.video})" if truth.video else ""
        raise UsageError(f"give one of --source VIDEO, --detections DET.TXT and --tracks TRACKS.TXT{hint}")
    return {"source": source, "detections": detections or tracks}


class _Collected:
    """A sink that keeps the crossings."""

    def __init__(self) -> None:
        self.crossings: list[Crossing] = []

    def write(self, step: Step) -> None:
        self._keep(step.events)

    def close(self, last: Sequence[Event] = ()) -> None:
        self._keep(last)

    def _keep(self, events: Sequence[Event]) -> None:
        from camcount.events import Crossing

        self.crossings += [event for event in events if isinstance(event, Crossing)]


def _crossings(settings: Settings, tracks: Path | None, *, quiet: bool) -> list[Crossing]:
    from camcount.app import CountingRun
    from camcount.commands.count import watch
    from camcount.tracking.motchallenge import GivenTracks

    collected = _Collected()
    tracker = GivenTracks(tracks, settings.fps or 1.0, settings.detections_label) if tracks else None
    with CountingRun(settings, tracker=tracker, sinks=[collected]) as run, console.progress(quiet) as bar:
        watch(run, bar)
    console.warn(run.warnings)
    return collected.crossings


@app.command()
def tracking(
    gt: Annotated[Path, typer.Option("--truth", "--gt", help="True tracks, gt.txt (MOTChallenge format).")],
    tracks: Annotated[Path, typer.Option(help="The tracks to judge (MOTChallenge format).")],
    json: options.Json = False,
) -> None:
    """Compare tracks with true tracks: HOTA, IDF1, MOTA."""
    from camcount.evaluation.tracking import evaluate_tracking

    score = evaluate_tracking(tracks, gt).as_dict()
    if json:
        console.print_json(score)
        return
    from camcount.commands.tables import print_figures

    print_figures("Tracking", score)


@app.command()
def detection(
    images: Annotated[Path, typer.Option(help="A folder of pictures.")],
    truth: Annotated[Path, typer.Option(help="A folder of YOLO .txt labels, or a COCO .json.")],
    model: Annotated[str, typer.Option("--model", "-m", help="An ONNX file.")],
    decoder: options.Decoder = None,
    labels: options.Labels = None,
    label_map: options.LabelMap = None,
    json: options.Json = False,
) -> None:
    """Compare detections with labelled pictures: COCO mean average precision."""
    from camcount.app_open import open_detector
    from camcount.evaluation.detection import evaluate_detection
    from camcount.settings import load

    # average precision integrates over all confidences, so next to nothing is cut off
    settings = load(
        None,
        {
            "source": str(images),
            "model": model,
            "decoder": decoder,
            "labels": labels,
            "label_map": console.pairs(label_map, "--label-map"),
            "confidence": 0.001,
        },
    )
    detector = open_detector(settings, settings.labels)
    score = evaluate_detection(detector, images, truth).as_dict()
    if json:
        console.print_json(score)
        return
    from camcount.commands.tables import print_figures

    print_figures("Detection", score)
