"""Sources that cannot be counted, or only in part: one line names the fault and the remedy."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from camcount.errors import SourceError, SourceNotFound, SourceTimeout, UsageError
from camcount.frame import Frame
from camcount.video.faults import lacks_index
from camcount.video.open import source_for
from tests.servers import deaf_port, web_server


def ffmpeg(*arguments: object) -> None:
    """Runs the ffmpeg command."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def fault(uri: object, timeout_s: float = 1.0) -> SourceError:
    """The error that opening gives: one line, with no password and nothing that holds one."""
    source = source_for(str(uri), timeout_s=timeout_s)
    with pytest.raises(SourceError) as caught:
        source.open()
    assert source.read() is None
    source.close()
    assert "\n" not in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    return caught.value


def read(path: Path) -> tuple[list[Frame], list[str]]:
    """All frames and the warnings."""
    source = source_for(str(path))
    source.open()
    frames = list(iter(source.read, None))
    source.close()
    return frames, source.warnings


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one real video, 14.9 s, as MP4 with its index in front, as MKV and as TS."""
    folder = tmp_path_factory.mktemp("whole")
    video = data / "videos/people.mp4"
    ffmpeg("-i", video, "-c", "copy", "-movflags", "+faststart", folder / "video.mp4")
    ffmpeg("-i", video, "-c", "copy", folder / "video.mkv", "-c", "copy", "-f", "mpegts", folder / "video.ts")
    return folder


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    """A path where nothing is, and a path through a file, are the user's to correct."""
    (tmp_path / "file").write_text("x")
    for name in ("none.mp4", "none.jpg", "file/none.mp4", "n" * 300 + ".mp4", "nul\0.mp4"):
        path = tmp_path / name
        error = fault(path)
        assert isinstance(error, SourceNotFound)
        assert f"{path} is not there: check the spelling" in str(error)


def test_text_is_no_video(tmp_path: Path) -> None:
    """Text by the name of a video, and text by its own name, are told apart from video."""
    for name in ("notes.mp4", "notes.txt", "notes"):
        path = tmp_path / name
        path.write_text("Nothing moves here.\n" * 100)
        assert "no video" in str(fault(path))


def test_noise_is_no_video(tmp_path: Path) -> None:
    """Random bytes never crash and never come out as pictures."""
    path = tmp_path / "noise.mkv"
    for seed in range(5):
        path.write_bytes(random.Random(seed).randbytes(20_000))
        fault(path)


def test_an_empty_file_is_named_as_such(tmp_path: Path) -> None:
    """Nothing at all in a file is the most common failure of a recording."""
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "is empty" in str(fault(path))


@pytest.mark.parametrize("cover", [False, True], ids=["plain", "with cover art"])
def test_sound_alone_is_no_video(tmp_path: Path, cover: bool) -> None:
    """A song has no pictures, and its cover is none that moves."""
    path = tmp_path / "song.mp3"
    art = tmp_path / "cover.jpg"
    cv2.imwrite(str(art), np.zeros((32, 32, 3), np.uint8))
    picture = ("-i", art, "-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v", "attached_pic") if cover else ()
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.2", *picture, path)
    assert "no video (only sound)" in str(fault(path))


def test_a_file_without_permission_says_so(tmp_path: Path, whole: Path) -> None:
    """A file that this user may not read is there, and the remedy is its permissions."""
    path = tmp_path / "private.mp4"
    path.write_bytes((whole / "video.mp4").read_bytes())
    path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        error = fault(path)
    finally:
        os.seteuid(user)
    assert "may not be read by this user" in str(error)


