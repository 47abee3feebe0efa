"""How fast the whole pipeline is, beside what decoding and the model alone allow and beside the supervision loop.

Pipeline: read ahead -> detect in two threads -> track -> count, as ``camcount count`` runs it, drawing nothing.

Floor: the model file as it is. The same video decoded by FFmpeg in one thread, one decoding thread, no conversion to
colours, into a queue of eight; for every decoded frame one inference on one and the same constant tensor, in two
threads of a pool over one single-threaded session. No picture is converted, no output is read, nothing is tracked or
counted.

Trimmed floor: the same with the smaller input that camcount gives to models that allow it, which leaves out most of
the padding around wide pictures.

Supervision: bench/supervision_loop.py, the loop of its documentation (OpenCV decodes, ONNX Runtime with two threads,
`with_nms`, ByteTrack, LineZone), in the environment that bench/supervision.txt describes.

The three run one after another, again and again; ratios are medians over the rounds of each round's own ratio,
because a machine that is busy with other things slows all three. Processor time per frame hardly depends on that.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from camcount.counting.lines import LineCounter
from camcount.detection.detector import ModelDetector
from camcount.detection.load import detector_for
from camcount.detection.preprocess import place
from camcount.engines.onnx import OnnxEngine
from camcount.engines.onnx_sizes import with_open_size
from camcount.geometry import Line
from camcount.pipeline import Pipeline
from camcount.tracking.select import tracker_for
from camcount.video.buffering import ReadAhead
from camcount.video.open import source_for

ROOT = Path(__file__).parents[1]
VIDEOS = ("people-walking.mp4", "people.mp4", "one-by-one-person-detection.mp4", "cars.mp4")
LABELS = ("person", "vehicle")
THREADS = 2
PEERS = ROOT / ".venv-supervision" / "bin" / "python"


@dataclass(frozen=True)
class Pace:
    """Frames per second by the clock, and processor time per frame."""

    fps: float
    cpu_ms: float


def timed(count_frames: Callable[[], int]) -> Pace:
    """Runs something that returns how many frames it dealt with."""
    start, work = time.perf_counter(), time.process_time()
    frames = count_frames()
    seconds, busy = time.perf_counter() - start, time.process_time() - work
    return Pace(frames / seconds, 1000 * busy / frames)


def pipeline(video: Path, model: Path, most: int) -> Pace:
    """Frame to count; loading the model and opening the file are not timed."""
    detector = detector_for(str(model), labels=LABELS)
    source = ReadAhead(source_for(str(video)))
    info = source.open()
    counter = LineCounter([Line("middle", ((0.0, 0.5), (1.0, 0.5)))], info.width, info.height)
    steps = Pipeline(source, detector, tracker_for(), counter, threads=THREADS).steps()

    def run() -> int:
        frames = 0
        for _ in steps:
            frames += 1
            if frames == most:
                break
        return frames

    pace = timed(run)
    source.close()
    return pace


def floor(video: Path, model: Path, most: int) -> Pace:
    """Decoding, and the model file as it is."""
    engine = OnnxEngine(model)
    (info,) = engine.inputs.values()
    return decode_and_infer(video, most, engine, [side or 1 for side in info.shape])


def trimmed_floor(video: Path, model: Path, most: int) -> Pace:
    """Decoding, and the model at the size that the pipeline uses."""
    detector = detector_for(str(model))
    assert isinstance(detector, ModelDetector)
    source = source_for(str(video))
    info = source.open()
    source.close()
    at = place(detector.spec, info.width, info.height)
    engine = OnnxEngine(with_open_size(model.read_bytes()))
    return decode_and_infer(video, most, engine, [1, 3, at.input_height, at.input_width])


def decode_and_infer(video: Path, most: int, engine: OnnxEngine, shape: list[int]) -> Pace:
    """Decoding and inference alone, in the pipeline's own threads."""
    ((name, info),) = engine.inputs.items()
    feeds = {name: np.full(shape, 114, info.dtype)}
    engine.run(feeds)
    container = av.open(str(video))
    container.streams.video[0].codec_context.thread_count = 1
    decoded: queue.Queue[Any] = queue.Queue(8)

    def decode() -> None:
        for number, frame in enumerate(container.decode(video=0)):
            if number == most:
                break
            decoded.put(frame)
        decoded.put(None)

    def run() -> int:
        threading.Thread(target=decode, daemon=True).start()
        frames = 0
        waiting: deque[Future[list[Any]]] = deque()
        with ThreadPoolExecutor(THREADS) as pool:
            while decoded.get() is not None:
                frames += 1
                waiting.append(pool.submit(engine.run, feeds))
                if len(waiting) > THREADS:
                    waiting.popleft().result()
        return frames

    return timed(run)


def supervision(video: Path, model: Path, most: int) -> Pace:
    """The other loop, in its own process; loading the model is not timed there either."""
    script = ROOT / "bench" / "supervision_loop.py"
    command = [str(PEERS), "-W", "ignore", str(script), str(video), str(model), str(most)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(answer.stdout.splitlines()[-1])
    return Pace(figures["fps"], figures["cpu_ms"])


def measure(video: Path, model: Path, most: int, rounds: int, peers: bool) -> dict[str, list[Pace]]:
    """Every loop once per round, in turn."""
    loops = {"floor": floor, "trimmed floor": trimmed_floor, "camcount": pipeline}
    loops |= {"supervision": supervision} if peers else {}
    paces: dict[str, list[Pace]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            paces[name].append(loop(video, model, most))
    return paces


def rows(video: str, paces: dict[str, list[Pace]]) -> list[list[str]]:
    """Per loop its medians, and camcount's median ratio to it: above 1, camcount is the faster."""
    table = []
    ours = paces["camcount"]
    for name, theirs in paces.items():
        pairs = list(zip(ours, theirs, strict=True))
        figures = [
            f"{statistics.median(p.fps for p in theirs):.1f}",
            f"{statistics.median(p.cpu_ms for p in theirs):.1f}",
            f"{statistics.median(a.fps / b.fps for a, b in pairs):.2f}",
            f"{statistics.median(b.cpu_ms / a.cpu_ms for a, b in pairs):.2f}",
        ]
        table.append([video if name == "floor" else "", name, *figures])
    return table


def main() -> None:
    """Measures, then prints one table."""
    shared = Path(os.environ.get("CAMCOUNT_TEST_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path, help="video files; the shared ones unless given")
    parser.add_argument("--model", type=Path, default=shared / "weights" / "yolox_nano_416x416.onnx")
    parser.add_argument("--frames", type=int, default=400, help="of each video")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    videos: list[Path] = given.videos or [shared / "videos" / name for name in VIDEOS]
    if missing := [path for path in [*videos, given.model] if not path.exists()]:
        sys.exit(f"{missing[0]} is not there: name videos and --model, or set CAMCOUNT_TEST_DATA")
    console = Console()
    peers = PEERS.exists()
    if not peers:
        console.print("no .venv-supervision: make one from bench/supervision.txt to compare with supervision")
    table = Table(title=f"{given.model.name}, {THREADS} threads, {given.rounds} rounds, medians")
    table.add_column("video", no_wrap=True)
    table.add_column("loop", no_wrap=True)
    for heading in ("fps", "CPU ms", "ratio", "by CPU"):
        table.add_column(heading, justify="right")
    for video in videos:
        for row in rows(video.name, measure(video, given.model, given.frames, given.rounds, peers)):
            table.add_row(*row)
        table.add_section()
    console.print(table)
    console.print("ratio: how many times as fast camcount is, by the clock and by processor time")


if __name__ == "__main__":
    main()
