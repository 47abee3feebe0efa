"""File cameras: exact counts, whatever happens to the process."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from camcount.cameras.cameras import Cameras
from camcount.cameras.settings import CameraSettings
from camcount.geometry import parse_line, parse_zone
from camcount.protocols import Source
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel
from camcount.storage.counts import CountStore
from camcount.video.open import source_for
from tests.databases import new_url
from tests.live import ROOT, Blobs, moving_blobs, open_store, until

LINE = parse_line("gate=0.5,0.0,0.5,1.0")
KILLS = int(os.environ.get("CAMCOUNT_TEST_KILLS", "8"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright blocks that walk over a dark floor, in both directions."""
    return moving_blobs(tmp_path_factory.mktemp("blobs") / "blobs.mp4", seconds=40)


def settings(video: Path, **more: Any) -> CameraSettings:
    """A camera that counts the blocks at a line and in a zone."""
    zone = parse_zone("hall=0.6,0.1,0.9,0.1,0.9,0.9,0.6,0.9")
    return CameraSettings(**{"source": str(video), "lines": (LINE,), "zones": (zone,), **more})


def counted(store: CountStore, given: CameraSettings) -> list[tuple[Any, ...]]:
    """The file counted in one go, undisturbed: its events as they are stored."""
    cameras = Cameras(store, lambda _: Blobs())
    cameras.add("door", given)
    until(lambda: cameras.state("door").state == "ended", 60)
    cameras.close()
    return told(store)


