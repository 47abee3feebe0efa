"""A camera for hours in minutes: frames as fast as they can be counted, and all that a long life brings.

The camera plays the first minute of a real video as a live stream whose clock runs with its frames, and ends: every
minute of camera time it is connected anew. Every ten seconds of camera time its lines are redrawn, every hundred the
model is loaded anew while it is asked; counts and checkpoints go to SQLite. Camera time is the number of
frames that the model was asked about over the video's rate: frames let go do not add to it.

Prints how resident memory grows after warm-up (the first quarter; least squares over the rest, with its standard
error from the means of ten parts of it), per hour of camera time and, as a camera has one hour an hour elsewhere, per
hour of this machine and per connection; threads and open files; and what each pass counted. Moments in which the old
copy of a model is still there beside the new one are left out, unless they are the rule. Exits with 1 where memory
grows by more than 1 MB per hour of camera time, or where a thread, a file or a task is left behind. Less than half an
hour of camera time after warm-up is too short to tell whether anything grows.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from camcount.cameras.backoff import Backoff
from camcount.cameras.cameras import Cameras
from camcount.cameras.reading import Clocks
from camcount.cameras.settings import CameraSettings
from camcount.errors import SourceError
from camcount.frame import Frame
from camcount.geometry import Line
from camcount.models.loading import LoadingSettings
from camcount.protocols import SourceInfo
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel
from camcount.storage.counts import CountStore
from camcount.storage.database import open_database
from camcount.video.open import source_for

DATA = Path(__file__).parents[2] / "shared" / "data"
VIDEO = DATA / "videos" / "one-by-one-person-detection.mp4"
MODEL = DATA / "weights" / "light_person_detector.onnx"
EXIT = Line("exit", ((0.72, 0.3), (0.72, 1.0)))
PASS_S, TURN_S = 60.0, 10.0
WARM, PARTS = 0.25, 10
WARM_UP_S, PATIENCE_S = 15.0, 60.0
MOST_MB, LEAST_HOURS = 1.0, 0.5


class Simulated:
    """The clock of the camera's world, and how much of its time was counted: frames asked about at their rate."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.elapsed_s = 0.0
        self.frames, self.fps = 0, 1.0

    @property
    def hours(self) -> float:
        """Camera time."""
        return self.frames / self.fps / 3600

    def now(self) -> datetime:
        """This moment there."""
        return self.began + timedelta(seconds=self.elapsed_s)


class Fast:
    """A live camera that gives a minute of a video as fast as it is taken, and breaks off."""

    def __init__(self, clock: Simulated, taken: threading.Semaphore) -> None:
        self._inner = source_for(str(VIDEO))
        self.warnings = self._inner.warnings
        self._clock, self._taken = clock, taken
        self._last_s = 0.0

    def open(self) -> SourceInfo:
        """Opens the file."""
        info = self._inner.open()
        self._clock.fps = info.fps or 1.0
        return replace(info, live=True)

    def read(self) -> Frame | None:
        """The next frame, when the one eight before it has been asked about."""
        self._taken.acquire(timeout=0.05)
        frame = self._inner.read()
        if frame is None or frame.time_s >= PASS_S:
            return None
        self._clock.elapsed_s += frame.time_s - self._last_s
        self._last_s = frame.time_s
        return frame

    def close(self) -> None:
        """Closes the file."""
        self._inner.close()


class Told:
    """The data plane's detector, which tells the source when it is asked."""

    def __init__(self, inner: Any, clock: Simulated, taken: threading.Semaphore) -> None:
        self.labels, self.concurrency = inner.labels, inner.concurrency
        self._inner, self._clock, self._taken = inner, clock, taken

    def submit(self, frame: Frame) -> Any:
        """As the inner one."""
        self._taken.release()
        self._clock.frames += 1
        return self._inner.submit(frame)

    def detect(self, frames: Any) -> Any:
        """As the inner one."""
        return self._inner.detect(frames)

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class Sample:
    """This process at one moment; ``camera_h`` and ``wall_h`` are the hours since it began."""

    wall_h: float
    camera_h: float
    resident_mb: float
    threads: int
    files: int
    replicas: int


def sample(wall_h: float = 0.0, camera_h: float = 0.0) -> Sample:
    """As it is now.

    Threads are those of the operating system, so that those of libraries are among them, but for the few that load
    models: there is one more of them whenever all are at work, up to a handful.
    """
    names = [thread.name for thread in threading.enumerate()]
    loading, replicas = (sum(name.startswith(kind) for name in names) for kind in ("load_", "replica "))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    threads, files = (len(os.listdir(f"/proc/self/{kind}")) for kind in ("task", "fd"))  # noqa: PTH208 # a Path opens one
    return Sample(wall_h, camera_h, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, threads - loading, files, replicas)


def settled(before: Sample) -> Sample:
    """As it is when all that was closed has ended, for which a busy machine has a minute."""
    end = time.monotonic() + PATIENCE_S
    while sample().threads > before.threads and time.monotonic() < end:
        time.sleep(0.1)
    gc.collect()
    return sample()


