"""Videos that were dropped into the pages: counted one after the other, and what came of them, kept for a while."""

from __future__ import annotations

import logging
import queue
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from camcount.app import CountingRun, Outputs
from camcount.dashboard.videos_watch import Watch
from camcount.errors import CamcountError, Overloaded, coded, writing
from camcount.models.home import home
from camcount.outputs import events_file
from camcount.protocols import Detector
from camcount.serving.options import cores
from camcount.settings import Settings

_log = logging.getLogger("camcount.dashboard")
State = Literal["waiting", "counting", "done", "failed"]
MOTION = "motion"
FILES = ("annotated.mp4", "events.csv", "events.parquet", "events.jsonl", "result.json")
_ABOUT = "video.json"
_MOST_WAITING = 8


@dataclass(slots=True)
class Video:
    """One video and how far it is.

    Attributes:
        name: as it was called where it came from. file: as it is called here.
        share: how much of it is counted, 0..1.
        result: as `CountingRun.result`, with ``bars`` of `Watch.bars`; empty before the end.
    """

    id: str
    name: str
    model: str
    file: str
    created: str
    state: State = "waiting"
    share: float = 0.0
    frames: int = 0
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class Videos:
    """The videos of one server; safe from all threads. What waits is counted after a restart too.

    Args:
        detector: a served model by its reference.
        folder: where they are; under CAMCOUNT_HOME unless given.
        most, most_bytes: of what is kept; the oldest results give way.
    """

    def __init__(
        self,
        detector: Callable[[str], Detector],
        *,
        folder: Path | None = None,
        most: int = 30,
        most_bytes: int = 20 * 2**30,
    ) -> None:
        self._detector = detector
        self._folder = folder or home() / "videos"
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()
        self._wanted: queue.Queue[str | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._videos: dict[str, Video] = {}
        self._watching: tuple[str, Watch] | None = None

    def start(self) -> None:
        """Goes on with what waits from before; what was never saved to its end is swept away."""
        for folder in self._folder.glob("*"):
            if not (folder / _ABOUT).is_file():
                shutil.rmtree(folder, ignore_errors=True)
        for path in sorted(self._folder.glob(f"*/{_ABOUT}"), key=lambda path: path.stat().st_mtime):
            try:
                video = Video(**orjson.loads(path.read_bytes()))
            except (OSError, ValueError, TypeError):
                continue
            self._videos[video.id] = video
            if video.state in ("waiting", "counting"):
                self._again(replace(video, state="waiting", share=0.0, frames=0))

    def place(self, name: str) -> tuple[str, Path]:
        """An id for a new video, and where it is to be saved before `add`.

        Raises:
            Overloaded: too many wait.
        """
        if sum(video.state in ("waiting", "counting") for video in self.all()) >= _MOST_WAITING:
            raise Overloaded(f"{_MOST_WAITING} videos wait to be counted: drop this one when some are done", 30.0)
        video_id = secrets.token_hex(8)
        suffix = "".join(c for c in Path(name).suffix.lower() if c.isalnum())[:5]
        path = self._folder / video_id / f"video.{suffix or 'mp4'}"
        with writing(path, "video"):
            path.parent.mkdir(parents=True, exist_ok=True)
        return video_id, path

    def add(self, video_id: str, path: Path, name: str, model: str = MOTION) -> Video:
        """Has a saved video counted."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        video = Video(video_id, Path(name).name[:120] or path.name, model, path.name, now)
        self._again(video)
        return video

    def all(self) -> list[Video]:
        """All that are known, the newest first."""
        with self._lock:
            return sorted(self._videos.values(), key=lambda video: video.created, reverse=True)

    def get(self, video_id: str) -> Video | None:
        """One of them."""
        with self._lock:
            return self._videos.get(video_id)

    def path(self, video_id: str, file: str) -> Path | None:
        """One of its `FILES`, if it is there."""
        if self.get(video_id) is None or file not in FILES:
            return None
        path = self._folder / video_id / file
        return path if path.is_file() else None

    def picture(self, video_id: str) -> bytes | None:
        """What is being counted just now, as a JPEG; None where it is not this video."""
        watching = self._watching
        return watching[1].picture() if watching is not None and watching[0] == video_id else None

    def delete(self, video_id: str) -> None:
        """Forgets one and all its files; if it is being counted, that ends."""
        with self._lock:
            self._videos.pop(video_id, None)
        if self._watching is None or self._watching[0] != video_id:
            shutil.rmtree(self._folder / video_id, ignore_errors=True)

    def close(self) -> None:
        """Ends counting; what was not done is counted from its beginning after a restart."""
        self._stopping.set()
        self._wanted.put(None)
        if self._thread is not None:
            self._thread.join(10.0)

    def _again(self, video: Video) -> None:
        with self._lock:
            self._videos[video.id] = video
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="dropped videos", daemon=True)
                self._thread.start()
        self._note(video)
        self._wanted.put(video.id)

    def _work(self) -> None:
        while (video_id := self._wanted.get()) is not None and not self._stopping.is_set():
            video = self.get(video_id)
            if video is None:
                continue
            try:
                self._count(video)
            except CamcountError as error:
                video.state, video.error = "failed", coded(error)
            except Exception as error:
                _log.exception("a dropped video was not counted")
                video.state, video.error = "failed", f"internal error ({type(error).__name__})"
            self._watching = None
            try:
                self._tidy(video)
            except (CamcountError, OSError) as error:  # a full disk must not end what counts the next one
                _log.warning("what became of a dropped video is not noted: %s", error)

    def _count(self, video: Video) -> None:
        folder = self._folder / video.id
        settings = Settings(
            source=str(folder / video.file),
            camera=Path(video.name).stem,
            model=video.model,
            threads=max(1, cores() // 2),
        )
        detector = None if video.model == MOTION else self._detector(video.model)
        watch = Watch()
        with self._run(settings, folder, watch, detector) as run:
            watch.lines, video.state = run.lines, "counting"
            self._watching = video.id, watch
            with closing(run.steps()) as steps:
                for _ in steps:
                    video.frames = run.frames
                    video.share = min(1.0, run.duration_s / run.length_s) if run.length_s else 0.0
                    if self._stopping.is_set() or self.get(video.id) is None:
                        return
            result = run.result()
        self._told(video, result | {"source": video.name, "bars": watch.bars(run.duration_s)})

    @staticmethod
    def _run(settings: Settings, folder: Path, watch: Watch, detector: Detector | None) -> CountingRun:
        outputs = Outputs(annotate=folder / "annotated.mp4", events=folder / "events.csv")
        files = [events_file(folder / "events.parquet"), events_file(folder / "events.jsonl")]
        try:
            return CountingRun(settings, outputs, sinks=[watch, *files], detector=detector)
        except BaseException:
            for file in files:
                file.close()
            raise

    def _told(self, video: Video, result: dict[str, Any]) -> None:
        path = self._folder / video.id / "result.json"
        with writing(path, "result"):
            path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2))
        video.result, video.share, video.state = result, 1.0, "done"

    def _tidy(self, video: Video) -> None:
        """Notes how it ended, and makes room: uploads go first, then the oldest results."""
        folder = self._folder / video.id
        if self.get(video.id) is None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        if video.state in ("done", "failed"):
            (folder / video.file).unlink(missing_ok=True)
            self._note(video)
        kept = 0
        for place, old in enumerate(self.all()):
            kept += sum(path.stat().st_size for path in (self._folder / old.id).glob("*"))
            if old.state in ("done", "failed") and (place >= self._most or (kept > self._most_bytes and place)):
                self.delete(old.id)

    def _note(self, video: Video) -> None:
        path = self._folder / video.id / _ABOUT
        with writing(path, "state"):
            path.write_bytes(orjson.dumps(asdict(video)))
