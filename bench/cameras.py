"""Cameras per core at 10 frames a second, with and without motion gating, beside the supervision loop.

Each video is made into 10 frames a second at 352x288 and 1920x1080, H.264. A camera of camcount counts it once, as
fast as it goes, through everything that a live camera goes through: reading thread, gate, YOLOX-Nano, tracker,
counter, intervals, commits with checkpoints into SQLite. The loop is bench/supervision_loop.py with the same model.
Cameras per core: seconds of video per second of processor time, all threads of the process together.

Then, what gating costs in counts: the truth videos at their own rate, gate shut where nothing moves against no gate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from camcount.cameras.cameras import Cameras
from camcount.cameras.settings import CameraSettings
from camcount.detections import Detections
from camcount.evaluation.truth import Truth, load_truth
from camcount.frame import Frame
from camcount.geometry import Line
from camcount.models.opening import resolve_detector
from camcount.protocols import Detector
from camcount.storage.counts import CountStore
from camcount.storage.database import open_database
from camcount.video.encoded import in_one_thread

DATA = Path(__file__).parents[2] / "shared" / "data"
MODEL = DATA / "weights" / "yolox_nano_416x416.onnx"
LOOP = Path(__file__).with_name("supervision_loop.py")
WANTED = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
SCENES = {"a room, mostly empty": "one-by-one-person-detection.mp4", "a shopping street": "people-walking.mp4"}
SIZES = ((352, 288), (1920, 1080))
FPS = 10


@dataclass(frozen=True)
class Run:
    """What one camera cost and counted."""

    media_s: float
    cpu_s: float
    counted: int
    asked: float
    """Share of the frames that the model was asked about."""


class Counting:
    """A detector that counts how often it is asked, and looks at no frame twice where ``known`` is kept."""

    def __init__(self, detector: Detector, known: dict[int, Detections] | None) -> None:
        self.labels, self.concurrency = detector.labels, detector.concurrency
        self.frames = 0
        self._detector, self._known = detector, known

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame."""
        self.frames += len(frames)
        if self._known is None:
            return self._detector.detect(frames)
        for frame in frames:
            if frame.index not in self._known:
                self._known[frame.index] = self._detector.detect([frame])[0]
        return [self._known[frame.index] for frame in frames]

    def close(self) -> None:
        """Lets go of the model."""
        self._detector.close()


def camera(
    video: Path,
    lines: tuple[Line, ...],
    gate: Literal["on", "off"],
    labels: tuple[str, ...],
    folder: Path,
    known: dict[int, Detections] | None = None,
) -> Run:
    """Counts a video once."""
    detector = Counting(resolve_detector(str(MODEL), labels=list(labels)), known)
    database = open_database(f"sqlite:///{folder / f'{time.monotonic_ns()}.db'}")
    store = CountStore(database)
    cameras = Cameras(store, lambda _: detector)
    busy = time.process_time()
    cameras.add("c", CameraSettings(source=str(video), lines=lines, motion_gate=gate))
    while (state := cameras.state("c")).state not in ("ended", "error"):
        time.sleep(0.05)
    cpu_s = time.process_time() - busy
    assert state.state == "ended", state.reason
    frames, media_s = probe(video)
    counted = sum(ways["in"] + ways["out"] for ways in state.totals.values())
    cameras.close()
    database.close()
    return Run(media_s, cpu_s, counted, detector.frames / frames)


def probe(video: Path) -> tuple[int, float]:
    """Frames and seconds of a video."""
    fields = "stream=nb_frames,duration"
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", fields, "-of", "json", str(video)],
        check=True,
        capture_output=True,
    )
    stream = json.loads(told.stdout)["streams"][0]
    return int(stream["nb_frames"]), float(stream["duration"])


def made(video: Path, size: tuple[int, int], seconds: int, folder: Path) -> Path:
    """The video at 10 frames a second and another size."""
    path = folder / f"{video.stem}-{size[0]}.mp4"
    scale = f"fps={FPS},scale={size[0]}:{size[1]}"
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-an", str(path)]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(video), "-t", str(seconds), "-vf", scale, *coding],
        check=True,
    )
    return path


def supervision(video: Path, python: Path) -> float | None:
    """Cameras per core of the supervision loop; None without its environment."""
    if not python.exists():
        return None
    told = subprocess.run(
        [python, LOOP, str(video), str(MODEL), "100000"], check=True, capture_output=True, text=True
    )
    return 1000 / (FPS * float(json.loads(told.stdout.splitlines()[-1])["cpu_ms"]))


def per_core(seconds: int, python: Path, folder: Path, console: Console) -> None:
    """The first table."""
    table = Table("scene", "size", "no gate", "gate", "asked", "loop", "no gate : loop", "gate : loop")
    line = (Line("middle", ((0.0, 0.5), (1.0, 0.5))),)
    for scene, name in SCENES.items():
        for size in SIZES:
            video = made(DATA / "videos" / name, size, seconds, folder)
            plain, gated = (camera(video, line, gate, WANTED, folder) for gate in ("off", "on"))
            a, b, loop = plain.media_s / plain.cpu_s, gated.media_s / gated.cpu_s, supervision(video, python)
            ratios = ("–", "–") if loop is None else (f"{a / loop:.2f}", f"{b / loop:.2f}")
            size_text = f"{size[0]}x{size[1]}"
            asked = f"{gated.asked:.0%}"
            table.add_row(
                scene, size_text, f"{a:.2f}", f"{b:.2f}", asked, "–" if loop is None else f"{loop:.2f}", *ratios
            )
    console.print(f"Cameras per core at {FPS} frames a second", table)


def gating_cost(folder: Path, console: Console) -> None:
    """The second table."""
    table = Table("truth video", "true", "no gate", "gate", "asked")
    whole = [0, 0]
    for path in sorted((DATA / "truth").glob("*.yaml")):
        truth: Truth = load_truth(path)
        video = found(truth.video)
        if video is None:
            continue
        labels = tuple(dict.fromkeys(word for label in truth.labels for word in words(label)))
        known: dict[int, Detections] = {}
        plain, gated = (camera(video, truth.lines, gate, labels, folder, known) for gate in ("off", "on"))
        whole[0] += plain.counted
        whole[1] += abs(plain.counted - gated.counted)
        true = str(len(truth.events))
        print(path.stem, plain, gated, flush=True)
        table.add_row(path.stem, true, str(plain.counted), str(gated.counted), f"{gated.asked:.0%}")
    console.print("What gating costs in counts", table)
    console.print(f"difference: {whole[1]} of {whole[0]} crossings, {whole[1] / max(whole[0], 1):.1%} (at most 2 %)")


def words(label: str) -> tuple[str, ...]:
    """The model's labels for one of a truth."""
    return ("bicycle", "car", "motorcycle", "bus", "truck") if label == "vehicle" else (label,)


def found(name: str | None) -> Path | None:
    """Where the video of a truth lies."""
    for folder in ("videos", "videos/tfl"):
        path = DATA / folder / (name or "-")
        if path.is_file():
            return path
    return None


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of each video")
    parser.add_argument("--supervision", type=Path, default=Path(".venv-supervision/bin/python"))
    parser.add_argument("--only", choices=["speed", "counts"], help="one of the tables")
    given = parser.parse_args()
    in_one_thread()  # as the server does
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "speed":
            gating_cost(Path(folder), console)
        if given.only != "counts":
            per_core(given.seconds, given.supervision, Path(folder), console)


if __name__ == "__main__":
    main()
