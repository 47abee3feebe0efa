"""Cameras of a running server: made, watched, redrawn, stopped, deleted, and found again after a restart."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.serving import Served, camcount_serve

LINE = {"door": [0.72, 1.0, 0.72, 0.3]}


def _ask(server: Served, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/api/v1/cameras{path}", content, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, said = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, said = error.code, error.read()
    return status, json.loads(said) if said[:1] in (b"{", b"[") else said


def _until(server: Served, name: str, fact: Callable[[dict[str, Any]], bool], seconds: float = 90) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while True:
        camera: dict[str, Any] = _ask(server, "GET", f"/{name}")[1]
        if fact(camera):
            return camera
        assert time.monotonic() < until, camera
        time.sleep(0.1)


@pytest.fixture
def model(data: Path) -> str:
    """A quick detector of people."""
    return f"people={data / 'weights/light_person_detector.onnx'}"


def test_a_camera_is_made_counted_redrawn_and_deleted(data: Path, tmp_path: Path, model: str) -> None:
    """Over the interface, while it runs; and a restart finds it as it was left."""
    video = str(data / "videos/one-by-one-person-detection.mp4")
    home = tmp_path / "home"
    with camcount_serve(home, model) as server:
        server.until_ready()
        entry = {"source": video, "labels": ["person"], "lines": LINE, "pace": "fast"}
        assert _ask(server, "PUT", "/hall", entry)[0] == 201
        ended = _until(server, "hall", lambda camera: camera["state"] == "ended", 200)
        counted = ended["totals"]["door"]
        assert 5 <= counted["in"] + counted["out"] <= 7
        status, picture = _ask(server, "GET", "/hall/snapshot")
        assert status == 200
        assert picture[:3] == b"\xff\xd8\xff"
        events = server.get("/api/v1/events?format=json&camera=hall")[1]["events"]
        assert len([event for event in events if event["type"] == "camcount.crossing"]) == sum(
            counted[way] for way in ("in", "out")
        )
        loop = {**entry, "loop": True, "pace": "real"}
        assert _ask(server, "PUT", "/loop", loop)[0] == 201
        _until(server, "loop", lambda camera: camera["state"] == "running")
        status, redrawn = _ask(server, "PATCH", "/loop/shapes", {"lines": {**LINE, "far": [0.2, 0.5, 0.9, 0.5]}})
        assert status == 200
        assert set(redrawn["totals"]) == {"door", "far"}
        assert redrawn["promise"] == {"viewSeconds": 0.25, "heightsPerSecond": 4.0}
        assert _ask(server, "POST", "/loop/stop")[1]["state"] == "stopped"
        assert _ask(server, "POST", "/loop/start")[0] == 200
        _until(server, "loop", lambda camera: camera["state"] == "running")
        assert _ask(server, "DELETE", "/hall")[0] == 204
        assert server.stop() == 0
    with camcount_serve(home, model) as server:
        server.until_ready()
        camera = _until(server, "loop", lambda camera: camera.get("state") == "running")
        assert set(camera["totals"]) == {"door", "far"}
        assert _ask(server, "GET", "/hall")[0] == 404
        assert len(server.get("/api/v1/events?format=json&camera=hall")[1]["events"]) == len(events)


def test_what_is_counted_is_told_over_time_with_gaps(data: Path, tmp_path: Path, model: str) -> None:
    """Minutes nobody saw are gaps, and never zero."""
    config = tmp_path / "camcount.yaml"
    video = data / "videos/one-by-one-person-detection.mp4"
    config.write_text(
        f"models: {{people: '{data / 'weights/light_person_detector.onnx'}'}}\n"
        f"cameras: {{hall: {{source: '{video}', pace: fast, lines: {json.dumps(LINE)}}}}}\n"
    )
    with camcount_serve(tmp_path / "home", "--config", str(config)) as server:
        server.until_ready()
        _until(server, "hall", lambda camera: camera.get("state") == "ended", 200)
        # played faster than it was recorded, its time runs ahead of the clock
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+", "%2B")
        minutes = _ask(server, "GET", f"/hall/counts?step=1m&until={until}")[1]["intervals"]
        seen = [minute for minute in minutes if minute["coverage"] > 0]
        assert seen
        assert all(minute["count"] is None for minute in minutes if minute["coverage"] == 0)
        assert all(minute["low"] <= minute["count"] <= minute["high"] for minute in seen)


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/hall", {"sauce": "x"}, 400, "sauce"),
        ("/hall", {"source": ""}, 400, "needs its source"),
        ("/hall", {"source": "a.mp4", "timeZone": "Mars"}, 400, "no time zone"),
        ("/hall", {"source": "a.mp4", "lines": {"door": [0.1, 0.2, 0.3]}}, 400, "odd number"),
        ("/a%2Fb", {"source": "a.mp4"}, 404, ""),
    ],
)
def test_what_cannot_be_a_camera_is_refused(
    tmp_path_factory: pytest.TempPathFactory, path: str, body: Any, status: int, said: str
) -> None:
    """With what would be right, and nothing is made."""
    with camcount_serve(tmp_path_factory.mktemp("refused")) as server:
        got, answer = _ask(server, "PUT", path, body)
        assert got == status
        assert said in str(answer)
        assert _ask(server, "GET", "")[1] == {"cameras": []}
