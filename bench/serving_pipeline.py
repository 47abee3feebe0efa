"""What the data plane costs a camera: `camcount count --data-plane` beside `camcount count`, frames per second.

Both count the same video with the same model in as many threads, each in a process of its own, in turns of 0.6 s: a
shared machine may be another one in the next minute. The ratio is the median over the rounds. Loading is not timed.
Ends with 1 if the two do not count the same, not for a ratio that was missed.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import signal
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from bench.serving import DATA
from bench.serving_floor import until_started
from bench.serving_servers import cpu_s
from bench.serving_turns import Runner, tell
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


def count(video: Path, model: Path, most: int, data_plane: bool, done: Any, ended: Any, told: Connection) -> None:
    """One run over the first frames of a video: how many are done is told all the time, what was counted last."""
    line = {"points": [[0.0, 0.5], [1.0, 0.5]]}
    given: dict[str, Any] = {"source": str(video), "model": str(model), "lines": {"middle": line}}
    settings = Settings(**given, labels=("person", "vehicle"), threads=THREADS, data_plane=data_plane)
    with CountingRun(settings) as run:
        steps = run.steps()
        next(steps)  # the first frame finds everything loaded, and allocates what is kept
        done[0] = 1
        for _ in steps:
            done[0] += 1
            if done[0] == most:
                break
        ended[0] = 1
        steps.close()
        told.send(run.result()["lines"])


@dataclass(frozen=True)
class Counting:
    """A process that counts, and its turns; ``done`` is its frames so far, ``ended`` not 0 when these were all."""

    process: SpawnProcess
    done: ctypes.Array[ctypes.c_longlong]
    ended: ctypes.Array[ctypes.c_longlong]
    told: Connection
    runner: Runner
    before: int
    """Frames that were done before its first turn."""

    def pace(self) -> Pace:
        """Of all its turns, and what it counted."""
        frames = self.done[0] - self.before
        tell(self.runner.pids, signal.SIGCONT)
        if not self.told.poll(60):
            raise SystemExit("a process ended without telling what it counted")
        return Pace(frames / self.runner.seconds, 1000 * self.runner.busy / frames, self.told.recv())


@contextmanager
def counting(video: Path, model: Path, most: int, *, data_plane: bool) -> Iterator[Counting]:
    """A process that has loaded everything and stands."""
    context = multiprocessing.get_context("spawn")
    (done, ended), (here, there) = (context.RawArray("q", 1) for _ in range(2)), context.Pipe(duplex=False)
    process = context.Process(target=count, args=(video, model, most, data_plane, done, ended, there), daemon=True)
    process.start()
    try:
        until_started([process], done, f"counting {video}")
        pids = [process.pid or 0]
        tell(pids, signal.SIGSTOP)
        yield Counting(process, done, ended, here, Runner(pids, partial(cpu_s, pids[0])), done[0])
    finally:
        process.kill()
        process.join()


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
    """Bare, and through the data plane; ``first`` lets the data plane begin."""
    with (
        counting(video, model, frames, data_plane=False) as bare,
        counting(video, model, frames, data_plane=True) as served,
    ):
        both = [served, bare] if first else [bare, served]
        while unfinished := [one for one in both if not one.ended[0]]:
            for one in unfinished:
                one.runner.turn(partial(_ended, one))
        return bare.pace(), served.pace()


def _ended(one: Counting) -> bool:
    if not one.ended[0] and not one.process.is_alive():
        raise SystemExit("a process that counts has ended early")
    return bool(one.ended[0])


def row(pairs: list[tuple[Pace, Pace]]) -> list[str]:
    """Medians of the rounds, and whether the ratio is what it should be."""
    ratio = statistics.median(served.fps / bare.fps for bare, served in pairs)
    by_cpu = statistics.median(bare.cpu_ms / served.cpu_ms for bare, served in pairs)
    bare, served = (statistics.median(pair[k].fps for pair in pairs) for k in (0, 1))
    verdict = "met" if ratio >= LEAST else "[bold red]MISSED[/]"
    return [f"{bare:.1f}", f"{served:.1f}", f"{ratio:.3f}", f"{by_cpu:.3f}", verdict]


if __name__ == "__main__":
    main()
