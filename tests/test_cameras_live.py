"""Live cameras, played by a real RTSP server: cut off, frozen, dead, and one beside another."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camcount.cameras.cameras import Cameras
from camcount.cameras.promise import promised
from camcount.cameras.settings import CameraSettings
from camcount.cameras.states import CameraState
from camcount.errors import DatabaseUnavailable, GeometryError, SourceError, UsageError
from camcount.geometry import parse_line
from camcount.storage.counts import CountBatch, CountStore, StoredEvent
from tests.databases import new_url
from tests.live import Blobs, moving_blobs, open_store, until
from tests.servers import motion_jpeg, rtsp_camera

LINE = parse_line("gate=0.5,0.0,0.5,1.0")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blocks that walk for a minute."""
    return moving_blobs(tmp_path_factory.mktemp("live") / "blobs.mp4", seconds=60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CountStore]:
    """An empty store."""
    with open_store(new_url("sqlite", tmp_path)) as store:
        yield store


def live(uri: str, **more: Any) -> CameraSettings:
    """A camera that gives up soon."""
    return CameraSettings(**{"source": uri, "lines": (LINE,), "timeout_s": 2.0, **more})


def state_of(cameras: Cameras, name: str = "door") -> CameraState:
    """One camera's state."""
    return cameras.state(name)


@pytest.mark.alone
def test_a_camera_that_is_cut_off_comes_back_on_the_same_axis(video: Path, store: CountStore) -> None:
    """Killed and started again on its port, it is counted again within its back-off; times and track ids go on."""
    cameras = Cameras(store, lambda _: Blobs())
    with rtsp_camera(video) as first:
        cameras.add("door", live(first.uri()))
        until(lambda: state_of(cameras).totals["gate"]["in"] >= 1, 20)
        assert state_of(cameras).state == "running"
        first.process.kill()
        until(lambda: state_of(cameras).state == "reconnecting", 5)
        before = state_of(cameras).totals["gate"]["in"]
        with rtsp_camera(video, port=first.port):
            until(lambda: state_of(cameras).state == "running", 10)
            until(lambda: state_of(cameras).totals["gate"]["in"] > before, 20)
            state = state_of(cameras)
    cameras.close()
    assert state.connects == 2
    assert state.lag_s < 1.0
    events = [one.event for one in store.events(limit=1000)]
    assert [event.time_s for event in events] == sorted(event.time_s for event in events)
    assert len({event.track_id for event in events}) == len(events)
    assert len({event.event_id for event in events}) == len(events)
    assert all(
        abs(one.event.time.timestamp() - one.stored.timestamp()) < 3 for one in store.events() if one.event.time
    )


def test_a_silent_camera_is_frozen_then_reconnected_and_its_time_is_a_gap(video: Path, store: CountStore) -> None:
    """Stopped in its tracks (SIGSTOP) it is told within seconds; continued, it counts on; coverage shows the gap."""
    cameras = Cameras(store, lambda _: Blobs())
    with rtsp_camera(video) as camera:
        cameras.add("door", live(camera.uri(), timeout_s=6.0))
        until(lambda: state_of(cameras).fps > 10, 20)
        camera.process.send_signal(signal.SIGSTOP)
        until(lambda: state_of(cameras).state == "frozen", 6)
        assert "no picture for 3 s" in state_of(cameras).reason
        until(lambda: state_of(cameras).state == "reconnecting", 10)
        camera.process.send_signal(signal.SIGCONT)
        until(lambda: state_of(cameras).state == "running", 15)
        assert state_of(cameras).coverage < 0.8
        cameras.close()


