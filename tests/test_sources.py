"""Video files and streams: which frames come out of them, when, and how they look."""

from __future__ import annotations

import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from camcount.errors import SourceError, SourceNotFound, UsageError
from camcount.frame import Frame, Image
from camcount.protocols import Source
from camcount.video.address import redacted
from camcount.video.buffering import AtRate, ReadAhead
from camcount.video.open import source_for
from camcount.video.timeline import Timeline
from tests.servers import motion_jpeg, web_server


def ffmpeg(*arguments: object) -> None:
    """Runs the ffmpeg command."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def frames(source: Source) -> list[Frame]:
    """All frames of a source that is open; closes it."""
    given = list(iter(source.read, None))
    source.close()
    return given


def read(uri: object) -> list[Frame]:
    """All frames of what an address names."""
    source = source_for(str(uri))
    source.open()
    return frames(source)


def picture(frame: Frame, width: int | None = None, height: int | None = None) -> Image:
    """Its picture as signed numbers, for differences."""
    return frame.image(width, height).astype(np.int16)


@pytest.fixture(scope="module")
def clip(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a real street as MP4 with its index in front."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    ffmpeg("-i", data / "videos/people.mp4", "-frames:v", 60, "-c:v", "libx264", "-preset", "veryfast",
           "-movflags", "+faststart", path)  # fmt: skip
    return path


def _in_folder(folder: Path) -> Path:
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((24, 32, 3), 40 * number, np.uint8))
    return folder


def _jpegs() -> list[bytes]:
    return [cv2.imencode(".jpg", np.full((48, 64, 3), 40 * n, np.uint8))[1].tobytes() for n in range(5)]


def _http_file(clip: Path, stack: ExitStack) -> Source:
    return source_for(f"{stack.enter_context(web_server(clip.parent))}/{clip.name}")


SOURCES: dict[str, Callable[[Path, Path, ExitStack], Source]] = {
    "file": lambda clip, folder, stack: source_for(str(clip)),
    "file at a rate": lambda clip, folder, stack: source_for(str(clip), fps=5),
    "file read ahead": lambda clip, folder, stack: ReadAhead(source_for(str(clip))),
    "folder": lambda clip, folder, stack: source_for(str(_in_folder(folder))),
    "picture": lambda clip, folder, stack: source_for(str(_in_folder(folder) / "0.png")),
    "demo": lambda clip, folder, stack: source_for("demo:street?seconds=1&fps=5&width=320&height=180"),
    "http file": lambda clip, folder, stack: _http_file(clip, stack),
    "motion jpeg": lambda clip, folder, stack: source_for(
        stack.enter_context(motion_jpeg(_jpegs(), 50, endless=False))
    ),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, clip: Path, tmp_path: Path) -> Iterator[Source]:
    """Each kind of source, not yet open."""
    with ExitStack() as stack:
        source = SOURCES[request.param](clip, tmp_path, stack)
        yield source
        source.close()


def test_sources_give_frames_in_order_and_then_none_for_ever(source: Source) -> None:
    """Indices rise, time never falls, sizes are those announced, and after the end there is only the end."""
    info = source.open()
    given = list(iter(source.read, None))
    assert given
    assert all(a.index < b.index and a.time_s <= b.time_s for a, b in pairwise(given))
    assert given[0].time_s == pytest.approx(0.0, abs=0.05)
    assert {(frame.width, frame.height) for frame in given} == {(info.width, info.height)}
    assert given[-1].image(20, 10).shape == (10, 20, 3)
    assert [source.read() for _ in range(3)] == [None] * 3
    source.close()
    source.close()
    assert source.read() is None


def test_sources_close_from_another_thread_ends_reading(source: Source) -> None:
    """A reader that is in the middle comes to the end as soon as somebody else has closed the source."""
    source.open()
    begun = threading.Event()

    def reading() -> None:
        while source.read() is not None:
            begun.set()
            time.sleep(0.05)

    reader = threading.Thread(target=reading)
    reader.start()
    assert begun.wait(5.0)
    source.close()
    reader.join(1.5)
    assert not reader.is_alive()
    assert source.read() is None


def test_a_frame_outlives_its_source(clip: Path) -> None:
    """Frames kept while decoding went on, and after the source was closed, still show their own picture."""
    source = source_for(str(clip))
    source.open()
    at_once = []
    kept = []
    while (frame := source.read()) is not None:
        at_once.append(frame.image(64, 36))
        kept.append(frame)
    source.close()
    assert len(kept) == 60
    for frame, then in zip(kept, at_once, strict=True):
        np.testing.assert_array_equal(frame.image(64, 36), then)


@pytest.mark.parametrize(
    "name", ["people.mp4", "cars.mp4", "one-by-one-person-detection.mp4", "tfl/625_201707211410.mp4"]
)
def test_pictures_look_as_opencv_shows_them(data: Path, name: str) -> None:
    """Colour matrix and range are right: BT.601 and BT.709, tagged and not, limited and full range."""
    source = source_for(str(data / "videos" / name))
    source.open()
    capture = cv2.VideoCapture(str(data / "videos" / name))
    for _ in range(3):
        frame = source.read()
        _, expected = capture.read()
    source.close()
    capture.release()
    assert frame is not None
    difference = picture(frame) - expected.astype(np.int16)
    assert np.abs(difference).mean() < 0.6
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.4


@pytest.mark.parametrize("size", [(416, 234), (417, 235), (1, 1), (641, 361), (33, 360), (1280, 720), (16, 7)])
def test_scaling_in_the_conversion_is_scaling_by_area(clip: Path, size: tuple[int, int]) -> None:
    """A frame asked for at any size, odd ones too, is what area averaging makes of the full picture."""
    frame = read(clip)[20]
    image = frame.image(*size)
    assert image.shape == (size[1], size[0], 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    if size[0] <= frame.width and size[1] <= frame.height and min(size) > 1:
        expected = cv2.resize(frame.image(), size, interpolation=cv2.INTER_AREA)
        assert np.abs(image.astype(int) - expected).mean() < 2.5


def test_a_picture_belongs_to_who_asked_for_it(clip: Path) -> None:
    """Drawing on one rendered picture shows in no other."""
    frame = read(clip)[0]
    frame.image()[:] = 0
    assert frame.image().mean() > 20


def test_raw_pictures_of_the_right_size_are_copied(tmp_path: Path) -> None:
    """Where nothing needs converting, a caller who draws still draws on a copy."""
    path = tmp_path / "raw.avi"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.2:s=64x48:r=10", "-c:v", "rawvideo", "-pix_fmt", "bgr24", path)
    frame = read(path)[0]
    before = frame.image()
    frame.image()[:] = 0
    np.testing.assert_array_equal(frame.image(), before)


def test_one_frame_may_be_rendered_by_many_threads(clip: Path) -> None:
    """Eight threads that render the same frames at two sizes all get what one thread gets."""
    given = read(clip)[:10]
    expected = [(frame.image(160, 90), frame.image(333, 187)) for frame in given]
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: [(f.image(160, 90), f.image(333, 187)) for f in given], range(8)))
    for made in rounds:
        for (small, large), (expected_small, expected_large) in zip(made, expected, strict=True):
            np.testing.assert_array_equal(small, expected_small)
            np.testing.assert_array_equal(large, expected_large)


def test_time_is_the_presentation_time_of_a_variable_rate(tmp_path: Path) -> None:
    """Frames whose time grows with the square of their number come at just those times."""
    path = tmp_path / "variable.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for n in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * n, np.uint8), "bgr24")
            frame.pts, frame.time_base = n * n * 10, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert [frame.time_s for frame in read(path)] == pytest.approx([n * n / 100 for n in range(30)], abs=0.002)


def test_time_starts_at_the_start_of_the_stream(tmp_path: Path, clip: Path) -> None:
    """A transport stream whose stamps begin at some large number begins at 0 s all the same."""
    path = tmp_path / "clip.ts"
    ffmpeg("-i", clip, "-c", "copy", "-output_ts_offset", 5000, path)
    times = [frame.time_s for frame in read(path)]
    assert times[0] == 0.0
    assert times[-1] == pytest.approx(59 / 29.97, abs=0.01)


def _turned(path: Path, matrix: tuple[int, int, int, int], made: Path) -> Path:
    """Writes a rotation into the track header of an MP4 (ISO/IEC 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    made.write_bytes(content)
    return made


@pytest.mark.parametrize(
    ("matrix", "rotation"), [((0, 1, -1, 0), 90), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 270), ((1, 0, 0, 1), 0)]
)
def test_a_turned_video_comes_upright(
    clip: Path, tmp_path: Path, matrix: tuple[int, int, int, int], rotation: int
) -> None:
    """A display matrix turns the picture and swaps its sides, in full size, in small, and as OpenCV does it."""
    path = _turned(clip, matrix, tmp_path / "turned.mp4")
    source = source_for(str(path))
    info = source.open()
    frame = source.read()
    source.close()
    capture = cv2.VideoCapture(str(path))
    _, expected = capture.read()
    capture.release()
    assert frame is not None
    assert info.rotation == rotation
    assert (info.width, info.height) == (frame.width, frame.height) == expected.shape[1::-1]
    assert np.abs(picture(frame) - expected.astype(np.int16)).mean() < 0.6
    small = cv2.resize(expected, (90, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(picture(frame, 90, 100) - small.astype(np.int16)).mean() < 2.5


def test_a_stream_without_duration_says_so_and_is_read_to_its_end(clip: Path, tmp_path: Path) -> None:
    """A recording that was never finished (MKV written to a pipe) gives all its frames and no warning."""
    path = tmp_path / "unfinished.mkv"
    with path.open("wb") as file:
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", "-f", "matroska", "-"], stdout=file, check=True
        )
    source = source_for(str(path))
    info = source.open()
    assert info.duration_s is None
    assert info.frames is None
    assert len(frames(source)) == 60
    assert source.warnings == []


def test_a_raw_stream_without_time_stamps_runs_at_its_nominal_rate(clip: Path, tmp_path: Path) -> None:
    """Bare H.264 carries no times: frames are then one nominal step apart."""
    path = tmp_path / "raw.h264"
    ffmpeg("-i", clip, "-c", "copy", path)
    times = [frame.time_s for frame in read(path)]
    assert len(times) == 60
    assert np.diff(times) == pytest.approx([1 / 25.0] * 59, abs=1e-6)


def test_of_several_video_streams_one_is_read(clip: Path, tmp_path: Path) -> None:
    """A file with a large and a small picture gives the large one, and none of the other's frames in between."""
    path = tmp_path / "two.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=2:r=10:s=64x48", "-i", clip, "-map", 0, "-map", 1,
           "-disposition:v:1", "default", "-disposition:v:0", 0, "-c:v:0", "libx264", "-c:v:1", "copy",
           path)  # fmt: skip
    assert {(frame.width, frame.height) for frame in read(path)} == {(640, 360)}


