"""A camera for hours in minutes: frames as fast as they can be counted, and all that a long life brings.

The camera plays the first minute of a real video as a live stream whose clock runs with its frames, and ends: every
minute of camera time it is connected anew. Every second of real time its lines are redrawn, every ten the model is
loaded anew while it is asked; counts and checkpoints go to SQLite. Prints resident memory per hour of camera time
after warm-up (least squares over what is left of the run), threads and open files, and what each pass counted.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from camcount.cameras.backoff import Backoff
from camcount.cameras.cameras import Cameras
from camcount.cameras.reading import Clocks
from camcount.cameras.settings import CameraSettings
from camcount.frame import Frame
from camcount.geometry import Line
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
PASS_S = 60.0
WARM = 0.25


class Simulated:
    """The clock of the camera's world."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.elapsed_s = 0.0

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
        return replace(self._inner.open(), live=True)

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

    def __init__(self, inner: Any, taken: threading.Semaphore) -> None:
        self.labels, self.concurrency = inner.labels, inner.concurrency
        self._inner, self._taken = inner, taken

    def submit(self, frame: Frame) -> Any:
        """As the inner one."""
        self._taken.release()
        return self._inner.submit(frame)

    def detect(self, frames: Any) -> Any:
        """As the inner one."""
        return self._inner.detect(frames)

    def close(self) -> None:
        """Nothing to let go of."""


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def files() -> int:
    """Open files."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # a Path would open one more


def soak(seconds: float, folder: Path) -> tuple[list[tuple[float, float, int, int]], Counter[str], float]:
    """Samples of camera hours, memory, threads and files; events by line; and hours of camera time."""
    clock, taken = Simulated(), threading.Semaphore(4)
    plane = DataPlane({"person": ServedModel(model=str(MODEL))})
    database = open_database(f"sqlite:///{folder / 'soak.db'}")
    store = CountStore(database)
    heard: Counter[str] = Counter()
    cameras = Cameras(
        store,
        lambda _: Told(plane.detector("person"), taken),
        committed=lambda _, new: heard.update(getattr(one.event, "line", one.event.type) for one in new),
        source=lambda uri, **_: Fast(clock, taken),
        clocks=Clocks(wall=clock.now, steady=lambda: clock.elapsed_s),
    )
    backoff = Backoff(first_s=0.01, most_s=0.02)
    cameras.add("soak", CameraSettings(source="usb:0", lines=(EXIT,), motion_gate="off", backoff=backoff))
    samples: list[tuple[float, float, int, int]] = []
    began = time.monotonic()
    turn = 0
    while time.monotonic() - began < seconds:
        time.sleep(1)
        turn += 1
        extra = Line("extra", ((0.3, turn % 10 / 50), (0.3, 1.0)))
        cameras.edit("soak", lines=[EXIT, extra] if turn % 2 else [EXIT])
        cameras.snapshot("soak") if turn > 5 else None
        if turn % 10 == 0:
            plane.load("person", anew=True)
        samples.append((clock.elapsed_s / 3600, resident_mb(), threading.active_count(), files()))
    state = cameras.state("soak")
    cameras.close()
    plane.close()
    database.close()
    print(f"state {state.state} {state.reason!r}, {state.connects} connections, {state.dropped} frames dropped")
    return samples, heard, clock.elapsed_s / 3600


def main() -> None:
    """Prints what a long life costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=1800)
    given = parser.parse_args()
    threads, opened = threading.active_count(), files()
    with tempfile.TemporaryDirectory() as folder:
        samples, heard, hours = soak(given.seconds, Path(folder))
    warm = np.array(samples[int(WARM * len(samples)) :])
    slope = float(np.polyfit(warm[:, 0], warm[:, 1], 1)[0])
    print(f"{hours:.2f} h of camera time in {given.seconds / 60:.1f} min, {3600 * hours / PASS_S:.0f} passes")
    print(f"counted at the line that stays: {heard['exit']}, {heard['exit'] / (3600 * hours / PASS_S):.2f} a pass")
    print(
        f"resident: {warm[0, 1]:.1f} -> {warm[-1, 1]:.1f} MB after warm-up, {slope:+.2f} MB per hour of camera time"
    )
    print(
        f"threads: {warm[0, 2]:.0f} -> {warm[-1, 2]:.0f} running, {threads} -> {threading.active_count()} around it"
    )
    print(f"files: {warm[0, 3]:.0f} -> {warm[-1, 3]:.0f} running, {opened} -> {files()} around it")


if __name__ == "__main__":
    main()
