"""Registries for the tests: fresh ones on SQLite, and a real MLflow server with its files on a real S3 interface."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import pytest

from camcount.models.describe import Description, describe, look
from camcount.models.manifest import manifest_of
from camcount.models.package import Package, seal
from camcount.models.registry import Registry
from camcount.video.encoded import picture_frame
from tests.ports import free_port

_SERVERS = Path(os.environ.get("CAMCOUNT_TEST_MLFLOW", Path(__file__).parents[1] / ".venv-mlflow")) / "bin"
_S3_USER = {
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}

DATA = Path(__file__).parents[2] / "shared" / "data"
PHOTO = DATA / "images" / "photos" / "people1.jpeg"
WEIGHTS = {"1.0.0": "yolox_nano_416x416.onnx", "1.1.0": "picodet_s_320_coco.onnx"}


def a_package(folder: Path, version: str = "1.0.0", content: bytes = b"weights", **fields: Any) -> Package:
    """A sealed package with one small file."""
    root = folder / f"{fields.get('name', 'tiny')}-{version}-{len(list(folder.iterdir()))}"
    root.mkdir()
    (root / "model.onnx").write_bytes(content)
    values = {
        "name": "tiny",
        "version": version,
        "artifact": "model.onnx",
        "input": {"size": [32, 32]},
        "output": {"decoder": "yolox"},
        "labels": {0: "person"},
        **fields,
    }
    return seal(root, manifest_of(values, "given"))


@cache
def empty_database() -> Path:
    """An MLflow database with nothing in it; making one takes seconds, copying it none."""
    from mlflow import MlflowClient

    folder = Path(tempfile.mkdtemp(prefix="camcount-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "empty.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    return path


def registry_in(home: Path) -> Registry:
    """The registry of a server whose home that is."""
    return Registry(f"sqlite:///{home / 'registry' / 'mlflow.db'}")


def two_versions(home: Path) -> None:
    """Gives a home a registry with two real detectors as versions of ``street``, the first of them champion."""
    (home / "registry").mkdir()
    shutil.copy(empty_database(), home / "registry" / "mlflow.db")
    registry = registry_in(home)
    for version, file in WEIGHTS.items():
        notes = {"notes": f"Made of {file}", "lineage": {"parent": "street:1.0.0"} if version != "1.0.0" else {}}
        given = Description(name="street", version=version, fields=notes)
        package = describe(DATA / "weights" / file, home / version, given)
        registry.register(look(package, picture_frame(PHOTO.read_bytes()))[0])
    registry.promote("street:1.0.0", "champion", "the first one in use")


def new_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes ``folder`` the home of somebody called ann, with an empty registry."""
    monkeypatch.setenv("CAMCOUNT_HOME", str(folder))
    monkeypatch.setenv("CAMCOUNT_USER", "ann@desk")
    for name in ("URL", "ARTIFACTS"):
        monkeypatch.delenv(f"CAMCOUNT_REGISTRY_{name}", raising=False)
    (folder / "registry").mkdir(parents=True)
    shutil.copy(empty_database(), folder / "registry" / "mlflow.db")
    return folder


@dataclass
class MlflowServer:
    """An MLflow tracking server that can be killed and started again, and the S3 server that has its files."""

    folder: Path
    port: int
    s3_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the S3 server has to know."""
        return {**_S3_USER, "MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{self.s3_port}"}

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = [
            str(_SERVERS / "mlflow"),
            "server",
            *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", "s3://models/files"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
        ]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self.folder / "server.log").open("ab") as log:
            environment = {**os.environ, **self.environment, **quiet}
            # a session of its own, so that killing it takes its workers along
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        wait_for(f"{self.url}/health", self.process, self.folder / "server.log")

    def kill(self) -> None:
        """Ends it without any warning."""
        if self.process is not None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            self.process = None

    def stored(self) -> str:
        """What lies on S3."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.s3_port}/models") as answer:
            return str(answer.read().decode())


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    """A server on free ports; skips where `.venv-mlflow` has no MLflow and no moto."""
    if not (_SERVERS / "mlflow").exists() or not (_SERVERS / "moto_server").exists():
        pytest.skip(
            "no MLflow server: python -m venv .venv-mlflow && .venv-mlflow/bin/pip install mlflow 'moto[server,s3]'"
        )
    shutil.copy(empty_database(), folder / "mlflow.db")
    server = MlflowServer(folder, free_port(), free_port())
    with (folder / "s3.log").open("wb") as log:
        s3 = _start_s3(server.s3_port, log)
        try:
            wait_for(f"http://127.0.0.1:{server.s3_port}/", s3, folder / "s3.log")
            bucket = urllib.request.Request(f"http://127.0.0.1:{server.s3_port}/models", method="PUT")
            urllib.request.urlopen(bucket).close()
            server.start()
            yield server
        finally:
            server.kill()
            s3.kill()
            s3.wait()


def _start_s3(port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([_SERVERS / "moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Waits until an address answers; fails with the log if its server ends or takes two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no answer from {url}: {log.read_text()[-500:]}")
