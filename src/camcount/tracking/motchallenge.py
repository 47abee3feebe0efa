"""MOTChallenge text files in place of a video, a detector or a tracker, and tracks written in the same format.

Frame number ``n`` of a file is frame index ``n - 1``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Detections, Tracks
from camcount.errors import UsageError, writing
from camcount.events import Event
from camcount.frame import Frame
from camcount.protocols import SourceInfo, Step
from camcount.tracking.mot_rows import Rows, confidences, last_frame, read_rows, tracked_rows

__all__ = [
    "GivenDetections",
    "GivenFrames",
    "GivenTracks",
    "TracksFile",
    "last_frame",
    "read_detections",
    "read_tracks",
]


def read_detections(path: Path, label: str = "person") -> dict[int, Detections]:
    """Detections by frame number (from 1); a frame without boxes has no entry.

    Boxes stay as they are, also where they reach outside the picture; those without area are left out. Scores:
    see `confidences`.

    Raises:
        SourceError: as `read_rows`.
    """
    rows = read_rows(path)
    rows = replace(rows, score=confidences(rows.score)).select(_solid(rows))
    return {
        number: Detections(_float32(part.xyxy), _float32(part.score), np.zeros(len(part), np.int32), (label,))
        for number, part in rows.by_frame()
    }


def read_tracks(path: Path, label: str = "person") -> dict[int, Tracks]:
    """Tracks by frame number (from 1), all confirmed; a frame without tracks has no entry.

    Ground truth may be given too: its rows marked with score 0, and those of another class than pedestrian,
    are left out.

    Raises:
        SourceError: as `read_rows`; a row has no track id, or an id stands twice in one frame.
    """
    rows = tracked_rows(path)
    counted = (rows.score != 0) & np.equal(rows.category, 1) & _solid(rows)
    rows = replace(rows, score=confidences(rows.score)).select(counted)
    return {number: _tracks(part, label) for number, part in rows.by_frame()}


class GivenFrames:
    """A `Source` of so many frames without pictures, at a steady rate: for counting given boxes.

    Raises:
        UsageError: the rate or the size is not above 0.
    """

    def __init__(
        self,
        frames: int,
        fps: float,
        width: int,
        height: int,
        *,
        uri: str = "",
        camera_id: str = "",
        start_time: datetime | None = None,
    ) -> None:
        if not 0 < fps < float("inf") or width <= 0 or height <= 0:
            raise UsageError(f"given boxes need --fps and --size above 0, got {fps:g} and {width}x{height}")
        self.warnings: list[str] = []
        self._info = SourceInfo(
            uri=uri,
            width=width,
            height=height,
            fps=fps,
            duration_s=frames / fps,
            frames=frames,
            start_time=start_time,
        )
        self._camera_id = camera_id
        self._left = iter(range(frames))
        self._fps = fps
        self._lock = threading.Lock()

    def open(self) -> SourceInfo:
        """Says what was given."""
        return self._info

    def read(self) -> Frame | None:
        """The next frame; ``time_s`` is ``index / fps``, for the file knows no other time."""
        with self._lock:
            index = next(self._left, None)
        if index is None:
            return None
        start, time_s = self._info.start_time, index / self._fps
        return Frame(
            index=index,
            time_s=time_s,
            width=self._info.width,
            height=self._info.height,
            camera_id=self._camera_id,
            wall_time=start and start + timedelta(seconds=time_s),
        )

    def close(self) -> None:
        """No frame follows."""
        with self._lock:
            self._left = iter(range(0))


class GivenDetections:
    """A `Detector` that looks up what a file says of each frame, by the frame's index.

    Attributes:
        frames: the last frame number in the file.
    """

    concurrency = 0

    def __init__(self, path: Path, label: str = "person") -> None:
        self.labels: tuple[str, ...] = (label,)
        self._by_frame = read_detections(path, label)
        self.frames = max(self._by_frame, default=0)
        self._none = Detections.empty(self.labels)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """The rows of each frame."""
        return [self._by_frame.get(frame.index + 1, self._none) for frame in frames]

    def close(self) -> None:
        """Nothing is held."""


class GivenTracks:
    """A `Tracker` that looks up what a file says of each moment and does not look at the detections.

    Attributes:
        frames: the last frame number in the file.
    """

    def __init__(self, path: Path, fps: float, label: str = "person") -> None:
        self._by_frame = read_tracks(path, label)
        self._fps = fps
        self.frames = max(self._by_frame, default=0)
        self._none = Tracks.empty((label,))

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The tracks of the frame shown at ``time_s``."""
        return self._by_frame.get(round(time_s * self._fps) + 1, self._none)

    def reset(self) -> None:
        """Nothing is remembered."""


class TracksFile:
    """A `Sink` that writes ``frame,id,left,top,width,height,confidence,-1,-1,-1`` for every confirmed track.

    Rows are held back for ``hold_s`` seconds, so that a track confirmed meanwhile is written from its first
    box on and the file is in frame order; what is written is whole lines.

    Raises:
        UsageError: the file cannot be created.
        DiskFull: what was written before stays readable.
    """

    def __init__(self, path: Path, *, hold_s: float = 3.0) -> None:
        self._path = path
        self._hold_s = hold_s
        self._held: deque[tuple[float, int, Tracks]] = deque()
        self._confirmed: dict[int, float] = {}
        with writing(path, "tracks"):
            self._file = Path(path).open("w", encoding="ascii", newline="\n")  # noqa: SIM115 - closed by close()

    def write(self, step: Step) -> None:
        """Takes the tracks of one frame."""
        now = step.frame.time_s
        for track_id in step.tracks.track_id[step.tracks.confirmed]:
            self._confirmed.setdefault(int(track_id), now)
        self._held.append((now, step.frame.index + 1, step.tracks))
        if now - self._held[0][0] > self._hold_s:
            self._release(now - self._hold_s)

    def close(self, last: Sequence[Event] = ()) -> None:
        """Writes what is held and closes the file."""
        self._release(float("inf"))
        with writing(self._path, "tracks"):
            self._file.close()

    def _release(self, until: float) -> None:
        lines: list[str] = []
        while self._held and self._held[0][0] < until:
            _, number, tracks = self._held.popleft()
            lines += self._lines(number, tracks)
        # before these the track has no tentative rows left to be written
        self._confirmed = {track: since for track, since in self._confirmed.items() if since >= until}
        with writing(self._path, "tracks"):
            self._file.writelines(lines)
            self._file.flush()

    def _lines(self, number: int, tracks: Tracks) -> Iterator[str]:
        for row in np.argsort(tracks.track_id):
            track_id = int(tracks.track_id[row])
            if tracks.confirmed[row] or track_id in self._confirmed:
                left, top, right, bottom = tracks.xyxy[row].tolist()
                box = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
                yield f"{number},{track_id},{box},{tracks.confidence[row]:.4f},-1,-1,-1\n"


def _tracks(rows: Rows, label: str) -> Tracks:
    return Tracks(
        _float32(rows.xyxy),
        _float32(rows.score),
        np.zeros(len(rows), np.int32),
        rows.track_id,
        np.ones(len(rows), np.bool_),
        (label,),
    )


def _solid(rows: Rows) -> NDArray[np.bool_]:
    return np.asarray((rows.ltwh[:, 2:] > 0).all(axis=1))


def _float32(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)
