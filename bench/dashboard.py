"""What ten open dashboards cost a server that counts four cameras as fast as it can.

Four cameras read a real street from a file, again and again, as fast as YOLOX-Nano on this machine can count it. In
turn nobody looks, and ten dashboards do: each opens the wall of cameras as a browser does (page, NiceGUI's socket
with its updates once a second, the socket of the moving pictures) and takes all that comes, without showing it.
Printed are frames per second, and frames per second of the server's processor time (which leaves out what the ten
themselves use, and other work of the machine), with dashboards against without, in turns of one run; and the cores
that the server uses beyond what its frames cost when nobody looks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import socketio
from rich.console import Console
from rich.table import Table
from tests.serving import Served, camcount_serve
from websockets.asyncio.client import connect

DATA = Path(__file__).parents[2] / "shared" / "data"
NAMES = ("north", "east", "south", "west")
_TICKS = os.sysconf("SC_CLK_TCK")
_CLIENT = re.compile(r"[\"']client_id[\"']:\s*[\"']([0-9a-f-]{36})")


@dataclass
class Dashboard:
    """One browser without a screen."""

    url: str
    pictures: int = 0
    updates: int = 0
    received: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, server: Served) -> None:
        """Opens the wall."""
        page = await asyncio.to_thread(server.get, "/")
        found = _CLIENT.search(page[1].decode())
        assert found, "the page names its client"
        self._socket = socketio.AsyncClient()
        self._socket.on("update", self._updated)
        query = (
            f"client_id={found[1]}&tab_id={found[1]}&document_id={found[1]}&next_message_id=0&implicit_handshake=true"
        )
        await self._socket.connect(
            f"{self.url}?{query}", transports=["websocket"], socketio_path="/_nicegui_ws/socket.io"
        )
        self._tasks.append(asyncio.create_task(self._look()))

    async def close(self) -> None:
        """Closes it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.disconnect()

    def _updated(self, message: object) -> None:
        self.updates += 1

    async def _look(self) -> None:
        async with connect(self.url.replace("http", "ws") + "/_dashboard/pictures", compression=None) as socket:
            await socket.send(json.dumps([[name, 640] for name in NAMES]))
            async for message in socket:
                self.pictures += 1
                self.received += len(message)


@dataclass(frozen=True)
class Turn:
    """Some seconds with, or without, dashboards."""

    fps: float
    cpu_share: float
    """Cores that the server used."""
    pictures_per_s: float = 0.0
    updates_per_s: float = 0.0
    megabytes_per_s: float = 0.0

    @property
    def frames_per_cpu_s(self) -> float:
        """Frames that a second of processor time counted."""
        return self.fps / self.cpu_share


async def turn(server: Served, seconds: float, dashboards: int) -> Turn:
    """Lets the server count, with so many dashboards open."""
    opened = [Dashboard(server.url) for _ in range(dashboards)]
    for dashboard in opened:
        await dashboard.open(server)
    await asyncio.sleep(3)
    before = [(one.pictures, one.updates, one.received) for one in opened]
    began, cpu, rates = time.monotonic(), _cpu_s(server.process.pid), []
    while time.monotonic() - began < seconds:
        await asyncio.sleep(1.0)
        rates.append(await asyncio.to_thread(_fps, server))
    took, used = time.monotonic() - began, _cpu_s(server.process.pid) - cpu
    gained = [
        (one.pictures - pictures, one.updates - updates, one.received - received)
        for one, (pictures, updates, received) in zip(opened, before, strict=True)
    ]
    for dashboard in opened:
        await dashboard.close()
    pictures, updates, received = (
        (sum(column) / took for column in zip(*gained, strict=True)) if gained else (0, 0, 0)
    )
    return Turn(statistics.mean(rates), used / took, pictures, updates, received / 2**20)


def _fps(server: Served) -> float:
    return sum(float(camera["fps"]) for camera in server.get("/api/v1/cameras")[1]["cameras"])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _config(folder: Path, video: Path) -> Path:
    cameras = {
        name: {"source": str(video), "loop": True, "pace": "fast", "lines": {"door": [0.1, 0.6, 0.9, 0.6]}}
        for name in NAMES
    }
    path = folder / "camcount.yaml"
    path.write_text(json.dumps({"cameras": cameras}))
    return path


async def run(server: Served, rounds: int, seconds: float, dashboards: int) -> None:
    """Prints the comparison."""
    await asyncio.to_thread(server.until_ready)
    await asyncio.sleep(8)
    turns = [(await turn(server, seconds, 0), await turn(server, seconds, dashboards)) for _ in range(rounds)]
    table = Table(title=f"{len(NAMES)} cameras, {dashboards} dashboards, {rounds} turns of {seconds:g} s")
    for column in ("", "nobody looks", "dashboards open", "ratio"):
        table.add_column(column, justify="right")
    for name, value in (("frames/s", "fps"), ("frames per processor second", "frames_per_cpu_s")):
        without, looked = ([getattr(pair[i], value) for pair in turns] for i in (0, 1))
        ratio = statistics.median(b / a for a, b in zip(without, looked, strict=True))
        table.add_row(name, f"{statistics.median(without):.1f}", f"{statistics.median(looked):.1f}", f"{ratio:.3f}")
    cores = statistics.median(b.cpu_share - b.fps / a.frames_per_cpu_s for a, b in turns)
    table.add_row("cores that the dashboards cost", "", f"{cores:.3f}", f"{cores / (os.cpu_count() or 1):.3f} of all")
    for name in ("pictures_per_s", "updates_per_s", "megabytes_per_s"):
        table.add_row(name.replace("_", " "), "", f"{statistics.median(getattr(b, name) for _, b in turns):.1f}", "")
    Console().print(table)


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DATA / "weights/yolox_nano_416x416.onnx")
    parser.add_argument("--video", type=Path, default=DATA / "videos/people-walking.mp4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--dashboards", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        config = _config(Path(home), asked.video.resolve())
        with camcount_serve(Path(home), f"nano={asked.model.resolve()}", "--config", str(config)) as server:
            asyncio.run(run(server, asked.rounds, asked.seconds, asked.dashboards))
            server.stop()


if __name__ == "__main__":
    main()
