"""Load: `wrk` keeps so many requests open at all times; the open loop sends at random times, come what may."""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.serving_servers import Running

_SCRIPT = Path(__file__).parent / "serving.lua"


@dataclass(frozen=True)
class Load:
    """What one run of load measured.

    ``rate`` is answers per second; ``p50``, ``p95``, ``p99`` milliseconds; ``refused`` answers that are no 2xx;
    ``broken`` connections that failed or answers that did not come; ``cpu_ms`` of the server for each answer;
    ``stolen`` the share of time in which the machine ran for somebody else.
    """

    rate: float
    p50: float
    p95: float
    p99: float
    refused: int
    broken: int
    cpu_ms: float = 0.0
    stolen: float = 0.0

    @property
    def errors(self) -> int:
        """All that went wrong."""
        return self.refused + self.broken


def require_wrk() -> None:
    """Ends the benchmark where there is no load generator."""
    if shutil.which("wrk") is None:
        sys.exit("no wrk to make load with: apt-get install wrk")


def write_bodies(server: Running, pictures: Sequence[bytes], folder: Path) -> None:
    """The requests' bodies as files, in the form that the server wants."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        (folder / f"{number:02d}").write_bytes(server.contender.body(picture))


def start_load(server: Running, bodies: Path, count: int, connections: int, seconds: float) -> subprocess.Popen[str]:
    """Keeps ``connections`` requests open at any time, for so many seconds; `wrk_found` waits for what came of it."""
    headers = [text for pair in server.contender.headers.items() for text in pair]
    threads = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(_SCRIPT)]
    url = f"http://127.0.0.1:{server.port}{server.contender.path}"
    command = ["wrk", *threads, url, "--", str(bodies), str(count), *headers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wrk_found(load: subprocess.Popen[str], *, at_once: bool = False) -> dict[str, float]:
    """What `serving.lua` prints at the end, which may be now."""
    while at_once and load.poll() is None:  # again: an interrupt that one of its other threads takes does not end wrk
        load.send_signal(signal.SIGINT)
        time.sleep(0.05)
    output, errors = load.communicate()
    line = next((line for line in output.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"wrk failed: {output[-500:]} {errors[-500:]}")
    found: dict[str, float] = json.loads(line)
    return found


def closed_loop(server: Running, bodies: Path, count: int, connections: int, seconds: float) -> Load:
    """``connections`` requests open at any time, for so many seconds."""
    busy, before = server.cpu_s(), _ticks()
    found = wrk_found(start_load(server, bodies, count, connections, seconds))
    busy, after = server.cpu_s() - busy, _ticks()
    answered = max(1, found["requests"])
    if not found["requests"]:  # slower than the whole run is not quick
        found |= dict.fromkeys(("p50", "p95", "p99"), math.inf)
    return Load(
        rate=(found["requests"] - found["refused"]) / found["seconds"],
        p50=found["p50"],
        p95=found["p95"],
        p99=found["p99"],
        refused=int(found["refused"]),
        broken=int(found["broken"]),
        cpu_ms=1000 * busy / answered,
        stolen=(after[0] - before[0]) / max(1, after[1] - before[1]),
    )


def _ticks() -> tuple[int, int]:
    """Of all cores: how long a virtual machine was kept waiting, and all time."""
    cores = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return cores[7], sum(cores)


class OpenLoop:
    """Requests at random times (Poisson), each timed from the moment at which it should have been sent.

    Written on bare streams because a client that took milliseconds for each request would measure itself.
    """

    def __init__(
        self, port: int, path: str, headers: Mapping[str, str], bodies: Sequence[bytes], seed: int = 7
    ) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._requests = [
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
            for body in bodies
        ]
        self.latencies: list[float] = []
        self.statuses: list[int] = []
        """Of every request, in the order of their ends; 0 where no answer came."""
        self.due: list[float] = []
        """When the requests of the last run should have been sent, in seconds after its begin."""
        self._ran_s = 0.0

    async def run(self, rate: float, seconds: float, timeout: float = 30.0) -> Load:
        """So many requests a second, for so many seconds; the load of this run and those before it."""
        begun = time.monotonic()
        due, self.due = begun, []
        tasks: list[asyncio.Task[None]] = []
        while True:
            due += self._random.expovariate(rate)
            if due - begun > seconds:
                break
            self.due.append(due - begun)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(len(tasks), due, timeout)))
        await asyncio.gather(*tasks)
        self._ran_s += time.monotonic() - begun
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()
        p50, p95, p99 = np.percentile(self.latencies or [0.0], [50, 95, 99]).tolist()
        good = sum(200 <= status < 300 for status in self.statuses)
        broken = self.statuses.count(0)
        refused = len(self.statuses) - good - broken
        return Load(good / self._ran_s, 1e3 * p50, 1e3 * p95, 1e3 * p99, refused, broken)

    async def _one(self, number: int, due: float, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                status = await self._exchange(self._requests[number % len(self._requests)])
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            status = 0
        self.statuses.append(status)
        self.latencies.append(time.monotonic() - due)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection used last; one that was idle for long the server may have closed."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def _exchange(self, request: bytes) -> int:
        reader, writer = await self._connection()
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(lines[0].split()[1])


def open_loop(
    server: Running, pictures: Sequence[bytes], seconds: float, rates: Iterable[tuple[float, float]]
) -> tuple[Load, float]:
    """The open loop against a server, for so many seconds at each rate; rates come with the floor at that moment.

    With the load of all there is the p95 (ms) of the floor's two processes, had they taken the same requests.
    """
    contender = server.contender
    bodies = [contender.body(picture) for picture in pictures]
    loop, bare, busy = OpenLoop(server.port, contender.path, contender.headers, bodies), list[float](), 0.0
    for rate, floor in rates:
        before = server.cpu_s()
        load = asyncio.run(loop.run(rate, seconds))
        busy += server.cpu_s() - before
        bare += queued(loop.due, 2 / floor, workers=2)
    load = Load(**{**load.__dict__, "cpu_ms": 1000 * busy / len(loop.statuses)})
    return load, 1e3 * float(np.percentile(bare, 95))


def queued(due: Sequence[float], service_s: float, workers: int) -> list[float]:
    """How long requests that come at these times take where each keeps one worker busy for so many seconds.

    First come, first served: the queue that is called G/D/c.
    """
    free, found = [0.0] * workers, []
    for moment in due:
        ends = max(heapq.heappop(free), moment) + service_s
        heapq.heappush(free, ends)
        found.append(ends - moment)
    return found