@pytest.mark.alone
def test_one_dead_camera_does_not_slow_another(video: Path, store: CountStore) -> None:
    """Beside a camera that hangs and one that refuses, the third is counted at its own rate."""
    cameras = Cameras(store, lambda _: Blobs())
    with rtsp_camera(video) as good, rtsp_camera(video) as hanging:
        cameras.add("good", live(good.uri(), motion_gate="off"))
        cameras.add("hanging", live(hanging.uri()))
        until(lambda: state_of(cameras, "hanging").state == state_of(cameras, "good").state == "running", 20)
        hanging.process.send_signal(signal.SIGSTOP)
        cameras.add("refusing", live("rtsp://127.0.0.1:9/street"))
        until(lambda: state_of(cameras, "hanging").state in ("frozen", "reconnecting"), 10)
        dropped, rates = state_of(cameras, "good").dropped, []
        for _ in range(4):
            time.sleep(1)
            rates.append(state_of(cameras, "good").fps)
        states = {state.name: state for state in cameras.states()}
        cameras.close()
    assert np.mean(rates) == pytest.approx(20, abs=2)
    assert states["good"].lag_s < 1.0
    assert states["good"].dropped == dropped
    assert "refused the connection" in states["refusing"].reason


def test_the_same_picture_is_frozen_and_a_dark_one_black(store: CountStore) -> None:
    """A stream that repeats one picture is told as frozen, one of darkness as black; neither is coverage."""
    noise = np.random.default_rng(0)
    lively = [noise.integers(90, 110, (48, 64, 3), np.uint8) for _ in range(7)]
    for pictures, wanted in (
        (lively[:1], "frozen"),
        ([np.zeros((48, 64, 3), np.uint8)], "black"),
        (lively, "running"),
    ):
        encoded = [cv2.imencode(".jpg", picture)[1].tobytes() for picture in pictures]
        cameras = Cameras(store, lambda _: Blobs())
        with motion_jpeg(encoded, fps=20) as uri:
            cameras.add(wanted, live(uri, frozen_s=2.0, black_s=1.0))
            if wanted == "running":
                time.sleep(4)
            until(lambda: state_of(cameras, wanted).state == wanted, 10)  # noqa: B023 # used in its own turn
            cameras.close()


class Away:
    """A store whose database comes and goes."""

    def __init__(self, store: CountStore) -> None:
        self.store, self.away = store, False

    def commit(self, batch: CountBatch) -> list[StoredEvent]:
        """Or not."""
        stored = self.store.commit(batch) if not self.away else None
        if stored is None:
            raise DatabaseUnavailable("the database does not answer")
        return stored

    def checkpoint(self, camera_id: str) -> bytes | None:
        """As the store."""
        return self.store.checkpoint(camera_id)

    def totals(self, *, camera_id: str | None = None) -> Any:
        """As the store."""
        return self.store.totals(camera_id=camera_id)


def test_counting_goes_on_while_the_database_is_away(video: Path, store: CountStore) -> None:
    """The state raises an alarm and tells how many events wait; back, all are stored in order and none twice."""
    away = Away(store)
    cameras = Cameras(away, lambda _: Blobs())
    with rtsp_camera(video) as camera:
        cameras.add("door", live(camera.uri()))
        until(lambda: state_of(cameras).totals["gate"]["in"] >= 1, 20)
        until(lambda: state_of(cameras).pending == 0, 5)
        away.away = True
        stored = len(store.events())
        until(lambda: state_of(cameras).pending >= 3, 20)
        assert state_of(cameras).alarm == "the database does not answer"
        assert len(store.events()) == stored
        away.away = False
        until(lambda: state_of(cameras).pending == 0, 10)
        state = state_of(cameras)
        cameras.close()
    assert state.alarm == ""
    assert state.lost == 0
    times = [one.event.time_s for one in store.events()]
    assert times == sorted(times)
    crossings = sum(ways["in"] + ways["out"] for ways in state.totals.values())
    assert crossings <= len(times) == len({one.event.event_id for one in store.events()})


def test_lines_are_redrawn_while_it_counts(video: Path, store: CountStore) -> None:
    """A line that stays keeps its count and its tracks; a new one counts from then on; a bad one changes nothing."""
    cameras = Cameras(store, lambda _: Blobs())
    with rtsp_camera(video) as camera:
        cameras.add("door", live(camera.uri()))
        until(lambda: state_of(cameras).totals["gate"]["in"] >= 1, 20)
        for number in range(20):
            cameras.edit("door", lines=[LINE, parse_line(f"extra=0.7,{number / 100},0.7,1.0")])
            time.sleep(0.2)
        with pytest.raises(GeometryError):
            cameras.edit("door", lines=[parse_line("bad=0.5,0.5,0.5,0.5")])
        until(lambda: state_of(cameras).totals["extra"]["in"] >= 1, 20)
        state = state_of(cameras)
        cameras.close()
    gates = [one.event.time_s for one in store.events(line="gate") if getattr(one.event, "direction", "") == "in"]
    assert np.diff(gates) == pytest.approx(4.0, abs=0.3)
    assert state.totals["gate"]["in"] == len(gates)


