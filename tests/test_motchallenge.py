"""Given boxes and tracks, and the tracks file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from camcount.detections import Detections, Tracks
from camcount.errors import CamcountError, DiskFull, SourceError, SourceNotFound, UsageError
from camcount.frame import Frame
from camcount.protocols import Step
from camcount.tracking.mot_rows import confidences, read_rows
from camcount.tracking.motchallenge import (
    GivenDetections,
    GivenFrames,
    GivenTracks,
    TracksFile,
    last_frame,
    read_detections,
    read_tracks,
)


def _file(folder: Path, *lines: str) -> Path:
    path = folder / "boxes.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def _frame(index: int, fps: float = 10) -> Frame:
    return Frame(index=index, time_s=index / fps, width=100, height=100)


def _tracks(ids: list[int], confirmed: list[bool]) -> Tracks:
    n = len(ids)
    box = np.tile(np.array([10, 20, 30, 60], np.float32), (n, 1))
    return Tracks(
        box, np.full(n, 0.5, np.float32), np.zeros(n, np.int32), np.array(ids), np.array(confirmed), ("person",)
    )


def _step(index: int, ids: list[int], confirmed: list[bool], fps: float = 10) -> Step:
    return Step(_frame(index, fps), Detections.empty(), _tracks(ids, confirmed), ())


def test_detections_are_found_by_frame_index(tmp_path: Path) -> None:
    """File frame 1 is index 0, rows may be in any order, a frame without rows is empty."""
    path = _file(tmp_path, "3,-1,5,6,10,20,0.5,-1,-1,-1", "", "1,-1,1,2,3,4,0.9", "1,-1,7,7,7,7,0.8")
    given = GivenDetections(path, label="car")
    first, second, third = given.detect([_frame(0), _frame(1), _frame(2)])
    assert first.xyxy.tolist() == [[1, 2, 4, 6], [7, 7, 14, 14]]
    assert first.confidence.tolist() == pytest.approx([0.9, 0.8])
    assert first.label(0) == "car"
    assert given.labels == ("car",)
    assert len(second) == 0
    assert third.xyxy.tolist() == [[5, 6, 15, 26]]
    assert given.frames == last_frame(path) == 3


def test_boxes_outside_the_picture_stay_and_flat_ones_go(tmp_path: Path) -> None:
    """A box over the edge keeps its true foot; one without area is no object."""
    path = _file(tmp_path, "1,-1,-20,5,30,500,0.5", "1,-1,5,5,0,9,0.5", "1,-1,5,5,9,-1,0.5")
    assert read_detections(path)[1].xyxy.tolist() == [[-20, 5, 10, 505]]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.2, 1.0], [0.2, 1.0]),
        ([20.0, 95.0], [0.2, 0.95]),
        ([30.0, 120.0], [0.25, 1.0]),
        ([1.5, 3.0], [0.5, 1.0]),
        ([-1.0, 0.3], [1.0, 0.3]),
        ([-1.0, -1.0], [1.0, 1.0]),
        ([0.0, -0.5], [0.5, 0.3775]),
    ],
)
def test_scores_of_any_kind_become_confidences(scores: list[float], expected: list[float]) -> None:
    """Shares, percents, unbounded sums, missing ones and margins all end in 0..1, in the same order."""
    assert confidences(np.array(scores)).tolist() == pytest.approx(expected, abs=1e-4)


def test_missing_score_column_means_sure(tmp_path: Path) -> None:
    """Six columns are enough."""
    assert read_detections(_file(tmp_path, "1,-1,1,2,3,4"))[1].confidence.tolist() == [1.0]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("1,-1,1,2,3", "row 2 has 5 columns and needs at least 6"),
        ("1,-1,1,2,wide,4,1", "row 2 has 'wide' where a number belongs"),
        ("1,-1,nan,2,3,4,1", "row 2 has a value that is not finite"),
        ("1,-1,1,2,inf,4,1", "row 2 has a value that is not finite"),
        ("0,-1,1,2,3,4,1", "frames from 1"),
        ("1.5,-1,1,2,3,4,1", "frames from 1"),
        ("1 -1 1 2 3 4 1", "separated by commas"),
    ],
)
def test_bad_row_is_named_with_its_remedy(tmp_path: Path, row: str, says: str) -> None:
    """One line: file, row, what is wrong and what would be right."""
    path = _file(tmp_path, "1,-1,1,2,3,4,1", row)
    with pytest.raises(SourceError) as error:
        read_rows(path)
    message = str(error.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    """Missing, binary, a folder, empty: each its own message."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SourceNotFound, match="check the spelling"):
        read_rows(tmp_path / "nowhere.txt")
    with pytest.raises(SourceError, match="no text file"):
        read_rows(tmp_path / "binary")
    with pytest.raises(SourceError, match="cannot be read"):
        read_rows(tmp_path)
    with pytest.raises(SourceError, match="holds no rows"):
        last_frame(_file(tmp_path, ""))


def test_given_frames_carry_time_and_clock() -> None:
    """Index over rate is the time, and the clock follows from the start."""
    start = datetime(2024, 5, 1, 12, tzinfo=UTC)
    source = GivenFrames(3, 2.0, 640, 480, uri="det.txt", camera_id="gate", start_time=start)
    info = source.open()
    assert (info.frames, info.duration_s, info.width, info.height, info.uri) == (3, 1.5, 640, 480, "det.txt")
    frames = [source.read() for _ in range(4)]
    assert [f and f.time_s for f in frames] == [0.0, 0.5, 1.0, None]
    assert frames[2] is not None
    assert frames[2].wall_time == datetime(2024, 5, 1, 12, 0, 1, tzinfo=UTC)
    assert frames[2].camera_id == "gate"