def test_a_folder_without_pictures_says_what_it_needs(tmp_path: Path) -> None:
    """An empty folder, and one with other files, hold no pictures."""
    assert "holds no pictures: it needs .bmp, .jpeg" in str(fault(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    assert "holds no pictures" in str(fault(tmp_path))


def test_an_unfinished_mp4_says_that_its_index_is_missing(tmp_path: Path, data: Path) -> None:
    """An MP4 whose index was to come at the end and never did cannot be read; the remedy is told."""
    path = tmp_path / "unfinished.mp4"
    ffmpeg("-i", data / "videos/people.mp4", "-c", "copy", path)
    content = path.read_bytes()
    assert not lacks_index(path)
    path.write_bytes(content[: len(content) // 2])
    assert lacks_index(path)
    assert "has no index (moov)" in str(fault(path))
    assert "MKV or TS" in str(fault(path))


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_a_video_cut_off_in_the_middle_gives_what_is_there(tmp_path: Path, whole: Path, kind: str) -> None:
    """Half of a file gives the frames of that half at their own times, and says where it ends."""
    content = (whole / f"video.{kind}").read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(content[: len(content) // 2])
    frames, warnings = read(path)
    all_frames, no_warnings = read(whole / f"video.{kind}")
    assert 150 < len(frames) < 300
    assert [f.time_s for f in frames[:-5]] == pytest.approx([f.time_s for f in all_frames[: len(frames) - 5]])
    np.testing.assert_array_equal(frames[100].image(64, 36), all_frames[100].image(64, 36))
    end_s = frames[-1].time_s + 1 / 29.97
    if kind != "ts":  # a transport stream states no duration: it is as long as it is
        assert f"{path} ends early, at {end_s:.1f} s of 14.9 s: the file is cut off or damaged" in warnings
    assert no_warnings == []


def _spoil(path: Path, at: int, length: int) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + length] = random.Random(7).randbytes(length)
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_damage_in_the_middle_is_passed_over(tmp_path: Path, whole: Path, kind: str) -> None:
    """After forty kilobytes of noise the video goes on, at its right times, with a warning that counts the damage."""
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes((whole / f"video.{kind}").read_bytes())
    _spoil(path, 600_000, 40_000)
    frames, warnings = read(path)
    assert len(frames) > 300
    assert frames[-1].time_s == pytest.approx(446 / 29.97, abs=0.05)
    assert any("damaged video was passed over" in warning for warning in warnings)
    assert all(a.time_s <= b.time_s for a, b in pairwise(frames))


@pytest.mark.parametrize("seed", range(6))
def test_no_damage_crashes(tmp_path: Path, whole: Path, seed: int) -> None:
    """Noise strewn over a whole transport stream, its tables included, ends in frames or in one clear line."""
    choice = random.Random(seed)
    content = bytearray((whole / "video.ts").read_bytes()[:400_000])
    for _ in range(choice.choice([20, 400, 8000])):
        content[choice.randrange(len(content))] = choice.randrange(256)
    path = tmp_path / "strewn.ts"
    path.write_bytes(content)
    frames: list[Frame] = []
    message = ""
    try:
        frames, _ = read(path)
    except SourceError as error:
        message = str(error)
    assert frames or str(path) in message
    assert all(a.time_s <= b.time_s for a, b in pairwise(frames))


def test_time_stamps_that_start_anew_are_told(tmp_path: Path, whole: Path) -> None:
    """Two recordings glued together run on as one, and the seam is told."""
    path = tmp_path / "glued.ts"
    path.write_bytes((whole / "video.ts").read_bytes() * 2)
    frames, warnings = read(path)
    assert len(frames) == 2 * 447
    assert frames[-1].time_s == pytest.approx(893 / 29.97, abs=0.1)
    assert f"{path}: time stamps jump from 14.9 s to 0.0 s; counting goes on as without a gap" in warnings


def test_a_changing_picture_size_is_told(tmp_path: Path) -> None:
    """A stream that changes its resolution goes on, each frame with its own size."""
    path = tmp_path / "changing.ts"
    parts = []
    for size in ("64x48", "128x96"):
        ffmpeg("-f", "lavfi", "-i", f"testsrc=d=1:r=10:s={size}", "-c:v", "libx264", tmp_path / "part.ts")
        parts.append((tmp_path / "part.ts").read_bytes())
    path.write_bytes(b"".join(parts))
    frames, warnings = read(path)
    assert {frame.image().shape for frame in frames} == {(48, 64, 3), (96, 128, 3)}
    assert any("the picture changes from 64x48 to 128x96" in warning for warning in warnings)


@pytest.mark.parametrize("uri", ["usb:7", "7"])
def test_a_camera_that_is_not_plugged_in(uri: str) -> None:
    """A USB number without a device is not found, and the device is named."""
    if Path("/dev/video7").exists():
        pytest.skip("this machine has an eighth camera")
    error = fault(uri)
    assert isinstance(error, SourceNotFound)
    assert "there is no camera /dev/video7" in str(error)


@pytest.mark.alone
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_port_that_never_answers_times_out(scheme: str) -> None:
    """Something that takes the connection and says nothing costs the time-out, not more, and gives no secret away."""
    with deaf_port() as port:
        asked = time.monotonic()
        error = fault(f"{scheme}://guard:s3cret@127.0.0.1:{port}/street", timeout_s=0.6)
        assert time.monotonic() - asked < 1.5
    assert isinstance(error, SourceTimeout)
    assert f"{scheme}://guard:***@127.0.0.1:{port}/street did not answer within 0.6 s" in str(error)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_port_where_nobody_listens(scheme: str) -> None:
    """A refused connection is told at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    error = fault(f"{scheme}://guard:s3cret@127.0.0.1:{port}/street")
    assert "refused the connection" in str(error)
    assert "guard:***@" in str(error)


@pytest.mark.parametrize(
    ("path", "said"), [("none.mp4", "has no such stream or file"), ("notes.mp4", "answers, but with no video")]
)
def test_a_web_server_without_the_video(tmp_path: Path, path: str, said: str) -> None:
    """A path that is not there, and a page where a video should be, are told apart."""
    (tmp_path / "notes.mp4").write_text("<html>Please log in</html>" * 50)
    with web_server(tmp_path) as uri:
        assert said in str(fault(f"{uri}/{path}"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: source_for("rtsp://gate/1", transport="carrier pigeon"), "choose tcp or udp"),
        (lambda: source_for("rtsp://gate/1", timeout_s=0), "seconds above 0"),
        (lambda: source_for("usb:front"), "as in usb:0"),
        (lambda: source_for("video.mp4", fps=0), "above 0"),
        (lambda: source_for(str(Path(__file__).parent), fps=-1), "above 0"),
    ],
)
def test_options_that_cannot_be(given: Callable[[], object], said: str) -> None:
    """An impossible option is refused before anything is opened."""
    with pytest.raises(UsageError, match=said):
        given()
