"""Four RTSP cameras at once: lag, counts against the offline count, and one of them cut off for a minute.

GStreamer's RTSP server plays four shared videos over and over, in real time. ``camcount serve`` counts them with
YOLOX-Nano at 10 frames a second each; everything shares the processor of this machine, the RTSP servers too. Each
second every camera's published lag is noted. Loop by loop its counts are compared with those of ``camcount count`` on
the same video at the same rate: at most 10 % off, or one crossing where that is more. In the middle one camera is
cut off for a minute (a quarter of the run, if that is less). Exits with 1 if a line of the table does not hold.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from bench.cameras import MODEL
from bench.live_loops import SCENES, Offline, Played, counted_offline, played, repeated
from rich.console import Console
from rich.table import Table
from tests.servers import Camera, rtsp_camera
from tests.serving import Served, camcount_serve

FPS = 10.0
CUT = "door"
LAG_S, BACK_S, OFF = 1.0, 10.0, 0.1
SPARE_S = 90.0
"""Videos last so much longer than the run: cameras begin before it, and its last minute ends after it."""


@dataclass
class Run:
    """What was seen from outside.

    Attributes:
        lags: of each camera, each second. states: the same.
        begun: when each connection of each camera stood.
        counted: frames a second. cores: how many the server kept busy.
        gone_s, there_s, back_s: when the one camera was cut off, when it could be reached again, when it was counted.
    """

    began_s: float
    lags: dict[str, list[float]] = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    begun: dict[str, list[float]] = field(default_factory=dict)
    gone_s: float = 0.0
    there_s: float = 0.0
    back_s: float = float("inf")
    ended_s: float = 0.0
    cores: float = 0.0
    counted: dict[str, list[float]] = field(default_factory=dict)

    def look(self, server: Served) -> None:
        """Notes how all cameras are."""
        for camera in cameras_of(server):
            name, state = camera["name"], camera["state"]
            past = self.states.setdefault(name, [])
            if state == "running" and past[-1:] != ["running"]:
                self.begun.setdefault(name, []).append(datetime.fromisoformat(camera["since"]).timestamp())
            past.append(state)
            self.lags.setdefault(name, []).append(camera["lagSeconds"])
            self.counted.setdefault(name, []).append(camera["fps"])
            self.dropped[name] = camera["droppedFrames"]
            if name == CUT and self.there_s and state == "running" and camera["fps"] > 0:
                self.back_s = min(self.back_s, time.time())


def cameras_of(server: Served) -> list[dict[str, Any]]:
    """How they are."""
    cameras: list[dict[str, Any]] = server.get("/api/v1/cameras")[1]["cameras"]
    return cameras


def configuration(uris: dict[str, str]) -> dict[str, Any]:
    """Of the server."""
    cameras = {
        scene.name: {
            "source": uris[scene.name],
            "labels": list(scene.labels),
            "anchor": scene.anchor,
            "lines": {scene.line.name: [value for point in scene.line.points for value in point]},
            "fps": FPS,
        }
        for scene in SCENES
    }
    return {"models": {"yolox": str(MODEL)}, "cameras": cameras}


def watched(seconds: float, folder: Path, videos: dict[str, Path], stack: ExitStack) -> tuple[Run, Served]:
    """Plays, counts, cuts off and looks, for so many seconds."""
    cameras = {name: stack.enter_context(rtsp_camera(video)) for name, video in videos.items()}
    config = folder / "camcount.yaml"
    config.write_text(yaml.safe_dump(configuration({name: camera.uri() for name, camera in cameras.items()})))
    server = stack.enter_context(camcount_serve(folder / "home", "--config", str(config)))
    server.until_ready()
    while any(camera["state"] != "running" for camera in cameras_of(server)) or not cameras_of(server):
        time.sleep(0.1)
    run, busy_s = Run(time.time()), cpu_s(server)
    away_s = min(60.0, seconds / 4)
    cut_s, back_s = (seconds - away_s) / 2, (seconds + away_s) / 2
    for second in seconds_of(run.began_s, seconds):
        run.look(server)
        if not run.gone_s and second >= cut_s:
            cameras[CUT].process.kill()
            run.gone_s = time.time()
        if not run.there_s and second >= back_s:
            restarted(cameras[CUT], videos[CUT], stack)
            run.there_s = time.time()
    run.ended_s = time.time()
    run.cores = (cpu_s(server) - busy_s) / seconds
    return run, server


def cpu_s(server: Served) -> float:
    """Seconds of processor time that the server has had."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def restarted(camera: Camera, video: Path, stack: ExitStack) -> None:
    """The camera is there again, on its port."""
    stack.enter_context(rtsp_camera(video, port=camera.port))


def seconds_of(began_s: float, seconds: float) -> Iterator[float]:
    """Once a second, how many have passed."""
    for second in range(1, round(seconds) + 1):
        time.sleep(max(0.0, began_s + second - time.time()))
        yield second


def crossings(server: Served, camera: str) -> list[float]:
    """When something crossed, on the clock."""
    found: list[float] = []
    after, more = 0, True
    while more:
        page = server.get(f"/api/v1/events?camera={camera}&after={after}&limit=1000")[1]
        found += [datetime.fromisoformat(event["time"]).timestamp() for event in page["events"]]
        after, more = page["next"], page["more"]
    return sorted(found)


def minutes(server: Served, camera: str, begin_s: float, end_s: float) -> list[dict[str, Any]]:
    """The whole minutes between two moments."""
    since, until = (datetime.fromtimestamp(at - at % 60, UTC) for at in (begin_s + 59.9, end_s))
    query = f"step=1m&since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}"
    found: list[dict[str, Any]] = server.get(f"/api/v1/cameras/{camera}/counts?{query}")[1]["intervals"]
    return found


