"""Video and pictures out: right times, right number, playable, and one-line errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from camcount.detections import Detections, Tracks
from camcount.errors import CamcountError, DiskFull, UsageError
from camcount.frame import Frame
from camcount.protocols import Sink, Step
from camcount.video.overlay import Overlay
from camcount.video.writer import AnnotatedVideo, VideoWriter, save_picture

Pixels = NDArray[np.uint8]


def _picture(shade: int, width: int = 64, height: int = 48) -> Pixels:
    return np.full((height, width, 3), shade, np.uint8)


def _played(path: Path) -> list[tuple[float, Pixels]]:
    with av.open(str(path)) as video:
        return [
            (float(f.time or 0), np.asarray(f.to_ndarray(format="bgr24"), np.uint8)) for f in video.decode(video=0)
        ]


def _step(index: int, time_s: float, width: int = 64, height: int = 48) -> Step:
    def render(w: int, h: int) -> Pixels:
        return _picture(40 + index, w, h)

    frame = Frame(index=index, time_s=time_s, width=width, height=height, render=render)
    return Step(frame, Detections.empty(), Tracks.empty(), ())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".MP4"])
def test_every_picture_comes_back_at_its_time(tmp_path: Path, suffix: str) -> None:
    """A file plays back all pictures in order, each at the time it was given, also at an uneven rate."""
    times = [0.0, 0.1, 0.15, 0.4, 1.0, 1.05, 2.5]
    path = tmp_path / f"out{suffix}"
    writer = VideoWriter(path, 10, 64, 48)
    for i, time_s in enumerate(times):
        writer.write(_picture(20 + 30 * i), time_s)
    writer.close()
    played = _played(path)
    np.testing.assert_allclose([time_s for time_s, _ in played], times, atol=0.002)
    shades = [float(image.mean()) for _, image in played]
    np.testing.assert_allclose(shades, [20 + 30 * i for i in range(7)], atol=6)


def test_stored_as_h264_that_everything_plays(tmp_path: Path) -> None:
    """The video is H.264 with 4:2:0 colour."""
    path = tmp_path / "out.mp4"
    writer = VideoWriter(path, 25, 64, 48)
    writer.write(_picture(90), 0.0)
    writer.close()
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"


def test_odd_sizes_lose_the_last_column_and_row(tmp_path: Path) -> None:
    """A picture of 65x49 becomes a video of 64x48."""
    writer = VideoWriter(tmp_path / "odd.mp4", 10, 65, 49)
    writer.write(_picture(200, 65, 49), 0.0)
    writer.close()
    ((_, image),) = _played(tmp_path / "odd.mp4")
    assert image.shape == (48, 64, 3)


def test_equal_and_falling_times_still_play(tmp_path: Path) -> None:
    """Two pictures of one moment, or one that is late, are both kept in the order written."""
    writer = VideoWriter(tmp_path / "same.mp4", 10, 64, 48)
    for shade, time_s in ((50, 0.0), (100, 0.0), (150, 0.5), (200, 0.4)):
        writer.write(_picture(shade), time_s)
    writer.close()
    played = _played(tmp_path / "same.mp4")
    np.testing.assert_allclose([image.mean() for _, image in played], [50, 100, 150, 200], atol=6)


def test_close_twice_and_empty_file(tmp_path: Path) -> None:
    """Closing twice is harmless, also when nothing was written, and then leaves no file."""
    writer = VideoWriter(tmp_path / "empty.mp4", 10, 64, 48)
    writer.close()
    writer.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/out.mp4", "there is no folder"),
        ("out.avi", ".mp4 or .mkv"),
        ("out", ".mp4 or .mkv"),
        ("folder.mp4", "cannot write"),
    ],
)
def test_unusable_path_is_refused_at_once(tmp_path: Path, name: str, words: str) -> None:
    """A path that cannot become a video is refused when the writer is made, in one line."""
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UsageError, match=words) as caught:
        VideoWriter(tmp_path / name, 10, 64, 48)
    assert "\n" not in str(caught.value)


def test_wrong_size_is_refused(tmp_path: Path) -> None:
    """A picture smaller than the video is refused with both sizes named."""
    writer = VideoWriter(tmp_path / "out.mp4", 10, 64, 48)
    with pytest.raises(UsageError, match=r"64x48.*32x24"):
        writer.write(_picture(1, 32, 24), 0.0)
    writer.close()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_full_disk_is_named(tmp_path: Path, suffix: str) -> None:
    """A disk without space is said in one line, and closing afterwards raises nothing else."""
    path = tmp_path / f"full{suffix}"
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path.symlink_to("/dev/full")
    rng = np.random.default_rng(0)

    def fill() -> None:
        writer = VideoWriter(path, 10, 320, 240)
        for i in range(80):
            writer.write(rng.integers(0, 255, (240, 320, 3)).astype(np.uint8), i / 10)
        writer.close()

    with pytest.raises(DiskFull, match="the disk is full"):
        fill()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_killed_while_writing_leaves_a_playable_file(tmp_path: Path, suffix: str) -> None:
    """A process that dies leaves a file from which the pictures up to shortly before come back."""
    path = tmp_path / f"killed{suffix}"
    script = (
        "import os, sys, numpy as np\n"
        "from camcount.video.writer import VideoWriter\n"
        "w = VideoWriter(sys.argv[1], 10, 320, 240)\n"
        "rng = np.random.default_rng(0)\n"
        "for i in range(150): w.write(rng.integers(0, 255, (240, 320, 3)).astype(np.uint8), i / 10)\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    count = 0
    with av.open(str(path)) as video:
        try:
            for _ in video.decode(video=0):
                count += 1
        except av.error.InvalidDataError:
            pass  # the picture that was being written
    assert count > 60


def test_annotated_video_draws_every_step(tmp_path: Path) -> None:
    """Every step becomes one picture at its own time, with what the overlay draws on it."""
    path = tmp_path / "annotated.mp4"
    sink = AnnotatedVideo(path, Overlay([], [], 64, 48), 10)
    assert isinstance(sink, AnnotatedVideo)
    checked: Sink = sink
    times = [0.0, 0.2, 0.3, 1.0]
    for i, time_s in enumerate(times):
        checked.write(_step(i, time_s))
    checked.close()
    checked.close()
    np.testing.assert_allclose([time_s for time_s, _ in _played(path)], times, atol=0.002)


def test_error_while_drawing_reaches_the_caller(tmp_path: Path) -> None:
    """What goes wrong in the drawing thread is raised by close, and the file is finished all the same."""
    path = tmp_path / "broken.mp4"
    sink = AnnotatedVideo(path, Overlay([], [], 64, 48), 10)
    for i in range(3):
        sink.write(_step(i, i / 10))

    def render(width: int, height: int) -> Pixels:
        raise UsageError("the camera is on fire")

    bad = Frame(index=3, time_s=0.3, width=64, height=48, render=render)
    sink.write(Step(bad, Detections.empty(), Tracks.empty(), ()))
    with pytest.raises(UsageError, match="on fire"):
        sink.close()
    assert len(_played(path)) == 3


def test_annotated_video_refuses_a_missing_folder_at_once(tmp_path: Path) -> None:
    """The folder is looked for before the first frame, not after the last."""
    with pytest.raises(UsageError, match="there is no folder"):
        AnnotatedVideo(tmp_path / "no" / "out.mp4", Overlay([], [], 64, 48), 10)


@pytest.mark.parametrize("name", ["shot.png", "shot.jpg", "shot.PNG"])
def test_picture_is_saved(tmp_path: Path, name: str) -> None:
    """A picture comes back from its file, exactly from PNG and nearly from JPEG."""
    image = np.random.default_rng(0).integers(100, 140, (20, 30, 3)).astype(np.uint8)
    save_picture(tmp_path / name, image)
    back = cv2.imread(str(tmp_path / name))
    assert back is not None
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < (0.001 if name.lower().endswith("png") else 15)


@pytest.mark.parametrize(("name", "words"), [("no/shot.png", "there is no folder"), ("shot.bmp", ".png or .jpg")])
def test_picture_errors_are_one_line(tmp_path: Path, name: str, words: str) -> None:
    """A picture that cannot be saved is refused with the reason."""
    with pytest.raises(CamcountError, match=words):
        save_picture(tmp_path / name, _picture(3))


def test_picture_on_a_full_disk(tmp_path: Path) -> None:
    """A disk without space is named for pictures too."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "full.png").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        save_picture(tmp_path / "full.png", _picture(3))
