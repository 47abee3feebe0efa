"""What the tests of live cameras share; run as a program, it counts one file camera until it ends or is killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from camcount.detections import Detections
from camcount.frame import Frame
from camcount.storage.counts import CountStore
from camcount.storage.database import open_database

ROOT = Path(__file__).parents[1]
FPS = 20
SIZE = 160, 120


class Blobs:
    """A detector that finds bright blocks: exact, and quick enough to count a video in no time."""

    labels: tuple[str, ...] = ("person",)
    concurrency = 0

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.asked = 0

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One box per block."""
        self.asked += len(frames)
        time.sleep(self.delay_s)
        return [self._found(frame) for frame in frames]

    def close(self) -> None:
        """Nothing to let go of."""

    def _found(self, frame: Frame) -> Detections:
        bright = (frame.image().max(axis=2) > 150).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        boxes = [[x, y, x + w, y + h] for x, y, w, h, area in stats[1:].tolist() if area > 30]
        count = len(boxes)
        return Detections(
            np.array(boxes, np.float32).reshape(-1, 4), np.full(count, 0.9), np.zeros(count, np.int32), self.labels
        )


def moving_blobs(path: Path, seconds: int) -> Path:
    """A video in which every two seconds one block walks to the right (in the upper half) and one to the left."""
    width, height = SIZE
    arguments = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(FPS), "-i", "-"]
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", str(FPS), "-pix_fmt", "yuv420p", str(path)]
    command = ["ffmpeg", "-v", "error", "-y", *arguments, *coding]
    noise = np.random.default_rng(1)
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for index in range(seconds * FPS):
            image = noise.integers(30, 40, (height, width, 3), np.uint8)
            walked = (index / FPS % 4) / 3.6 * (width - 20)
            if index / FPS % 4 < 3.6:
                x = round(walked)
                image[15:45, x : x + 14] = 220
                image[75:105, width - 14 - x : width - x] = 220
            process.stdin.write(image.tobytes())
    assert process.returncode == 0
    return path


@contextmanager
def open_store(url: str) -> Iterator[CountStore]:
    """The counts in a database, which is made if it is not there."""
    database = open_database(url)
    try:
        yield CountStore(database)
    finally:
        database.close()


def until(true: Callable[[], bool], patience_s: float) -> None:
    """Waits until something is true."""
    end = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < end, f"not within {patience_s:g} s"
        time.sleep(0.02)


def main(url: str, video: str) -> None:
    """Counts until the end."""
    from camcount.cameras.cameras import Cameras
    from tests.test_cameras_files import settings

    with open_store(url) as store:
        blobs = Blobs(delay_s=0.02)
        cameras = Cameras(store, lambda _: blobs)
        cameras.add("door", settings(Path(video)))
        until(lambda: blobs.asked > 0 or cameras.state("door").state == "ended", 60)
        sys.stdout.write("counting\n")
        sys.stdout.flush()
        until(lambda: cameras.state("door").state == "ended", 120)
        cameras.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
