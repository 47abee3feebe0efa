"""Cameras over the network, played by real servers: RTSP over TCP and UDP, and motion JPEG."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from camcount.errors import SourceError, SourceNotFound
from camcount.frame import Frame, Image
from camcount.protocols import Source
from camcount.video.buffering import ReadAhead
from camcount.video.open import source_for
from tests.servers import Camera, motion_jpeg, rtsp_camera


@pytest.fixture(scope="module")
def street(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of a real street, with a key frame in every second."""
    path = tmp_path_factory.mktemp("street") / "street.mp4"
    arguments = ["-t", "8", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", str(path)]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(data / "videos/people.mp4"), *arguments], check=True)
    return path


@pytest.fixture
def camera(street: Path) -> Iterator[Camera]:
    """An RTSP camera that shows the street to everyone."""
    with rtsp_camera(street) as camera:
        yield camera


def some(source: Source, count: int) -> list[Frame]:
    """So many frames."""
    frames = [source.read() for _ in range(count)]
    assert None not in frames
    return [frame for frame in frames if frame is not None]


def jpegs(count: int = 10) -> list[bytes]:
    """Pictures that grow brighter."""
    return [cv2.imencode(".jpg", np.full((48, 64, 3), 20 * n, np.uint8))[1].tobytes() for n in range(count)]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_gives_the_pictures_in_real_time(camera: Camera, street: Path, transport: str) -> None:
    """Over either transport come the video's own pictures at its own pace, dated by the wall clock."""
    source = source_for(camera.uri(), transport=transport, timeout_s=5)
    before = datetime.now(UTC)
    info = source.open()
    frames = some(source, 45)
    after = datetime.now(UTC)
    source.close()
    assert (info.width, info.height, info.live, info.duration_s, info.frames) == (640, 360, True, None, None)
    assert info.fps == pytest.approx(29.97, abs=0.01)
    assert np.diff([frame.time_s for frame in frames]) == pytest.approx([1 / 29.97] * 44, abs=0.002)
    assert all(a.wall_time <= b.wall_time for a, b in pairwise(frames) if a.wall_time and b.wall_time)
    assert info.start_time is not None
    assert info.start_time == frames[0].wall_time
    assert before <= info.start_time <= after
    assert source.warnings == []
    assert any(np.array_equal(frames[0].image(), picture) for picture in _pictures(street, 20))


def _pictures(path: Path, count: int) -> list[Image]:
    source = source_for(str(path))
    source.open()
    pictures = [frame.image() for frame in some(source, count)]
    source.close()
    return pictures


def test_rtsp_asks_for_a_password(street: Path) -> None:
    """The right password opens, a wrong one is told as such, and neither is ever shown."""
    with rtsp_camera(street, "guard", "s3cret") as camera:
        source = source_for(camera.uri(user="guard:s3cret"), timeout_s=5)
        info = source.open()
        source.close()
        assert info.uri == camera.uri(user="guard:***")
        for user in ("guard:wr0ng", ""):
            with pytest.raises(SourceError, match="refused the user name or the password") as caught:
                source_for(camera.uri(user=user), timeout_s=5).open()
            assert "wr0ng" not in str(caught.value)


def test_rtsp_without_such_a_stream(camera: Camera) -> None:
    """A path that the camera does not have is not found."""
    with pytest.raises(SourceNotFound, match="has no such stream"):
        source_for(camera.uri("garden"), timeout_s=5).open()


@pytest.mark.alone
@pytest.mark.parametrize(
    ("how", "said"),
    [(signal.SIGKILL, ("ended the stream", "broke off")), (signal.SIGSTOP, ("fell silent (nothing for 1 s)",))],
    ids=["dies", "hangs"],
)
def test_a_camera_that_goes_away_ends_the_source(camera: Camera, how: signal.Signals, said: tuple[str, ...]) -> None:
    """What came until then is given, then the end comes within the time-out, with a warning that says when."""
    source = source_for(camera.uri(), timeout_s=1)
    source.open()
    count = len(some(source, 30))
    camera.process.send_signal(how)
    gone = time.monotonic()
    count += len(list(iter(source.read, None)))
    assert time.monotonic() - gone < 2.5
    assert source.read() is None
    source.close()
    warning = source.warnings[-1]
    assert any(f"{camera.uri()} {words} at " in warning for words in said)
    assert float(warning.rsplit(" at ")[1].removesuffix(" s")) == pytest.approx(count / 29.97, abs=0.2)


@pytest.mark.alone
def test_a_slow_reader_stays_close_to_a_live_camera(camera: Camera) -> None:
    """A reader at a quarter of the camera's rate loses frames, which are counted, and never falls behind."""
    source = ReadAhead(source_for(camera.uri(), timeout_s=5), capacity=4)
    source.open()
    frames = []
    for _ in range(15):
        frame = source.read()
        assert frame is not None
        assert frame.wall_time is not None
        frames.append(frame)
        lag_s = (datetime.now(UTC) - frame.wall_time).total_seconds()
        assert lag_s < 1.0
        time.sleep(4 / 29.97)
    assert source.policy == "drop-oldest"
    assert source.dropped > 20
    assert frames[-1].index > 30
    source.close()


@pytest.mark.alone
def test_closing_ends_waiting_for_a_hanging_camera(camera: Camera) -> None:
    """A reader of a camera that hangs is released at once, long before the time-out, when the source is closed."""
    source = ReadAhead(source_for(camera.uri(), timeout_s=2.5))
    source.open()
    camera.process.send_signal(signal.SIGSTOP)
    ended = threading.Event()

    def reading() -> None:
        while source.read() is not None:
            pass
        ended.set()

    reader = threading.Thread(target=reading)
    reader.start()
    time.sleep(0.3)
    closer = threading.Thread(target=source.close)
    closer.start()
    assert ended.wait(0.5)
    closer.join()
    reader.join()


def test_motion_jpeg_is_timed_by_its_arrival() -> None:
    """Multipart pictures carry no time: theirs is when they came, and no rate is claimed."""
    sent: list[float] = []
    read: list[float] = []
    frames: list[Frame] = []
    with motion_jpeg(jpegs(), fps=20, sent=sent) as uri:
        source = source_for(uri, timeout_s=5)
        info = source.open()
        for _ in range(10):
            frames += some(source, 1)
            read.append(time.monotonic())
        source.close()
    assert (info.live, info.fps, info.codec, info.width, info.height) == (True, None, "mjpeg", 64, 48)
    assert frames[0].time_s == 0.0
    # each came after it was sent and before it was read, however the machine paced the two
    for frame, left, here in zip(frames, sent, read, strict=False):
        assert left - read[0] <= frame.time_s <= here - sent[0]
    levels = [frame.image().mean() for frame in frames]
    assert levels == pytest.approx([20 * n for n in range(10)], abs=3)


@pytest.mark.alone
def test_motion_jpeg_passes_over_a_damaged_picture() -> None:
    """Noise in the place of one picture costs that picture and is counted."""
    pictures = [*jpegs(3), b"\xff\xd8" + bytes(300), *jpegs(3)]
    with motion_jpeg(pictures, fps=10, endless=False) as uri:
        source = source_for(uri, timeout_s=5)
        source.open()
        frames = list(iter(source.read, None))
        source.close()
    assert len(frames) == 6
    damaged, ended = source.warnings
    assert "damaged video was passed over once" in damaged
    (when,) = re.findall(r" at ([\d.]+) s", ended)
    assert 0.0 < float(when) == pytest.approx(frames[-1].time_s, abs=0.051)
