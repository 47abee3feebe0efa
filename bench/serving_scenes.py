"""What goes wrong around a server while requests arrive, and whether clients notice."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving_load import Load, OpenLoop
from bench.serving_results import Verdict
from bench.serving_servers import ROOT, Running, camcount, free_port, running
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_MANIFEST = """name: faulty
version: 1.0.0
task: detection
engine: python
artifact: engine.py
safe: false
engine_options: {{class: Faulty, orders: {orders}}}
input: {{size: [64, 64]}}
output: {{decoder: end2end}}
labels: {{0: person, 1: car}}
"""


@dataclass
class Faulty:
    """A package of the detector of bench/serving_faulty.py, and the orders to it."""

    folder: Path

    @property
    def package(self) -> Path:
        """The package's folder."""
        return self.folder / "package"

    @property
    def orders(self) -> Path:
        """See bench/serving_faulty.py."""
        return self.folder / "orders"

    def make(self) -> Faulty:
        """Writes both anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.package.mkdir(parents=True)
        self.orders.mkdir()
        shutil.copy(ROOT / "bench" / "serving_faulty.py", self.package / "engine.py")
        (self.package / "model.yaml").write_text(_MANIFEST.format(orders=self.orders.absolute()))
        seal = [str(ROOT / ".venv" / "bin" / "python"), "-m", "camcount", "models", "seal", str(self.package)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        subprocess.run(seal, check=True, capture_output=True, env=environment)
        return self

    def computed(self) -> int:
        """Pictures that the model ran for, all instances together."""
        return sum(path.stat().st_size for path in self.orders.glob("instance-*"))

    def order(self, what: str, content: str = "") -> None:
        """``raise-1``, ``hang-1``, ``exit-1``, ``slow-all``."""
        (self.orders / what).write_text(content)

    def end(self, what: str) -> None:
        """Takes an order back."""
        (self.orders / what).unlink(missing_ok=True)

    def served(self, replicas: int = 3) -> dict[str, object]:
        """The settings' sections that serve it, quick to give a replica up and to try it again."""
        serving = {"breaker_threshold": 5, "breaker_recovery": 3.0, "health_timeout": 2.0}
        return {
            "models": {"detector": {"model": str(self.package.absolute()), "replicas": replicas}},
            "serving": serving,
        }


@dataclass
class Watch:
    """Reads ``/metrics`` four times a second in a thread of its own."""

    server: Running
    seen: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    """Seconds since the beginning, and the breakers' states by replica, whenever they changed."""

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Looks until the end of the block."""
        over, begun = threading.Event(), time.monotonic()

        def look() -> None:
            while not over.wait(0.25):
                with suppress(OSError):
                    states = breakers(self.server)
                    if not self.seen or states != self.seen[-1][1]:
                        self.seen.append((time.monotonic() - begun, states))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def opened(self) -> float | None:
        """When a breaker was first seen open."""
        return next((when for when, states in self.seen if "open" in states.values()), None)

    def closed(self) -> float | None:
        """When all were seen closed again after that, for good."""
        opened, last = self.opened(), self.seen[-1] if self.seen else None
        return last[0] if opened is not None and last and set(last[1].values()) == {"closed"} else None


def metric(server: Running, name: str) -> float:
    """The sum of one metric over all labels."""
    return sum(sample.value for sample in _samples(server) if sample.name == name)


def breakers(server: Running) -> dict[str, str]:
    """The state of each replica's breaker."""
    found = [sample.labels for sample in _samples(server) if sample.name == "camcount_breaker_state" and sample.value]
    return {labels["replica"]: labels["state"] for labels in found}


def _samples(server: Running) -> list[Sample]:
    text = server.get("/metrics")[1].decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def under_load(
    server: Running, bodies: Sequence[bytes], rate: float, seconds: float, *happens: tuple[float, Callable[[], None]]
) -> tuple[Load, int]:
    """The open loop while things happen at their moments (seconds); the load, and how many requests there were."""
    contender = server.contender
    loop = OpenLoop(server.port, contender.path, contender.headers, bodies)
    timers = [threading.Timer(when, what) for when, what in happens]
    for timer in timers:
        timer.start()
    load = asyncio.run(loop.run(rate, seconds))
    for timer in timers:
        timer.join()
    return load, len(loop.statuses)


def _share(what: str, load: Load, requests: int) -> Verdict:
    share = 1 - load.errors / max(1, requests)
    measured = f"{100 * share:.2f} % of {requests}, p95 {load.p95:.0f} ms, p99 {load.p99:.0f} ms"
    return Verdict(f"{what}: at least 99.9 % succeed", measured, share >= 0.999)