def soak(seconds: float, folder: Path) -> tuple[list[Sample], Counter[str], int]:
    """A sample a second, events by line, and how often the camera was connected."""
    clock, taken = Simulated(), threading.Semaphore(4)
    patient = LoadingSettings(loading_timeout=600)  # the machine may have other work
    plane = DataPlane({"person": ServedModel(model=str(MODEL))}, loading=patient)
    database = open_database(f"sqlite:///{folder / 'soak.db'}")
    heard: Counter[str] = Counter()
    cameras = Cameras(
        CountStore(database),
        lambda _: Told(plane.detector("person"), clock, taken),
        committed=lambda _, new: heard.update(getattr(one.event, "line", one.event.type) for one in new),
        source=lambda uri, **_: Fast(clock, taken),
        clocks=Clocks(wall=clock.now, steady=lambda: clock.elapsed_s),
    )
    backoff = Backoff(first_s=0.01, most_s=0.02)
    cameras.add("soak", CameraSettings(source="usb:0", lines=(EXIT,), motion_gate="off", backoff=backoff))
    samples: list[Sample] = []
    began = time.monotonic()
    turn = 0
    while (elapsed_s := time.monotonic() - began) < seconds:
        time.sleep(1)
        last, turn = turn, int(clock.hours * 3600 / TURN_S)
        if turn > last:
            extra = Line("extra", ((0.3, turn % 10 / 50), (0.3, 1.0)))
            cameras.edit("soak", lines=[EXIT, extra] if turn % 2 else [EXIT])
            with suppress(SourceError):  # there is no picture before the first
                cameras.snapshot("soak")
        if turn // 10 > last // 10:
            plane.load("person", anew=True)
        samples.append(sample(elapsed_s / 3600, clock.hours))
    state = cameras.state("soak")
    cameras.close()
    plane.close()
    database.close()
    print(f"state {state.state} {state.reason!r}, {state.connects} connections, {state.dropped} frames dropped")
    return samples, heard, state.connects


def slope(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Rise of ``y`` per unit of ``x`` and its standard error, which neighbouring samples would make too small.

    >>> slope(range(100), [3.0 * k for k in range(100)])
    (3.0, 0.0)
    """
    rise = np.polyfit(x, y, 1)[0]
    parts = [
        (np.mean(a), np.mean(b)) for a, b in zip(np.array_split(x, PARTS), np.array_split(y, PARTS), strict=True)
    ]
    at, level = np.array(parts).T
    left = level - np.polyval(np.polyfit(at, level, 1), at)
    error = np.sqrt((left**2).sum() / (PARTS - 2) / ((at - at.mean()) ** 2).sum())
    return round(float(rise), 6), round(float(error), 6)


def grows(numbers: Sequence[int]) -> bool:
    """Whether there are more in the second half than in the first."""
    half = len(numbers) // 2
    return float(np.median(numbers[half:])) > float(np.median(numbers[:half]))


def steady(samples: Sequence[Sample]) -> list[Sample]:
    """Those without a copy of a model that is leaving."""
    least = min(one.replicas for one in samples)
    return [one for one in samples if one.replicas == least]


def faults(warm: Sequence[Sample], before: Sample, after: Sample) -> list[str]:
    """What is wrong, a line each."""
    found = []
    calm = steady(warm)
    if len(calm) < len(warm) / 2:
        found.append("models stay in memory after they were replaced")
    rise, _ = slope([one.camera_h for one in calm], [one.resident_mb for one in calm])
    long = calm[-1].camera_h - calm[0].camera_h >= LEAST_HOURS
    if long and rise > MOST_MB:
        found.append(f"memory grows by {rise:.2f} MB per hour of camera time, more than {MOST_MB:g}")
    for kind in ("threads", "files"):
        if long and grows([getattr(one, kind) for one in calm]):
            found.append(f"{kind} grow while the camera runs")
        if (left := getattr(after, kind) - getattr(before, kind)) > 0:
            found.append(f"{left} {kind} left behind")
    named = [one.name for one in threading.enumerate() if one is not threading.main_thread()]
    return found + ([f"threads left behind: {', '.join(named)}"] if named else [])


def main() -> None:
    """Prints what a long life costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=1800)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak(WARM_UP_S, Path(folder))  # what libraries start once and keep, such as their threads, is no leak
    before = sample()
    with tempfile.TemporaryDirectory() as folder:
        samples, heard, connects = soak(given.seconds, Path(folder))
    after = settled(before)
    if not samples[-1].camera_h:
        raise SystemExit("the camera gave no picture in that time: give it longer")
    warm = samples[int(WARM * len(samples)) :]
    calm = steady(warm)
    print_results(samples, calm, heard, connects)
    print(f"threads: {calm[0].threads} -> {calm[-1].threads} running, {before.threads} -> {after.threads} around it")
    print(f"files: {calm[0].files} -> {calm[-1].files} running, {before.files} -> {after.files} around it")
    if wrong := faults(warm, before, after):
        print("\n".join(f"FAILED: {one}" for one in wrong))
        raise SystemExit(1)


def print_results(samples: Sequence[Sample], calm: Sequence[Sample], heard: Counter[str], connects: int) -> None:
    """Passes, counts and memory."""
    passes = 3600 * samples[-1].camera_h / PASS_S
    hours, wall = (calm[-1].camera_h - calm[0].camera_h), (calm[-1].wall_h - calm[0].wall_h)
    print(f"{samples[-1].camera_h:.2f} h of camera time in {60 * samples[-1].wall_h:.1f} min, {passes:.0f} passes")
    print(f"counted at the line that stays: {heard['exit']}, {heard['exit'] / passes:.2f} a pass")
    rise, error = slope([one.camera_h for one in calm], [one.resident_mb for one in calm])
    short = "" if hours >= LEAST_HOURS else ": too short"
    print(
        f"resident: {calm[0].resident_mb:.1f} -> {calm[-1].resident_mb:.1f} MB in {hours:.2f} h of camera time after "
        f"warm-up, {rise:+.2f} (standard error {error:.2f}) MB per hour of it{short}"
    )
    share = connects / samples[-1].camera_h
    print(
        f"that is {rise * hours / wall:+.2f} MB per hour of this machine, {1000 * rise / share:+.2f} kB a connection"
    )


if __name__ == "__main__":
    main()
