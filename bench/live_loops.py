"""Videos that repeat for as long as a camera is to play, what is counted in them offline, and what a camera counted.

A loop is made once, without frames that look ahead, and copied end to end. ``camcount count`` counts the whole of it
at the camera's rate: the same frames, so that each loop of a camera can be compared with the same one, seams and all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.cameras import DATA, probe, words
from numpy.typing import NDArray

from camcount.evaluation.truth import load_truth
from camcount.geometry import Line

Moments = NDArray[np.float64]

_SETTLE_S = 3.0
"""A crossing is dated back, by no more than this."""
_ALIKE_S = 0.4


@dataclass(frozen=True)
class Scene:
    """One camera: a part of a shared video, and the line of its truth."""

    name: str
    video: str
    truth: str
    start_s: float = 0.0
    seconds: float = 3600.0

    @property
    def line(self) -> Line:
        """Where it counts."""
        return load_truth(DATA / "truth" / self.truth).lines[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """What it counts."""
        labels = load_truth(DATA / "truth" / self.truth).labels
        return tuple(dict.fromkeys(word for label in labels for word in words(label)))

    @property
    def anchor(self) -> str:
        """The point that counts."""
        return self.line.anchor or "foot"


SCENES = (
    Scene("door", "people.mp4", "people.yaml"),
    Scene("motorway", "cars.mp4", "cars.yaml"),
    Scene("room", "one-by-one-person-detection.mp4", "one-by-one-person-detection.yaml", 12.0, 60.0),
    Scene("street", "tfl/625_201708101116.mp4", "tfl_625_201708101116.yaml"),
)


@dataclass(frozen=True)
class Offline:
    """What the whole video holds: the length of a loop, and when something crosses, in seconds from the beginning."""

    length_s: float
    crossings_s: tuple[float, ...]

    @property
    def quiet_s(self) -> float:
        """The middle of a loop's longest pause: where loops are told apart."""
        times = np.sort(np.array(self.crossings_s) % self.length_s)
        if not len(times):
            return 0.0
        pauses = np.diff(np.append(times, times[0] + self.length_s))
        longest = int(pauses.argmax())
        return float((times[longest] + pauses[longest] / 2) % self.length_s)

    def by_loop(self, times_s: Sequence[float], until_s: float) -> tuple[int, ...]:
        """How many of these moments of the video are in each loop that is whole before ``until_s``."""
        many = max(0, int((until_s - self.quiet_s) // self.length_s))
        edges = self.quiet_s + self.length_s * np.arange(many + 1)
        return tuple(int(count) for count in np.histogram(times_s, edges)[0]) if many else ()


def repeated(scene: Scene, seconds: float, folder: Path) -> Path:
    """The scene's video over and over for so long."""
    once, path = folder / f"{scene.name}-once.mp4", folder / f"{scene.name}-{seconds:g}.mp4"
    ffmpeg = ["ffmpeg", "-v", "error", "-y"]
    if not once.exists():
        cut = ["-ss", f"{scene.start_s}", "-t", f"{scene.seconds}", "-i", str(DATA / "videos" / scene.video)]
        coding = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-bf", "0", "-g", "30", "-an"]
        subprocess.run([*ffmpeg, *cut, *coding, "-pix_fmt", "yuv420p", str(once)], check=True)
    if path.exists():
        return path
    loop = ["-stream_loop", "-1", "-i", str(once), "-t", f"{seconds}", "-c", "copy", "-an", str(path)]
    subprocess.run([*ffmpeg, *loop], check=True)
    return path


def counted_offline(scene: Scene, model: Path, fps: float, video: Path) -> Offline:
    """A video of the scene, counted as fast as it goes."""
    events = video.with_suffix(".jsonl")
    corners = ",".join(f"{value:g}" for point in scene.line.points for value in point)
    what = ["--model", str(model), "--labels", ",".join(scene.labels), "--line", f"{scene.line.name}={corners}"]
    how = ["--anchor", scene.anchor, "--fps", f"{fps:g}", "--events", str(events), "--json"]
    if not events.exists():
        command = [sys.executable, "-m", "camcount", "count", str(video), *what, *how]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(row) for row in events.read_text().splitlines()]
    length_s = probe(video.with_name(f"{scene.name}-once.mp4"))[1]
    return Offline(length_s, tuple(row["time_s"] for row in rows if row["type"] == "crossing"))


@dataclass(frozen=True)
class Played:
    """What a camera counted while it was connected once.

    Attributes:
        counts, offline: of each whole loop.
        alike: share of its crossings that are at a moment at which one was counted offline.
        drift_s: how much later crossings are dated in the last third than in the first.
    """

    counts: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()
    alike: float = 1.0
    drift_s: float = 0.0


def played(offline: Offline, times_s: Sequence[float], begin_s: float, end_s: float) -> Played:
    """Loops between two moments on the clock, from the moments of the crossings.

    Args:
        begin_s: about when the video began to play; what fits best, two seconds before or after, is taken for it.
    """
    times = np.array([time_s for time_s in times_s if begin_s - 2 <= time_s < end_s]) - begin_s
    wanted = np.array(offline.crossings_s)
    shift, alike, drift_s = 0.0, 1.0 if len(times) == len(wanted) else 0.0, 0.0
    if len(times) and len(wanted):
        shifts = np.arange(-2.0, 2.0, 0.05)
        offs = [_off(times - shift, wanted) for shift in shifts]
        best = int(np.argmin([np.abs(off).clip(0, _ALIKE_S).mean() for off in offs]))
        near = offs[best][np.abs(offs[best]) < _ALIKE_S]
        shift, alike, third = float(shifts[best]), len(near) / len(times), len(near) // 3
        drift_s = float(np.median(near[-third:]) - np.median(near[:third])) if third > 1 else 0.0
    until_s = end_s - begin_s - shift - _SETTLE_S
    return Played(
        offline.by_loop((times - shift).tolist(), until_s), offline.by_loop(wanted.tolist(), until_s), alike, drift_s
    )


def _off(times: Moments, wanted: Moments) -> Moments:
    """How far each moment is from the nearest one that is wanted."""
    offs = times[:, None] - wanted[None]
    return np.take_along_axis(offs, np.abs(offs).argmin(axis=1)[:, None], axis=1)[:, 0]