def test_information_about_a_file(data: Path) -> None:
    """Rate, size, duration, frames, codec and camera are what the file says."""
    source = source_for(str(data / "videos/one-by-one-person-detection.mp4"))
    info = source.open()
    frame = source.read()
    source.close()
    assert frame is not None
    assert (info.width, info.height, info.fps, info.duration_s, info.frames) == (768, 432, 10.0, 139.4, 1394)
    assert (info.codec, info.live, info.rotation, info.start_time) == ("h264", False, 0, None)
    assert (frame.camera_id, frame.wall_time) == ("one-by-one-person-detection", None)


def test_wall_time_is_start_time_plus_presentation_time(clip: Path) -> None:
    """A recording whose beginning is known dates every frame; one whose beginning lacks a time zone is refused."""
    start = datetime(2024, 5, 1, 8, tzinfo=UTC)
    source = source_for(str(clip), start_time=start, camera_id="gate")
    assert source.open().start_time == start
    last = frames(source)[-1]
    assert last.wall_time == start + timedelta(seconds=last.time_s)
    assert last.camera_id == "gate"
    with pytest.raises(UsageError, match="time zone"):
        source_for(str(clip), start_time=start.replace(tzinfo=None))


def test_a_file_name_that_looks_like_an_address_is_a_file(clip: Path, tmp_path: Path) -> None:
    """``cam:1.mp4`` names a file, not a protocol."""
    path = tmp_path / "cam:1.mp4"
    path.write_bytes(clip.read_bytes())
    assert len(read(path)) == 60


