"""A prepared model beside the plain one in one run: pictures per second of one thread, and whether the boxes agree.

The model is packaged, prepared for the labels that cameras count and for the shapes of the videos, and then both go
over the same frames in turns. Two speeds: the whole detector (picture in, boxes out), and the engine alone on a
constant input. Speed is per second of processor time, ratios are medians over rounds of each round's own; agreement
is as `camcount.models.agreement` has it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from camcount.detection.buckets import best_size
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.frame import Frame
from camcount.models.agreement import agreement, answers, times_as_fast
from camcount.models.describe import Description, describe
from camcount.models.manifest import Size
from camcount.models.package import Package
from camcount.models.packaged import detector_of
from camcount.models.prepare import Wishes, plain_detector, prepare
from camcount.models.samples import samples

DATA = Path(os.environ.get("CAMCOUNT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


def packaged(model: Path, frames: Sequence[Frame], folder: Path, rounds: int) -> Package:
    """The model as a package, prepared for the labels and for the frames' shapes."""
    package = describe(model, folder, Description(name="bench"))
    labels = tuple(label for label in package.manifest.labels.values() if label in LABELS)
    return prepare(package, frames, Wishes(labels=labels, rounds=rounds), print)


def engine_ratio(plain: Path, prepared: Path, sizes: tuple[Size, Size], rounds: int) -> float:
    """Runs per second of the prepared file over those of the plain one."""
    engines = [OnnxEngine(path) for path in (plain, prepared)]
    feeds = [
        {next(iter(engine.inputs)): np.full((1, 3, height, width), 114, np.float32)}
        for engine, (width, height) in zip(engines, sizes, strict=True)
    ]
    ratios = []
    for _ in range(rounds + 1):
        seconds = []
        for engine, feed in zip(engines, feeds, strict=True):
            begun = time.process_time()
            for _ in range(20):
                engine.run(feed)
            seconds.append(time.process_time() - begun)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios[1:])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DATA / "weights" / "yolox_nano_416x416.onnx")
    parser.add_argument("--frames", type=int, default=24, help="pictures of each video")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("videos", nargs="*", type=Path)
    given = parser.parse_args()
    videos = given.videos or sorted((DATA / "videos").glob("*.mp4")) + sorted((DATA / "videos/tfl").glob("*.mp4"))
    by_video = {video: samples([str(video)], given.frames) for video in videos}
    groups: dict[Size, list[Frame]] = defaultdict(list)
    folder = Path(tempfile.mkdtemp(prefix="camcount-bench-"))
    try:
        # prepared on every fourth picture, judged on all of them
        package = packaged(given.model, [f for frames in by_video.values() for f in frames[::4]], folder / "p", 3)
        sizes = list(package.manifest.sizes)
        for frames in by_video.values():
            for frame in frames:
                groups[best_size(sizes, package.manifest.input.fit, frame.width, frame.height)].append(frame)
        report(given.model, package, groups, given.rounds)
    finally:
        shutil.rmtree(folder)


def report(model: Path, package: Package, groups: dict[Size, list[Frame]], rounds: int) -> None:
    """One row for each input size, one for everything."""
    plain = plain_detector(package)
    prepared = detector_of(package)
    table = Table("input", "pictures", "boxes", "recall", "precision", "detector", "engine", title=model.name)
    all_plain: list[Detections] = []
    all_prepared: list[Detections] = []
    for size, frames in groups.items():
        before, after = answers(plain, frames), answers(prepared, frames)
        all_plain, all_prepared = all_plain + before, all_prepared + after
        found = agreement(before, after, prepared.labels)
        spread = frames[:: max(1, len(frames) // 48)]
        engine = engine_ratio(
            model, package.root / package.manifest.sizes[size], (package.manifest.input.size, size), rounds
        )
        table.add_row(
            f"{size[0]}x{size[1]}",
            str(len(frames)),
            str(found.plain_sure),
            f"{found.recall:.4f}",
            f"{found.precision:.4f}",
            f"{times_as_fast(plain, prepared, spread, rounds):.2f}x",
            f"{engine:.2f}x",
        )
    found = agreement(all_plain, all_prepared, prepared.labels)
    table.add_row("all", str(found.frames), str(found.plain_sure), f"{found.recall:.4f}", f"{found.precision:.4f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
