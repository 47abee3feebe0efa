"""A prepared model beside the plain one in one run: pictures per second of one thread, and whether the boxes agree.

The model is packaged, prepared for the labels that cameras count and for the shapes of the videos, and then both go
over the same frames in turns. Two speeds: the whole detector (picture in, boxes out), and the engine alone on a
constant input. Speed is per second of processor time, ratios are medians over rounds of each round's own; agreement
is as `camcount.models.agreement` has it. The last row is over all frames that the videos have: those of an input size
count as often as its videos have frames.
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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from camcount.detection.buckets import best_size
from camcount.detections import Detections
from camcount.engines.onnx import OnnxEngine
from camcount.frame import Frame
from camcount.models.agreement import Agreement, agreement, answers
from camcount.models.describe import Description, describe
from camcount.models.manifest import Size
from camcount.models.package import Package
from camcount.models.packaged import detector_of
from camcount.models.prepare import Wishes, plain_detector, prepare
from camcount.models.samples import samples
from camcount.protocols import Detector
from camcount.video.encoded import in_one_thread
from camcount.video.open import source_for

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
    in_one_thread()
    videos = given.videos or sorted((DATA / "videos").glob("*.mp4")) + sorted((DATA / "videos/tfl").glob("*.mp4"))
    by_video = {video: samples([str(video)], given.frames) for video in videos}
    folder = Path(tempfile.mkdtemp(prefix="camcount-bench-"))
    try:
        # prepared on every other picture (fitted to every fourth), judged on all of them
        package = packaged(given.model, [f for frames in by_video.values() for f in frames[::2]], folder / "p", 3)
        report(given.model, package, grouped(package, by_video), given.rounds)
    finally:
        shutil.rmtree(folder)


@dataclass(slots=True)
class Group:
    """The sample pictures that go through one input size, and how many frames their videos have."""

    frames: list[Frame] = field(default_factory=list)
    videos: int = 0
    of: int = 0


def grouped(package: Package, by_video: dict[Path, list[Frame]]) -> dict[Size, Group]:
    """The pictures by the input size that the prepared model uses for them."""
    groups: dict[Size, Group] = defaultdict(Group)
    for video, frames in by_video.items():
        size = best_size(list(package.manifest.sizes), package.manifest.input.fit, frames[0].width, frames[0].height)
        group = groups[size]
        group.frames += frames
        group.videos += 1
        group.of += frames_of(video)
    return groups


def frames_of(video: Path) -> int:
    """How many frames a video says that it has."""
    source = source_for(str(video))
    try:
        return source.open().frames or 0
    finally:
        source.close()


def seconds_each(detector: Detector, frames: Sequence[Frame]) -> float:
    """Processor time for one picture."""
    begun = time.process_time()
    answers(detector, frames)
    return (time.process_time() - begun) / len(frames)


def speeds(
    plain: Detector, prepared: Detector, groups: Sequence[Group], rounds: int
) -> list[list[tuple[float, float]]]:
    """For each round and group: seconds for one picture, plain and prepared, in turns."""
    taken: list[list[tuple[float, float]]] = []
    for _ in range(rounds + 1):
        taken.append([])
        for group in groups:
            spread = group.frames[:: max(1, len(group.frames) // 48)]
            taken[-1].append((seconds_each(plain, spread), seconds_each(prepared, spread)))
    return taken[1:]


def report(model: Path, package: Package, groups: dict[Size, Group], rounds: int) -> None:
    """One row for each input size, one for everything."""
    plain = plain_detector(package)
    prepared = detector_of(package)
    columns = ("input", "videos", "pictures", "boxes", "recall", "precision", "pictures/s", "detector", "engine")
    table = Table(*columns, title=model.name)
    all_plain: list[Detections] = []
    all_prepared: list[Detections] = []
    taken = speeds(plain, prepared, list(groups.values()), rounds)
    for number, (size, group) in enumerate(groups.items()):
        before, after = answers(plain, group.frames), answers(prepared, group.frames)
        all_plain, all_prepared = all_plain + before, all_prepared + after
        artifact = package.root / package.manifest.sizes[size]
        engine = engine_ratio(model, artifact, (package.manifest.input.size, size), rounds)
        found = agreement(before, after, prepared.labels)
        own = [timed[number] for timed in taken]
        table.add_row(f"{size[0]}x{size[1]}", str(group.videos), *figures(found, own), f"{engine:.2f}x")
    weights = np.array([group.of for group in groups.values()]) / sum(group.of for group in groups.values())
    pooled = [tuple(weights @ np.array(timed)) for timed in taken]
    found = agreement(all_plain, all_prepared, prepared.labels)
    table.add_row("all", str(sum(group.videos for group in groups.values())), *figures(found, pooled))
    Console(width=130).print(table)


def figures(found: Agreement, taken: Sequence[tuple[float, ...]]) -> list[str]:
    """What a row says of agreement and speed."""
    rates = [1 / statistics.median(times) for times in zip(*taken, strict=True)]
    return [
        str(found.frames),
        str(found.plain_sure),
        f"{found.recall:.4f}",
        f"{found.precision:.4f}",
        f"{rates[0]:.1f} to {rates[1]:.1f}",
        f"{statistics.median(before / after for before, after in taken):.2f}x",
    ]


if __name__ == "__main__":
    main()