def test_a_snapshot_shows_what_is_counted(video: Path, store: CountStore) -> None:
    """The newest picture as a JPEG, with and without the lines drawn on it; none before the first frame."""
    cameras = Cameras(store, lambda _: Blobs())
    with rtsp_camera(video) as camera:
        cameras.add("door", live(camera.uri()), start=False)
        with pytest.raises(SourceError, match="no picture yet: it is stopped"):
            cameras.snapshot("door")
        cameras.start("door")
        until(lambda: state_of(cameras).fps > 0, 20)
        drawn, plain = (
            cv2.imdecode(np.frombuffer(cameras.snapshot("door", overlay=overlay), np.uint8), cv2.IMREAD_COLOR)
            for overlay in (True, False)
        )
        cameras.close()
    assert drawn is not None
    assert plain is not None
    assert drawn.shape == plain.shape == (120, 160, 3)
    assert plain.max(axis=2)[60, 80] < 100 < drawn.max(axis=2)[40:80, 78:83].max()


def test_the_state_says_what_is_not_missed_when_the_machine_is_busy(video: Path, store: CountStore) -> None:
    """Nothing before it is connected; then what ``least_fps`` promises, or the camera's own rate if that is lower."""
    with rtsp_camera(video) as camera:
        cameras = Cameras(store, lambda _: Blobs())
        for name, least_fps in (("slow", 4.0), ("fast", 1000.0)):
            cameras.add(name, live(camera.uri(), least_fps=least_fps), start=False)
        assert cameras.state("slow").promise is None
        for name, fps in (("slow", 4.0), ("fast", 20.0)):
            cameras.start(name)
            until(lambda: state_of(cameras, name).promise == promised(fps), 60)  # noqa: B023 # in its own turn
        cameras.close()


def test_secrets_are_put_in_and_never_shown(video: Path, store: CountStore) -> None:
    """A source with ``${NAME}`` is opened with the secret's value, which no state, warning or error holds."""
    with rtsp_camera(video, "guard", "s3cret") as camera:
        cameras = Cameras(store, lambda _: Blobs(), secrets={"GATE": "s3cret", "WRONG": "hunter2"})
        cameras.add("door", live(camera.uri(user="guard:${GATE}")))
        cameras.add("wrong", live(camera.uri(user="guard:${WRONG}")))
        cameras.add("literal", live(camera.uri(user="guard:s3cret")))
        cameras.add("unset", live(camera.uri(user="guard:${NOBODY}")))
        until(lambda: state_of(cameras).fps > 0, 20)
        until(lambda: "refused the user name" in state_of(cameras, "wrong").reason, 10)
        until(lambda: "NOBODY" in state_of(cameras, "unset").reason, 10)
        camera.process.kill()
        until(lambda: state_of(cameras).state == "reconnecting", 10)
        said = repr(cameras.states()) + repr([cameras.settings(name) for name in ("door", "wrong", "literal")])
        cameras.close()
    assert "s3cret" not in said
    assert "hunter2" not in said


def test_names_are_given_once(store: CountStore) -> None:
    """A second camera of a name, and one that is not there, are refused in words."""
    cameras = Cameras(store, lambda _: Blobs())
    cameras.add("door", live("rtsp://127.0.0.1:9/x"), start=False)
    with pytest.raises(UsageError, match="a camera 'door' already"):
        cameras.add("door", live("rtsp://127.0.0.1:9/x"))
    with pytest.raises(UsageError, match="no camera 'gate': door"):
        cameras.start("gate")
    cameras.remove("door")
    assert cameras.states() == []
    cameras.close()
