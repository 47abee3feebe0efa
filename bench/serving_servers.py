"""The servers of the comparison: how each is started, asked and stopped, and what it takes of the machine."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_TICKS = os.sysconf("SC_CLK_TCK")


def jpeg_type() -> dict[str, str]:
    """The headers of a picture posted as it is."""
    return {"Content-Type": "image/jpeg"}


def _same(picture: bytes) -> bytes:
    return picture


@dataclass(frozen=True)
class Contender:
    """One server.

    Attributes:
        command: what starts it on a port, given a folder of its own.
        path: where pictures are posted; ``ready`` is what answers 200 once it can.
        body: a picture's file to what is posted; ``found`` the answer to the boxes in it.
        environment: variables it wants; ``python``: whose existence says that it is installed.
    """

    name: str
    command: Callable[[Path, int], Sequence[str]]
    path: str
    ready: str
    body: Callable[[bytes], bytes] = _same
    headers: Mapping[str, str] = field(default_factory=jpeg_type)
    found: Callable[[bytes], list[dict[str, Any]]] = json.loads
    environment: Mapping[str, str] = field(default_factory=dict)
    python: Path = ROOT / ".venv" / "bin" / "python"


def _peer(environment: str, module: str) -> tuple[Path, Callable[[Path, int], list[str]]]:
    python = ROOT / environment / "bin" / "python"
    return python, lambda folder, port: [str(python), "-m", f"bench.serving_peers.{module}", str(port)]


def _mlserver(folder: Path, port: int) -> list[str]:
    tensors: dict[str, Any] = {
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1, 1]}],
        "outputs": [{"name": "detections", "datatype": "BYTES", "shape": [-1, 1]}],
    }
    runs = {"implementation": "bench.serving_peers.mlserver_runtime.Detection"}
    batches = {"max_batch_size": 4, "max_batch_time": 0.01}
    (folder / "model-settings.json").write_text(json.dumps({"name": "detector", **runs, **batches, **tensors}))
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    quiet = {"debug": False, "host": "127.0.0.1", "parallel_workers": 2}
    (folder / "settings.json").write_text(json.dumps({**quiet, **ports}))
    return [str(ROOT / ".venv-mlserver" / "bin" / "mlserver"), "start", str(folder)]


def _mlserver_body(picture: bytes) -> bytes:
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
    return json.dumps({"inputs": [{**tensor, "data": [base64.b64encode(picture).decode()]}]}).encode()


def _mlserver_found(answer: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(json.loads(answer)["outputs"][0]["data"][0])
    return found


def _ours_found(answer: bytes) -> list[dict[str, Any]]:
    found = json.loads(answer)["results"]["detections"]
    return [{"label": d["class"], "confidence": d["confidence"], "box": d["bbox"]} for d in found]


def peers(job: Path) -> list[Contender]:
    """The others, with the job in a folder of `bench.serving_job.write_job`."""
    given = {"JOB": str(job.absolute())}
    lit, lit_command = _peer(".venv-litserve", "litserve_server")
    plain, plain_command = _peer(".venv-litserve", "plain_fastapi")
    mlserver = ROOT / ".venv-mlserver" / "bin" / "python"
    return [
        Contender("LitServe", lit_command, "/predict", "/health", environment=given, python=lit),
        Contender(
            "MLServer",
            _mlserver,
            "/v2/models/detector/infer",
            "/v2/models/detector/ready",
            _mlserver_body,
            {"Content-Type": "application/json"},
            _mlserver_found,
            given,
            mlserver,
        ),
        Contender("FastAPI", plain_command, "/detect", "/docs", environment=given, python=plain),
    ]


def ours(name: str, package: Path) -> Contender:
    """`camcount serve` with one model, as many replicas as it takes by itself, no result cache and no access log.

    The peers log no access either.
    """
    model = {"model": str(package.absolute())}
    return camcount(name, {"models": {"detector": model}, "log_level": "warning"})


def camcount(name: str, settings: Mapping[str, Any], model: str = "detector") -> Contender:
    """`camcount serve` with these settings; the cache is off and the database new unless they say otherwise."""

    def command(folder: Path, port: int) -> list[str]:
        given = {"cache": {"enabled": False}, "database_url": f"sqlite:///{folder.absolute()}/served.db", **settings}
        (folder / "served.db").unlink(missing_ok=True)
        (folder / "camcount.yaml").write_text(json.dumps(given))  # JSON is YAML too
        serve = ["serve", "--config", str(folder / "camcount.yaml"), "--host", "127.0.0.1", "--port", str(port)]
        return [str(ROOT / ".venv" / "bin" / "python"), "-m", "camcount", *serve]

    path = f"/api/v1/models/{model}/inference?confidenceThreshold=0.25"
    return Contender(name, command, path, "/health/ready", found=_ours_found)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@dataclass
class Running:
    """A server that runs."""

    contender: Contender
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    start_s: float = 0.0

    def get(self, path: str, timeout: float = 5.0) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._ask("GET", path, None, {}, timeout)

    def post(self, picture: bytes, timeout: float = 60.0) -> tuple[int, bytes]:
        """Status and body of the answer to a picture."""
        contender = self.contender
        return self._ask("POST", contender.path, contender.body(picture), contender.headers, timeout)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wait_ready(self, timeout: float = 120.0) -> None:
        """Until it answers that it is."""
        begun = time.monotonic()
        while time.monotonic() - begun < timeout:
            if self.process.poll() is not None:
                break
            with suppress(OSError, http.client.HTTPException):
                if self.get(self.contender.ready)[0] == 200:
                    self.start_s = time.monotonic() - begun
                    return
            time.sleep(0.05)
        raise SystemExit(f"{self.contender.name} does not start:\n{self.log.read_text()[-2000:]}")

    def drain(self, picture: bytes, timeout: float = 20.0) -> None:
        """Until requests that a load generator left behind are worked off: three answers as quick as ever."""
        quick, begun = 0, time.monotonic()
        while quick < 3 and time.monotonic() - begun < timeout:
            asked = time.monotonic()
            self.post(picture)
            quick = quick + 1 if time.monotonic() - asked < 0.25 else 0

    def memory_mb(self) -> float:
        """Resident memory of the process and all below it, shared pages divided (PSS)."""
        return sum(_proportional_kb(pid) for pid in tree(self.process.pid)) / 1024

    def cpu_s(self) -> float:
        """Processor seconds of the process and all below it so far."""
        return sum(cpu_s(pid) for pid in tree(self.process.pid))


@contextmanager
def running(contender: Contender, folder: Path, port: int = 0) -> Iterator[Running]:
    """The server, ready; stopped with everything it started at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = port or free_port(), folder / "log.txt"
    variables = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **contender.environment}
    with log.open("wb") as output:
        process = subprocess.Popen(
            contender.command(folder, port),
            cwd=ROOT,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Running(contender, port, process, log)
    try:
        server.wait_ready()
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], patience: float = 15.0) -> None:
    """Asks the process to end; after a while ends it and all of its session."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(one := waiting.pop())
        waiting += parents.get(one, [])
    return found


def _stat(pid: int) -> list[str]:
    return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    with suppress(OSError):
        user, system = _stat(pid)[11:13]
        return (int(user) + int(system)) / _TICKS
    return 0.0


def _proportional_kb(pid: int) -> int:
    with suppress(OSError, StopIteration):
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0