@contextmanager
def counting(url: str, video: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that counts the video, killed at the end."""
    program = [sys.executable, "-m", "tests.live", url, str(video)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "counting\n"
            yield process
        finally:
            process.kill()


def told(store: CountStore) -> list[tuple[Any, ...]]:
    """What is stored, without numbers and times of the clock."""
    events = [one.event for one in store.events(limit=100_000)]
    return sorted((event.time_s, event.event_id, event.type) for event in events)


def test_a_file_is_counted_to_its_end_and_every_event_is_told_once(video: Path, tmp_path: Path) -> None:
    """The blocks' crossings are all stored, totals and state agree, and a second start adds nothing."""
    heard: list[str] = []
    with open_store(new_url("sqlite", tmp_path)) as store:
        cameras = Cameras(
            store, lambda _: Blobs(), committed=lambda _, new: heard.extend(e.event.event_id for e in new)
        )
        cameras.add("door", settings(video))
        until(lambda: cameras.state("door").state == "ended", 60)
        state = cameras.state("door")
        assert state.totals["gate"] == {"in": 10, "out": 10, "by_label": {"person": {"in": 10, "out": 10}}}
        assert store.totals(camera_id="door")["door"]["gate"]["in"] == 10
        assert state.coverage == pytest.approx(1.0, abs=0.01)
        assert (state.pending, state.lost, state.alarm) == (0, 0, "")
        assert len(heard) == len(set(heard)) == len(told(store))
        before = told(store)
        cameras.start("door")
        until(lambda: cameras.state("door").state == "ended", 60)
        cameras.close()
        assert told(store) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_at_any_moment_the_totals_are_those_of_an_undisturbed_run(
    video: Path, tmp_path: Path, kind: str
) -> None:
    """A file, its process killed at random moments, gives event for event what one run gives."""
    given = settings(video)
    with open_store(new_url(kind, tmp_path)) as store:
        wanted = counted(store, given)
    url = new_url(kind, tmp_path)
    chance = random.Random(6)
    for _ in range(KILLS):
        with counting(url, video) as process:
            time.sleep(0.9 * chance.random())
            assert process.poll() is None
    with counting(url, video) as process:
        assert process.wait(60) == 0
    with open_store(url) as store:
        assert told(store) == wanted


def test_a_loop_counts_each_pass_alike_and_goes_on_where_it_was_stopped(video: Path, tmp_path: Path) -> None:
    """Stopped and started in the middle, also as another `Cameras`, each of its passes counts what the file holds."""
    given = settings(video, loop=True, pace="fast")
    with open_store(new_url("sqlite", tmp_path)) as store:
        wanted = 0
        for _ in range(3):
            cameras = Cameras(store, lambda _: Blobs())
            cameras.add("door", given)
            wanted += 7
            until(lambda: cameras.state("door").totals["gate"]["in"] >= wanted, 60)  # noqa: B023 # in its own turn
            cameras.stop("door")
            cameras.start("door")
            until(lambda: cameras.state("door").fps > 0, 20)  # noqa: B023 # the same
            cameras.close()
        crossings = [one.event.time_s for one in store.events(line="gate", limit=10_000)]
    whole = range(int(max(crossings) // 40))
    passes = [sum(40.0 * n <= time_s < 40.0 * (n + 1) for time_s in crossings) for n in whole]
    assert len(passes) >= 2
    assert set(passes) == {20}


@pytest.mark.alone
def test_a_loop_in_real_time_stands_for_a_live_camera(video: Path, tmp_path: Path) -> None:
    """Stopped for a while it begins anew now: every crossing is dated when it was played, and the pause is a gap."""
    with open_store(new_url("sqlite", tmp_path)) as store:
        for wanted in (1, 2):
            cameras = Cameras(store, lambda _: Blobs())
            cameras.add("door", settings(video, loop=True))
            until(lambda: cameras.state("door").totals["gate"]["in"] >= wanted, 30)  # noqa: B023 # in its own turn
            state = cameras.state("door")
            cameras.close()
            time.sleep(3)
        events = store.events(line="gate")
    assert all(abs((one.event.time - one.stored).total_seconds()) < 2.5 for one in events if one.event.time)
    assert len({one.event.event_id for one in events}) == len(events) >= 3
    assert state.coverage < 0.9


@pytest.mark.alone
def test_a_loop_in_real_time_keeps_up_with_the_clock(tmp_path: Path) -> None:
    """Though each pass needs 0.4 s to begin, after six of them it is not later than after one."""

    def slow(uri: str, **how: Any) -> Source:
        time.sleep(0.4)
        return source_for(uri, **how)

    short = moving_blobs(tmp_path / "short.mp4", seconds=2)
    with open_store(new_url("sqlite", tmp_path)) as store:
        cameras = Cameras(store, lambda _: Blobs(), source=slow)
        cameras.add("door", settings(short, loop=True))
        until(lambda: cameras.state("door").connects >= 7, 60)
        lag_s = cameras.state("door").lag_s
        cameras.close()
    assert lag_s < 1.5


def test_a_model_behind_the_data_plane_counts_a_file(video: Path, data: Path, tmp_path: Path) -> None:
    """Through its replicas, several frames at once, a camera's count of a real video is that of a plain detector."""
    plane = DataPlane({"person": ServedModel(model=str(data / "weights/light_person_detector.onnx"))})
    walk = tmp_path / "walk.mp4"
    cut = ["-ss", "10", "-t", "15", "-i", str(data / "videos/one-by-one-person-detection.mp4"), str(walk)]
    subprocess.run(["ffmpeg", "-v", "error", *cut], check=True)
    line = parse_line("exit=0.72,0.3,0.72,1.0")
    with open_store(new_url("sqlite", tmp_path)) as store:
        cameras = Cameras(store, lambda given: plane.detector(given.model, labels=["person"]))
        for name, gate in (("plain", "off"), ("gated", "on")):
            cameras.add(name, settings(walk, model="person", lines=(line,), zones=(), motion_gate=gate))
        until(lambda: all(state.state == "ended" for state in cameras.states()), 120)
        totals = [state.totals["exit"] for state in cameras.states()]
        cameras.close()
    plane.close()
    assert [(total["in"], total["out"]) for total in totals] == [(0, 1), (0, 1)]


def test_a_file_that_is_not_there_is_told_and_tried_again(video: Path, tmp_path: Path) -> None:
    """The state says what is wrong; once the file is there it is counted."""
    late = tmp_path / "late.mp4"
    with open_store(new_url("sqlite", tmp_path)) as store:
        cameras = Cameras(store, lambda _: Blobs())
        cameras.add("door", settings(late))
        until(lambda: cameras.state("door").state == "error", 20)
        assert f"{late} is not there" in cameras.state("door").reason
        late.write_bytes(video.read_bytes())
        until(lambda: cameras.state("door").state == "ended", 60)
        assert cameras.state("door").totals["gate"]["in"] == 10
        cameras.close()


def test_a_line_that_does_not_fit_is_an_error_until_it_is_redrawn(video: Path, tmp_path: Path) -> None:
    """A line outside the picture is told as the camera's error; a good one in its place lets it count."""
    with open_store(new_url("sqlite", tmp_path)) as store:
        cameras = Cameras(store, lambda _: Blobs())
        cameras.add("door", settings(video, lines=(parse_line("gate=500,0,500,100"),)))
        until(lambda: cameras.state("door").state == "error", 20)
        assert "outside the 160x120 picture" in cameras.state("door").reason
        cameras.edit("door", lines=[LINE])
        until(lambda: cameras.state("door").state == "ended", 60)
        assert cameras.state("door").totals["gate"]["in"] == 10
        cameras.close()
