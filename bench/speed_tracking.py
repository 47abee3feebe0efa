"""Processor time per frame of tracker and six lines, against the peers in the same run; and memory over a long run.

    python -m bench.speed_tracking [--frames 1000000]

The peers run in ``.venv-peers`` (see bench/accuracy.py); without it only camcount is measured.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
SIZE = 1280, 720
ENDS = [((0.1 + 0.12 * k, 0.2), (0.2 + 0.12 * k, 0.95)) for k in range(6)]
COUNTS = (10, 30, 80)
FRAMES = 600

Rows = NDArray[np.float64]
"""``(N, 5)``: left, top, right, bottom, confidence."""


def walkers(count: int, frames: int, seed: int = 1) -> list[Rows]:
    """People who walk about in a picture; one box in twenty is missing."""
    rng = np.random.default_rng(seed)
    low, high = np.array([50.0, 150.0]), np.array([1230.0, 700.0])
    place, speed = rng.uniform(low, high, (count, 2)), rng.uniform(-60, 60, (count, 2))
    height, seen = rng.uniform(60, 160, count), []
    for _ in range(frames):
        place += speed / 25
        speed[(place < low) | (place > high)] *= -1
        x, y = (place + rng.normal(0, 2, place.shape)).T
        rows = np.column_stack([x - 0.2 * height, y - height, x + 0.2 * height, y, rng.uniform(0.3, 0.95, count)])
        seen.append(rows[rng.random(count) > 0.05])
    return seen


def camcount_step() -> Callable[[Rows, float], object]:
    """Tracker and line counter of camcount."""
    from camcount.counting.lines import LineCounter
    from camcount.detections import Detections
    from camcount.geometry import Line
    from camcount.tracking.select import tracker_for

    tracker = tracker_for()
    counter = LineCounter([Line(f"l{k}", ends) for k, ends in enumerate(ENDS)], *SIZE)

    def step(rows: Rows, time_s: float) -> object:
        boxes, sure = rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)
        found = Detections(boxes, sure, np.zeros(len(rows), np.int32), ("person",))
        return counter.update(tracker.update(found, time_s), time_s)

    return step


def peer_step(name: str) -> Callable[[Rows, float], object]:
    """A peer's tracker with supervision's LineZone on the bottom centre."""
    sv: Any = importlib.import_module("supervision")
    if name == "supervision ByteTrack":
        update = sv.ByteTrack(frame_rate=25).update_with_detections
    else:
        update = importlib.import_module("trackers").SORTTracker(frame_rate=25.0).update
    zones = [
        sv.LineZone(*(sv.Point(x * SIZE[0], y * SIZE[1]) for x, y in ends), [sv.Position.BOTTOM_CENTER])
        for ends in ENDS
    ]

    def step(rows: Rows, time_s: float) -> object:
        boxes, sure = rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)
        found = update(sv.Detections(xyxy=boxes, confidence=sure, class_id=np.zeros(len(rows), int)))
        return [zone.trigger(found) for zone in zones]

    return step


def cost(make: Callable[[], Callable[[Rows, float], object]]) -> dict[int, float]:
    """Milliseconds of processor time per frame by number of boxes, the best of three."""
    found = {}
    for count in COUNTS:
        frames, runs = walkers(count, FRAMES), []
        for _ in range(3):
            step, begun = make(), time.process_time()
            for k, rows in enumerate(frames):
                step(rows, k / 25)
            runs.append((time.process_time() - begun) / FRAMES * 1e3)
        found[count] = min(runs)
    return found


def resident_kb() -> int:
    """Memory in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def memory(frames: int) -> None:
    """Prints how memory grows while people come and go for a long time."""
    step = camcount_step()
    rng = np.random.default_rng(2)
    begun, first = time.process_time(), 0
    for k in range(frames):
        group, phase = divmod(k, 50)
        x = 100 + (np.arange(7) * 160 + group * 37) % 1100
        y = np.full(7, 250.0 + 8 * phase)
        step(np.column_stack([x - 20, y - 100, x + 20, y + rng.normal(0, 2, 7), np.full(7, 0.9)]), k / 25)
        if k == frames // 10:
            first = resident_kb()
        if k and k % max(1, frames // 10) == 0:
            spent = (time.process_time() - begun) / (k + 1) * 1e3
            print(f"{k:>9} frames: {resident_kb() - first:+6d} KB since a tenth of the run, {spent:.3f} ms a frame")


def main() -> None:
    """Prints times, ratios and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=0, help="length of the memory run")
    parser.add_argument("--peer", help="measure this peer and print JSON (used by the script itself)")
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(cost(lambda: peer_step(arguments.peer))))
        return
    own = cost(camcount_step)
    print("ms of processor time per frame, tracker and six lines, at " + ", ".join(f"{n} boxes" for n in COUNTS))
    print(f"{'camcount':24}" + "".join(f"{own[n]:8.3f}" for n in COUNTS))
    python = ROOT / ".venv-peers" / "bin" / "python"
    for name in ("supervision ByteTrack", "trackers SORT") if python.exists() else ():
        command = [str(python), "-W", "ignore", "-m", "bench.speed_tracking", "--peer", name]
        lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
        theirs = {int(n): float(ms) for n, ms in json.loads(lines[-1]).items()}
        cells = "".join(f"{theirs[n]:8.3f} ({theirs[n] / own[n]:.1f}x)" for n in COUNTS)
        print(f"{name:24}{cells}")
    if arguments.frames:
        memory(arguments.frames)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