def test_the_demo_scene_is_named_by_address() -> None:
    """Settings in the address reach the scene; a scene or a setting that is not there is named."""
    source = source_for("demo:street?seed=3&seconds=1&fps=5&width=320&height=180")
    info = source.open()
    source.close()
    assert (info.width, info.height, info.fps) == (320, 180, 5.0)
    with pytest.raises(SourceNotFound, match="demo:street"):
        source_for("demo:harbour")
    with pytest.raises(UsageError, match="no setting 'colour'"):
        source_for("demo:street?colour=red")
    with pytest.raises(UsageError, match="numbers"):
        source_for("demo:street?seed=red")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://guard:pa%40ss@gate:554/a?b=1", "rtsp://guard:***@gate:554/a?b=1"),
        ("rtsp://guard@gate/a", "rtsp://guard@gate/a"),
        ("http://gate/a?user=x&password=y&apikey=z", "http://gate/a?user=x&password=***&apikey=***"),
        ("https://a:b:c@[::1]:8/x", "https://a:***@[::1]:8/x"),
        ("rtsp://a:b@[bad/x", "rtsp://***"),
        ("street:a@b.mp4", "street:a@b.mp4"),
    ],
)
def test_addresses_are_shown_without_secrets(uri: str, shown: str) -> None:
    """Passwords and keys become stars; all else stays."""
    assert redacted(uri) == shown


