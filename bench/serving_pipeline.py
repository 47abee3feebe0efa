"""What the data plane costs a camera: `camcount count --data-plane` beside `camcount count`, frames per second.

Both count the same video with the same model in as many threads, one after the other, again and again, each round in
the other order; the ratio is the median over the rounds of each round's own. Loading is not timed. Ends with 1 if the
two do not count the same, not for a ratio that was missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.serving import DATA
from rich.console import Console
from rich.table import Table

from camcount.app import CountingRun
from camcount.settings import Settings

THREADS = 2
LEAST = 0.97


@dataclass(frozen=True)
class Pace:
    """Of one run: frames per second by the clock, processor time per frame, and what was counted."""

    fps: float
    cpu_ms: float
    counted: Any


def count(video: Path, model: Path, most: int, *, data_plane: bool) -> Pace:
    """One run over the first frames of a video."""
    line = {"points": [[0.0, 0.5], [1.0, 0.5]]}
    given: dict[str, Any] = {"source": str(video), "model": str(model), "lines": {"middle": line}}
    settings = Settings(**given, labels=("person", "vehicle"), threads=THREADS, data_plane=data_plane)
    with CountingRun(settings) as run:
        steps = run.steps()
        next(steps)  # the first frame finds everything loaded, and allocates what is kept
        begun, busy, frames = time.perf_counter(), time.process_time(), 0
        for _ in steps:
            frames += 1
            if frames == most:
                break
        took, busy = time.perf_counter() - begun, time.process_time() - busy
        steps.close()
        return Pace(frames / took, 1000 * busy / frames, run.result()["lines"])


def main() -> None:
    """Prints one row for each video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DATA / "weights" / "yolox_nano_416x416.onnx")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round of 60 frames: shows only that it works")
    parser.add_argument("videos", nargs="*", type=Path)
    given = parser.parse_args()
    rounds, frames = (1, 60) if given.quick else (given.rounds, given.frames)
    table = Table(title=f"frames per second, {THREADS} threads, {rounds} rounds, medians")
    for heading in ("video", "bare", "data plane", "ratio", "by CPU time", ""):
        table.add_column(heading, justify="left" if heading in ("video", "") else "right")
    differ = False
    for video in given.videos or [DATA / "videos" / "people-walking.mp4", DATA / "videos" / "people.mp4"]:
        pairs = [measured(video, given.model, frames, first=number % 2 == 1) for number in range(rounds)]
        table.add_row(video.name, *row(pairs))
        differ |= any(bare.counted != served.counted for bare, served in pairs)
    console = Console(width=110)
    console.print(table)
    console.print(f"ratio: frames per second through the data plane over those without it, at least {LEAST}")
    if differ:
        console.print("[bold red]the two did not count the same[/]")
    sys.exit(1 if differ else 0)


def measured(video: Path, model: Path, frames: int, *, first: bool) -> tuple[Pace, Pace]:
    """Bare, and through the data plane; ``first`` has the data plane run first."""
    served = count(video, model, frames, data_plane=True) if first else None
    bare = count(video, model, frames, data_plane=False)
    return bare, served or count(video, model, frames, data_plane=True)


def row(pairs: list[tuple[Pace, Pace]]) -> list[str]:
    """Medians of the rounds, and whether the ratio is what it should be."""
    ratio = statistics.median(served.fps / bare.fps for bare, served in pairs)
    by_cpu = statistics.median(bare.cpu_ms / served.cpu_ms for bare, served in pairs)
    bare, served = (statistics.median(pair[k].fps for pair in pairs) for k in (0, 1))
    verdict = "met" if ratio >= LEAST else "[bold red]MISSED[/]"
    return [f"{bare:.1f}", f"{served:.1f}", f"{ratio:.3f}", f"{by_cpu:.3f}", verdict]


if __name__ == "__main__":
    main()