def replica_fails(kind: str, picture: bytes, folder: Path, seconds: float) -> list[Verdict]:
    """One of three replicas raises, hangs or ends for a third of the time, at 50 requests a second."""
    faulty = Faulty(folder / kind).make()
    order = f"{kind}-1"
    name = {"raise": "a replica raises", "hang": "a replica hangs", "exit": "a replica is killed"}[kind]
    with running(camcount(name, faulty.served()), folder / f"{kind}-server") as server:
        watch = Watch(server)
        with watch.looking():
            load, requests = under_load(
                server,
                [picture],
                50,
                seconds,
                (seconds / 6, lambda: faulty.order(order)),
                (seconds / 2, lambda: faulty.end(order)),
            )
        failed = metric(server, "camcount_replica_failed_total")
        replicas = len(breakers(server))
    faulty.end(order)
    found = [_share(name, load, requests)]
    found.append(Verdict(f"{name}: three replicas at the end, its failures counted", f"{replicas}, {failed:.0f}",
                         replicas == 3 and failed > 0))  # fmt: skip
    if kind == "raise":
        opened, closed = watch.opened(), watch.closed()
        told = (
            f"opened {_at(opened)}, closed {_at(closed)}; told to raise at {seconds / 6:.1f} to {seconds / 2:.1f} s"
        )
        found.append(Verdict(f"{name}: /metrics has its breaker open and close", told, None not in (opened, closed)))
    return found


def _at(when: float | None) -> str:
    return "never" if when is None else f"at {when:.1f} s"


def cache_goes(picture: bytes, folder: Path, seconds: float) -> list[Verdict]:
    """The Redis server that keeps the results is killed, and comes back."""
    if shutil.which("redis-server") is None:
        raise SystemExit("no Redis to kill: apt-get install redis-server")
    faulty, redis = Faulty(folder / "redis").make(), _Redis(free_port())
    redis.start()
    settings = {**faulty.served(), "cache": {"url": f"redis://127.0.0.1:{redis.port}/0"}}
    # pictures that differ in a comment, for an answer that is kept in memory never comes to Redis
    bodies = [b"\xff\xd8\xff\xfe\x00\x06%04d" % number + picture[2:] for number in range(int(seconds * 40))]
    try:
        with running(camcount("Redis is killed and comes back", settings), folder / "redis-server") as server:
            load, requests = under_load(
                server, bodies, 20, seconds, (seconds / 4, redis.kill), (seconds / 2, redis.start)
            )
            kept, log = redis.keys(), server.log.read_text()
    finally:
        redis.kill()
    name = server.contender.name
    return [
        _share(name, load, requests),
        Verdict(f"{name}: SYS_003 in the log", f"{log.count('SYS_003')} times", "SYS_003" in log),
        Verdict(f"{name}: it keeps results again", f"{kept} results", kept > 0),
    ]


@dataclass
class _Redis:
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it empty and waits until it listens."""
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(400):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)

    def kill(self) -> None:
        """At once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def keys(self) -> int:
        """How many it holds."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"DBSIZE\r\n")
            return int(connection.recv(64).strip(b":\r\n"))


def remote_goes(picture: bytes, plain: Path, folder: Path, seconds: float) -> list[Verdict]:
    """A model on another server is cut off; a local one answers instead until it is back."""
    port, model = free_port(), {"model": str(plain.absolute()), "replicas": 1}
    there = camcount("remote", {"models": {"detector": model}})
    address = f"http://127.0.0.1:{port}/v2/models/detector.tensors"
    asked = {"model": address, "replicas": 2, "fallbacks": [{"target": "local"}]}
    settings = {"models": {"detector": asked, "local": model}, "serving": {"breaker_recovery": 2.0}}
    name = "a remote model is cut off"
    with (
        running(there, folder / "remote", port) as remote,
        running(camcount(name, settings), folder / "front") as server,
    ):
        before = metric(server, "camcount_fallbacks_total")
        load, requests = under_load(server, [picture], 5, seconds, (seconds / 3, lambda: _cut(remote)))
        instead = metric(server, "camcount_fallbacks_total") - before
    return [
        _share(name, load, requests),
        Verdict(f"{name}: the fallback answers, and /metrics says so", f"{instead:.0f} times", instead > 0),
    ]


def _cut(server: Running) -> None:
    os.killpg(server.process.pid, signal.SIGKILL)


def clients_leave(picture: bytes, folder: Path, clients: int = 24) -> list[Verdict]:
    """Clients close their connections while their requests are queued behind slow ones."""
    faulty = Faulty(folder / "leave").make()
    name = f"{clients} clients leave"
    with running(camcount(name, faulty.served()), folder / "leave-server") as server:
        server.post(picture)
        faulty.order("slow-all", "1.0")
        before, computed = metric(server, "camcount_cancelled_unrun_total"), faulty.computed()
        contender = server.contender
        head = (
            f"POST {contender.path} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}"
        )
        connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(clients)]
        for connection in connections:
            connection.sendall(head.encode() + b"\r\n\r\n" + picture)
        time.sleep(0.3)
        for connection in connections:
            connection.close()
        time.sleep(2.5)
        dropped = metric(server, "camcount_cancelled_unrun_total") - before
        ran = faulty.computed() - computed
        faulty.end("slow-all")
    measured = f"{dropped:.0f} dropped as /metrics says, {ran} computed by three replicas"
    return [Verdict(f"{name}: what is queued is not computed", measured, dropped + ran == clients and ran <= 6)]