def coverages(server: Served, run: Run, camera: str) -> tuple[list[float], list[float]]:
    """Of the minutes in which the one camera was away, and of all others."""
    away: list[float] = []
    others: list[float] = []
    until_s = time.time()
    for minute in minutes(server, camera, run.began_s, until_s):
        begin_s = datetime.fromisoformat(minute["start"]).timestamp()
        cut = begin_s + 60 > run.gone_s and begin_s < run.back_s
        (away if cut else others).append(float(minute["coverage"]))
    return away, others


class Verdicts:
    """The lines of the table, and whether all hold."""

    def __init__(self) -> None:
        self.table = Table("camera", "what", "found", "wanted", "holds")
        self.failed = 0

    def add(self, camera: str, what: str, found: str, wanted: str, holds: bool) -> None:
        """One line."""
        self.failed += not holds
        self.table.add_row(camera, what, found, wanted, "yes" if holds else "[bold red]NO[/]")

    def lag(self, camera: str, lags: list[float]) -> None:
        """The longest of all seconds."""
        found = f"{max(lags):.2f} s, median {sorted(lags)[len(lags) // 2]:.2f} s of {len(lags)}"
        self.add(camera, "lag", found, f"under {LAG_S:g} s", max(lags) < LAG_S)

    def loops(self, camera: str, parts: list[Played]) -> None:
        """Each loop, and all together."""
        both = [pair for part in parts for pair in zip(part.counts, part.offline, strict=True)]
        off = sum(abs(count - offline) > max(1.0, OFF * offline) for count, offline in both)
        worst = max((abs(count - offline) for count, offline in both), default=0)
        told = f"{len(both) - off} of {len(both)}, worst {worst} off"
        self.add(camera, "loops counted as offline", told, "all, ± 10 % or 1", bool(both) and not off)
        count, offline = (sum(pair[place] for pair in both) for place in (0, 1))
        most = max(1.0, OFF * offline)
        self.add(camera, "all whole loops", f"{count}", f"{offline} ± {most:g}", abs(count - offline) <= most)
        drift_s = max((abs(part.drift_s) for part in parts), default=0.0)
        self.add(camera, "crossings dated later at the end", f"{drift_s:.2f} s", "under 0.5 s", drift_s < 0.5)


def judge_camera(verdicts: Verdicts, run: Run, server: Served, name: str, offline: Offline) -> list[Played]:
    """The lines of one camera; what it counted while it was connected."""
    verdicts.lag(name, run.lags[name])
    ends = [run.gone_s, run.ended_s] if name == CUT else [run.ended_s]
    times_s = crossings(server, name)
    parts = [played(offline, times_s, begin, end) for begin, end in zip(run.begun[name], ends, strict=False)]
    verdicts.loops(name, parts)
    away, others = coverages(server, run, name)
    if name == CUT:
        told = ", ".join(f"{coverage:.2f}" for coverage in away)
        verdicts.add(name, "coverage of minutes with the cut", told, "under 1", bool(away) and min(away) < 0.99)
        late_s = run.back_s - run.there_s
        verdicts.add(name, "counted again after", f"{late_s:.1f} s", f"within {BACK_S:g} s", late_s <= BACK_S)
    else:
        whole = [*away, *others]
        told = f"least {min(whole, default=0):.2f} of {len(whole)} minutes"
        verdicts.add(name, "coverage all along", told, "1", bool(whole) and min(whole) > 0.99)
        breaks = sum(a == "running" != b for a, b in pairwise(run.states[name]))
        verdicts.add(name, "interruptions", str(breaks), "0", breaks == 0)
    return parts


def judged(run: Run, server: Served, offline: dict[str, Offline], console: Console) -> int:
    """Prints the table; how many lines do not hold."""
    verdicts = Verdicts()
    for name, whole in offline.items():
        parts = judge_camera(verdicts, run, server, name, whole)
        told = "; ".join(
            f"{list(part.counts)}, offline {list(part.offline)}, {part.alike:.0%} at the same moment"
            for part in parts
        )
        console.print(f"{name}: {run.dropped[name]} frames dropped, loops {told}")
    rate = sum(sum(rates) / len(rates) for rates in run.counted.values())
    console.print(f"{rate:.1f} frames a second counted, {run.cores:.2f} cores busy, load {os.getloadavg()[0]:.1f}")
    console.print(verdicts.table)
    return verdicts.failed


def until_the_minute_is_over() -> None:
    """Only whole minutes are told, some seconds after they ended."""
    time.sleep(60 - time.time() % 60 + 8)


def main() -> None:
    """Prints the table; exits with 1 if a line of it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=600)
    parser.add_argument("--folder", type=Path, help="keep videos and offline counts here, for the next time")
    given = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = given.folder or Path(name)
        videos = {scene.name: repeated(scene, given.seconds + SPARE_S, folder) for scene in SCENES}
        offline: dict[str, Offline] = {}
        for scene in SCENES:
            offline[scene.name] = whole = counted_offline(scene, MODEL, FPS, videos[scene.name])
            per_loop = len(whole.crossings_s) * whole.length_s / (given.seconds + SPARE_S)
            console.print(f"{scene.name}: {per_loop:.1f} crossings in each {whole.length_s:.1f} s, counted offline")
        run, server = watched(given.seconds, Path(name), videos, stack)
        until_the_minute_is_over()
        failed = judged(run, server, offline, console)
    console.print("all hold" if not failed else f"{failed} do not hold")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
