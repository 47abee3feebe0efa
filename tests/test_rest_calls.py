"""The calls about models and about the server: state, performance, time series, health."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from camcount.api.application import application
from tests.asgi_servers import served
from tests.planes import StandIn

ONE = "/api/v1/models/detector"


class Measured:
    """A database that notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime, Sequence[str]]] = []

    def series(self, model: str, since: datetime, until: datetime, names: Sequence[str]) -> list[dict[str, Any]]:
        """One point."""
        self.asked.append((model, since, until, names))
        return [{"time": datetime(2026, 1, 1, tzinfo=UTC), **dict.fromkeys(names, 1.5)}]


@dataclass
class Busy:
    """Rates of a model that answers ten requests a second."""

    cpu_share: float = 0.5
    memory_bytes: int = 1
    gpu: None = None
    latency_avg_s: float = 0.0125
    requests_per_s: float = 10.0

    @property
    def resources(self) -> Busy:
        """It is its own."""
        return self

    def performance(self, model: str, version: str | None = None) -> Busy:
        """The same for all."""
        return self


_PLANE, _MEASURED = StandIn(), Measured()


@pytest.fixture
def plane() -> StandIn:
    _PLANE.reset()
    return _PLANE


@pytest.fixture
def measured() -> Measured:
    _MEASURED.asked.clear()
    return _MEASURED


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    app = application(_PLANE, series=_MEASURED, rates=Busy(), render=lambda: b"up 1\n")
    with served(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
        yield http


def test_models_can_be_listed_loaded_and_unloaded(client: httpx.Client) -> None:
    """Every model with its state; unloading and loading answers with the state that follows."""
    (model,) = client.get("/api/v1/models").json()["models"]
    assert model == client.get(ONE).json()
    assert (model["modelId"], model["version"], model["status"]) == ("detector", "1.2.0", "ready")
    assert model["inputs"] == [{"name": "images", "shape": [None, 3, 416, 416], "datatype": "float32"}]
    assert model["lastUpdated"] == "2023-11-14T22:13:20.000Z"
    assert client.post(f"{ONE}/unload").json()["status"] == "unavailable"
    assert client.post(f"{ONE}/load").json()["status"] == "ready"
    assert client.post(f"{ONE}/reload").json()["status"] == "ready"
    assert client.post("/api/v1/models/other/load").json()["error"]["code"] == "MODEL_001"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("registered", "unavailable"),
        ("loading", "loading"),
        ("warming", "loading"),
        ("ready", "ready"),
        ("error", "error"),
        ("unavailable", "unavailable"),
    ],
)
def test_the_status_tells_state_and_performance(
    client: httpx.Client, plane: StandIn, state: str, status: str
) -> None:
    """Six states in four words; latency in milliseconds, throughput per second, memory of the model itself."""
    plane.state = state
    body = client.get(f"{ONE}/status").json()
    assert (body["status"], body["state"]) == (status, state)
    assert body["performance"] == {
        "avgLatency": 12.5,
        "throughput": 10.0,
        "accuracy": None,
        "resourceUsage": {"cpu": 0.5, "memory": 4096, "gpu": None},
    }


def test_metrics_of_a_model_are_a_time_series(client: httpx.Client, measured: Measured) -> None:
    """Range and names reach the database; seconds come back as milliseconds."""
    body = client.get(f"{ONE}/metrics?timeRange=2h&metrics=latency,%20errorRate").json()
    ((model, since, until, names),) = measured.asked
    assert (model, (until - since).total_seconds()) == ("detector", 7200)
    assert list(names) == ["latency_avg_s", "error_share"]
    assert body["points"] == [{"time": "2026-01-01T00:00:00Z", "latency": 1500.0, "errorRate": 1.5}]
    assert body["timeRange"] == "2h"
    client.get(f"{ONE}:1.2.0/metrics")
    assert measured.asked[-1][0] == "detector:1.2.0"


@pytest.mark.parametrize(
    "query",
    [
        "timeRange=1y",
        "timeRange=0h",
        "timeRange=-1h",
        "timeRange=53w",
        f"timeRange={'1' * 99}",
        "metrics=,",
        "metrics=%00",
        "metrics=latency,happiness",
    ],
)
def test_ranges_that_mean_nothing_are_refused(client: httpx.Client, query: str) -> None:
    """A range is a number and a unit, at most a year."""
    answer = client.get(f"{ONE}/metrics?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INF_001")


def test_health_and_measurements(client: httpx.Client, plane: StandIn) -> None:
    """Live as long as it answers, ready once its models are; Prometheus gets what is rendered."""
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    plane.state = "loading"
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SYS_001")
    metrics = client.get("/metrics")
    assert (metrics.text, metrics.headers["content-type"]) == ("up 1\n", "text/plain; version=0.0.4; charset=utf-8")