@pytest.mark.parametrize(
    ("stamps", "duration_s", "times", "jumps"),
    [
        pytest.param([7, 7.1, 7.2], None, [0, 0.1, 0.2], 0, id="starts anywhere"),
        pytest.param([0, None, None, 0.3], None, [0, 0.1, 0.2, 0.3], 0, id="missing stamps"),
        pytest.param([None, 9, 9.1], None, [0, 0.1, 0.2], 0, id="first stamp missing"),
        pytest.param([0, 0.5, 0.4, 0.6], None, [0, 0.5, 0.5, 0.6], 0, id="late stamp stands still"),
        pytest.param([0, 10, 2, 2.1], None, [0, 10, 10.1, 10.2], 1, id="clock set back"),
        pytest.param([0, 0.1, 9000, 9000.1], None, [0, 0.1, 0.2, 0.3], 1, id="clock set ahead"),
        pytest.param(
            [0, 0.1, 900, 900.1], 1000, [0, 0.1, 900, 900.1], 0, id="long gap that the duration vouches for"
        ),
        pytest.param([0, 0.1, 2000, 2000.1], 1000, [0, 0.1, 0.2, 0.3], 1, id="beyond the duration"),
        pytest.param([0, 30, 59], None, [0, 30, 59], 0, id="time lapse"),
        pytest.param([0, 9000, 0.2, 0.3], None, [0, 0.1, 0.2, 0.3], 2, id="one wild stamp"),
    ],
)
def test_time_never_goes_back(
    stamps: list[float | None], duration_s: float | None, times: list[float], jumps: int
) -> None:
    """Whatever the stamps do, time stays monotone, goes on by steps over a jump, and jumps are counted."""
    clock = Timeline(0.1, duration_s=duration_s)
    assert [clock.at(stamp) for stamp in stamps] == pytest.approx(times)
    assert clock.jumped == len(clock.jumps) == jumps


def test_a_broken_clock_is_remembered_in_bounded_space() -> None:
    """A camera whose every stamp is wild is counted in full and described by its first jumps."""
    clock = Timeline(0.1)
    times = [clock.at(1000.0 * (n % 2)) for n in range(1000)]
    assert times == sorted(times)
    assert clock.jumped > 400
    assert len(clock.jumps) == 3


def test_a_live_gap_is_true_when_the_wall_clock_agrees() -> None:
    """A camera that was silent for two minutes has a gap; one that claims two minutes in one step has a new clock."""
    silent, reset = Timeline(0.1), Timeline(0.1)
    assert [silent.at(0.0, 0.0), silent.at(120.0, 119.0)] == [0.0, 120.0]
    assert [reset.at(0.0, 0.0), reset.at(120.0, 0.1)] == pytest.approx([0.0, 0.1])


@pytest.mark.parametrize("name", ["video.mp4", "video.mkv", "video.ts", "video.m3u8"])
def test_a_video_on_a_web_server_is_no_camera(clip: Path, tmp_path: Path, name: str) -> None:
    """Videos and finished playlists are files wherever they lie: nothing of them may be dropped."""
    ffmpeg("-i", clip, "-c", "copy", *(("-movflags", "+faststart") if name.endswith("mp4") else ()), tmp_path / name)
    with web_server(tmp_path) as uri:
        source = ReadAhead(source_for(f"{uri}/{name}"))
        assert not source.open().live
        assert source.policy == "block"
        assert len(frames(source)) == 60
        assert source.warnings == []


def test_a_video_whose_index_comes_last_needs_a_server_that_can_seek(clip: Path, tmp_path: Path) -> None:
    """An MP4 with its index at the end, on a server without byte ranges, is refused with the remedy."""
    ffmpeg("-i", clip, "-c", "copy", tmp_path / "video.mp4")
    with web_server(tmp_path) as uri, pytest.raises(SourceError, match=r"\+faststart"):
        source_for(f"{uri}/video.mp4", timeout_s=2).open()


def test_a_rate_is_a_limit_for_video(clip: Path) -> None:
    """``fps`` lets through that many frames per second of a video, at their own times and indices."""
    source = source_for(str(clip), fps=10)
    assert isinstance(source, AtRate)
    assert source.open().fps == 10
    given = frames(source)
    assert [frame.index for frame in given] == list(range(0, 60, 3))