def test_given_frames_end_when_closed() -> None:
    """After `close` no frame comes."""
    source = GivenFrames(3, 25, 640, 480)
    source.open()
    source.close()
    assert source.read() is None


@pytest.mark.parametrize(("fps", "width", "height"), [(0, 1, 1), (-5, 1, 1), (float("nan"), 1, 1), (25, 0, 480)])
def test_given_frames_refuse_what_is_not_above_zero(fps: float, width: int, height: int) -> None:
    """A rate or a size of nothing is a usage error."""
    with pytest.raises(UsageError, match="above 0"):
        GivenFrames(3, fps, width, height)


def test_given_tracks_follow_the_time(tmp_path: Path) -> None:
    """A tracker made of a file answers by time, so that a skipped frame does not shift what follows."""
    path = _file(tmp_path, "1,4,1,2,3,4,1,-1,-1,-1", "3,4,2,2,3,4,1,-1,-1,-1")
    given = GivenTracks(path, 29.97)
    none = Detections.empty()
    assert given.update(none, 0.0).track_id.tolist() == [4]
    assert given.update(none, 2 / 29.97).xyxy[0].tolist() == [2, 2, 5, 6]
    assert len(given.update(none, 1 / 29.97)) == 0
    assert given.update(none, 0.0).confirmed.all()
    assert given.frames == 3


def test_tracks_need_ids_and_each_once(tmp_path: Path) -> None:
    """Detections are not taken for tracks, and two boxes with one id in a frame are an error."""
    with pytest.raises(SourceError, match="without a track id"):
        read_tracks(_file(tmp_path, "1,-1,1,2,3,4,1"))
    with pytest.raises(SourceError, match="track 3 twice in frame 2"):
        read_tracks(_file(tmp_path, "2,3,1,2,3,4,1", "2,3,9,9,3,4,1"))


def test_ground_truth_given_as_tracks_leaves_out_what_does_not_count(tmp_path: Path) -> None:
    """Rows marked 0 and rows of other classes are no pedestrians; 3-D columns are no class."""
    path = _file(tmp_path, "1,1,0,0,9,9,1,1,0.5", "1,2,0,0,9,9,0,1,1", "1,3,0,0,9,9,1,7,1")
    assert read_tracks(path)[1].track_id.tolist() == [1]
    path = _file(tmp_path, "1,1,0,0,9,9,1,4.5,5.5,0", "1,2,0,0,9,9,1,12.6,10.6,0")
    assert read_tracks(path)[1].track_id.tolist() == [1, 2]


def test_real_files_read_whole(data: Path) -> None:
    """Counts that were taken from the files with other tools."""
    mot = data / "mot"
    assert last_frame(mot / "TUD-Stadtmitte/gt/gt.txt") == 179
    assert sum(map(len, read_tracks(mot / "MOT17-09/gt/gt.txt").values())) == 5325
    assert sum(map(len, read_tracks(mot / "MOT17-09/trackers/Lif_T-SDP.txt").values())) > 3000
    detections = read_detections(mot / "TUD-Campus/det/det.txt")
    assert detections[1].confidence[0] == pytest.approx(0.997784)


def test_tracks_file_gives_back_what_was_written(tmp_path: Path) -> None:
    """Written, read: the same ids and boxes."""
    path = tmp_path / "tracks.txt"
    sink = TracksFile(path)
    sink.write(_step(0, [7, 2], [True, True]))
    sink.write(_step(4, [2], [True]))
    sink.close()
    assert path.read_text().splitlines()[0] == "1,2,10.00,20.00,20.00,40.00,0.5000,-1,-1,-1"
    back = read_tracks(path)
    assert back[1].track_id.tolist() == [2, 7]
    assert back[5].xyxy.tolist() == [[10, 20, 30, 60]]


def test_tracks_file_reaches_back_to_a_tracks_first_box(tmp_path: Path) -> None:
    """A track confirmed later is written from its start; one never confirmed is not."""
    path = tmp_path / "tracks.txt"
    sink = TracksFile(path)
    sink.write(_step(0, [1, 9], [False, False]))
    sink.write(_step(1, [1], [False]))
    sink.write(_step(2, [1], [True]))
    sink.close()
    assert [line.split(",")[:2] for line in path.read_text().splitlines()] == [["1", "1"], ["2", "1"], ["3", "1"]]


def test_tracks_file_holds_a_few_seconds_only(tmp_path: Path) -> None:
    """However long it runs, rows go out in frame order and nothing piles up."""
    path = tmp_path / "tracks.txt"
    sink = TracksFile(path, hold_s=1.0)
    for index in range(500):
        sink.write(_step(index, [index + 1], [True]))
        assert len(sink._held) <= 12
        assert len(sink._confirmed) <= 12
    assert len(path.read_text().splitlines()) > 480
    sink.close()
    frames = [int(line.split(",")[0]) for line in path.read_text().splitlines()]
    assert frames == list(range(1, 501))


def test_tracks_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """A folder that is not there, and a full disk."""
    with pytest.raises(UsageError, match="cannot write"):
        TracksFile(tmp_path / "no" / "tracks.txt")
    if not Path("/dev/full").exists():
        return
    sink = TracksFile(Path("/dev/full"))
    sink.write(_step(0, [1], [True]))
    with pytest.raises(DiskFull, match="disk is full") as error:
        sink.close()
    assert isinstance(error.value, CamcountError)
    with pytest.raises(OSError, match="No space"):
        sink._file.close()
