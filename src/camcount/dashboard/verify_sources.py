"""What can be verified: counted videos of cameras and batches, and any video beside its events."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from camcount.app import line_text
from camcount.app_open import open_source
from camcount.batch.journal import kept_videos
from camcount.cameras.checkpoint import unpacked
from camcount.dashboard.dashboard import Dashboard
from camcount.errors import CamcountError, UsageError
from camcount.evaluation.review import Review, plan
from camcount.evaluation.review_folder import ReviewFolder
from camcount.events import Crossing
from camcount.geometry import Line, Points
from camcount.models.home import home
from camcount.outputs import read_crossings
from camcount.settings import Settings, load, shapes
from camcount.storage.batch_runs import Runs

_EVENTS_AT_ONCE = 5000
_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedVideo:
    """A video that was counted, before its events are read.

    Attributes:
        name: as it is shown.
        source: as cameras and ``camcount count`` take it.
        lines: where it was counted, as far as known.
        events: the file of its events, or None where the store has those of ``camera``.
    """

    name: str
    source: str
    lines: tuple[Line, ...] = ()
    events: Path | None = None
    camera: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A review whose strips are not cut yet; ``command`` reports from it on the command line, where that can be."""

    folder: ReviewFolder
    settings: Settings
    lines: tuple[Line, ...]
    command: tuple[str, ...]

    def cut(self, done: Callable[[int], None]) -> None:
        """Cuts the strips, unless they are there; ``done`` is called with how many there are.

        Raises:
            SourceError, DiskFull, GeometryError: it cannot be done.
        """
        items = self.folder.review.items
        if all(self.folder.strip(item).is_file() for item in items):
            return
        ahead, info = open_source(self.settings)
        try:
            places: dict[str, Points] = {line.name: line.at(info.width, info.height) for line in self.lines}
            for many, _ in enumerate(self.folder.cut(ahead, places), 1):
                done(many)
        finally:
            ahead.close()


def counted_videos(dashboard: Dashboard) -> list[CountedVideo]:
    """Cameras that play a file, and the videos of the last batches."""
    found = []
    for state in dashboard.site.cameras.states():
        settings = dashboard.site.cameras.settings(state.name)
        if settings.exact and any(line["in"] or line["out"] for line in state.totals.values()):
            found.append(
                CountedVideo(name=state.name, source=settings.source, lines=settings.lines, camera=state.name)
            )
    for run in Runs(dashboard.database).all(_RUNS):
        try:
            asked, videos = kept_videos(Path(run.folder))
            lines = tuple(Settings.model_validate(asked | {"source": "-"}).drawn_lines())
        except (CamcountError, ValueError):  # results that were moved away, or are an older camcount's
            continue
        found += [CountedVideo(name=v.name, source=v.source, lines=lines, events=v.events) for v in videos]
    return found


def given(source: str, events: str, lines: Sequence[str]) -> CountedVideo:
    """A video on this machine with the events file of its count.

    Raises:
        GeometryError: a line is not NAME=x1,y1,x2,y2.
        UsageError: something is missing.
    """
    if not source or not events:
        raise UsageError("a review needs the video and the events file of its count: give both paths")
    settings = load(None, {"source": source} | shapes(list(lines), None))
    return CountedVideo(
        name=Path(source).name, source=source, lines=tuple(settings.drawn_lines()), events=Path(events)
    )


def prepare(dashboard: Dashboard, video: CountedVideo, *, events: int, moments: int, seed: int = 1) -> Prepared:
    """Draws the sample. The same video with the same count and sample is the same review, with its answers.

    Raises:
        UsageError: nothing was counted, or the events cannot be read.
        SourceError: the video cannot be opened.
    """
    settings = load(None, {"source": video.source})
    ahead, info = open_source(settings)
    ahead.close()
    if video.events is not None:
        crossings = read_crossings(video.events)
        length_s = info.duration_s or max((c.time_s for c in crossings), default=0.0) + 1
    else:
        crossings, length_s = _of_camera(dashboard, video.camera, info.duration_s)
    names = list(dict.fromkeys([*(line.name for line in video.lines), *(c.line for c in crossings)]))
    review = plan(crossings, names, length_s, events=events, moments=moments, seed=seed)
    folder = ReviewFolder(reviews() / _name(video, review), review, suffix=".jpg")
    command: list[str] = []
    if video.events is not None:
        command = ["camcount", "verify", video.source, "--events", str(video.events)]
        command += [word for line in video.lines for word in ("--line", line_text(line))]
        command += ["--sample", str(events), "--moments", str(moments), "--answers", str(folder.form)]
    return Prepared(folder, settings, video.lines, tuple(command))


def reviews() -> Path:
    """Where the folders of reviews are."""
    return home() / "reviews"


def _name(video: CountedVideo, review: Review) -> str:
    parts = [video.source, *(item.kind + item.line + f"{item.start_s:.3f}" for item in review.items)]
    parts += [crossing.event_id for crossing in review.crossings]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _of_camera(dashboard: Dashboard, camera: str, length_s: float | None) -> tuple[list[Crossing], float]:
    """What it counted in its last whole pass over its file, or so far in the first, on the clock of the file.

    Raises:
        UsageError: it has counted nothing yet.
    """
    store = dashboard.site.store
    content = store.checkpoint(camera)
    place, _ = unpacked(content) if content is not None else (None, None)
    if place is None:
        raise UsageError(f"camera {camera!r} has counted nothing yet: wait for its first crossings")
    begin, end = place.axis.offset_s, place.time_s
    if place.axis.passes and length_s is not None:
        begin, end = begin - length_s, begin
    since = place.began + timedelta(seconds=begin - 1)
    found: list[Crossing] = []
    after = 0
    while page := store.events(camera_id=camera, after=after, since=since, limit=_EVENTS_AT_ONCE):
        after = page[-1].number
        found += [one.event for one in page if isinstance(one.event, Crossing)]
    here = [c for c in found if begin <= c.time_s <= end and _same(c, place.began)]
    return [replace(c, time_s=c.time_s - begin) for c in here], end - begin


def _same(crossing: Crossing, began: datetime) -> bool:
    """Whether it was counted on the axis that began then."""
    return crossing.time is not None and abs((crossing.time - began).total_seconds() - crossing.time_s) < 1.0
