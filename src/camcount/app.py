"""The only wiring of a count: settings to running objects."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from camcount.app_open import camera_name, check_shapes, open_detector, open_source, trust_of
from camcount.counting.certainty import Certainty
from camcount.counting.evidence import Finding
from camcount.counting.first_look import FirstLook
from camcount.counting.intervals import Intervals, parse_duration
from camcount.counting.paths import HeatMap, SpeedMeter
from camcount.counting.scene import SceneCounter
from camcount.counting.totals import Totals
from camcount.errors import UsageError
from camcount.events import Event
from camcount.frame import Image
from camcount.geometry import Line, Zone
from camcount.pipeline import Pipeline
from camcount.protocols import Counter, Detector, Sink, Step, Tracker
from camcount.serving.options import cores
from camcount.settings import Settings

if TYPE_CHECKING:
    from camcount.tracking.looks import Looks


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Which files a counting run leaves; ``None`` for none."""

    annotate: Path | None = None
    events: Path | None = None
    tracks: Path | None = None
    heatmap: Path | None = None

    def paths(self) -> list[str]:
        """The files that are written."""
        return [str(p) for p in (self.annotate, self.events, self.tracks, self.heatmap) if p is not None]


class CountingRun:
    """One source counted once: opened and checked when constructed, counted by `steps`, told by `result`.

    ``detector`` is one that several runs share, in place of the settings' own; it stays open.

    Raises:
        CamcountError: the source, the model, a line or an output file cannot be used; nothing is left open.
    """

    def __init__(
        self,
        settings: Settings,
        outputs: Outputs | None = None,
        *,
        tracker: Tracker | None = None,
        sinks: Sequence[Sink] = (),
        propose: bool = True,
        detector: Detector | None = None,
    ) -> None:
        self._settings = settings
        self._outputs = outputs or Outputs()
        self._tracker = tracker
        self._extra_sinks = sinks
        self._propose = propose
        self._open = ExitStack()
        self.lines: list[Line] = settings.drawn_lines()
        self.zones: list[Zone] = settings.drawn_zones()
        self.proposed: Line | None = None
        self.frames = 0
        self.duration_s = 0.0
        self.warnings: list[str] = []
        self._background: Image | None = None
        self._limit_s = parse_duration(settings.duration) if settings.duration else None
        every_s = parse_duration(settings.every) if settings.every else None
        with self._open:
            self._source, self.info = open_source(settings)
            self._open.callback(self._source.close)
            check_shapes(self.lines, self.zones, self.info.width, self.info.height)
            self.totals = Totals(self.lines, self.zones)
            self._detector = self._make_detector() if detector is None else detector
            if detector is None:
                self._open.callback(self._detector.close)
            self._looks = self._make_looks()
            self._heat = HeatMap(self.info.width, self.info.height) if self._outputs.heatmap else None
            self._speed = SpeedMeter(metres_per_pixel=self._metres_per_pixel(), anchor=settings.anchor)
            self._certainty = Certainty(self.lines, self.info.width, self.info.height, anchor=settings.anchor)
            self._intervals = (
                Intervals(every_s, self.lines, start_time=self.info.start_time) if every_s is not None else None
            )
            self._pipeline = self._make_pipeline()
            self._open = self._open.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def length_s(self) -> float | None:
        """How much video there is to count, if the source says."""
        known = [s for s in (self.info.duration_s, self._limit_s) if s is not None]
        return min(known, default=None)

    @property
    def tracks(self) -> int:
        """How many objects were followed so far."""
        return self._speed.tracks

    @property
    def written(self) -> list[str]:
        """The files that the run leaves."""
        return self._outputs.paths()

    @property
    def looked(self) -> dict[str, Any] | None:
        """How many boxes the appearance model was asked about, and how many a frame; None without one."""
        return self._looks.as_dict() if self._looks is not None else None

    def steps(self) -> Generator[Step, None, None]:
        """Counts frame after frame; the totals are true after each step, and complete at the end."""
        first: float | None = None
        steps = self._pipeline.steps()
        try:
            for step in steps:
                first = step.frame.time_s if first is None else first
                self._note(step, first)
                yield step
                if self._limit_s is not None and step.frame.time_s - first >= self._limit_s:
                    break
        finally:
            steps.close()  # what was still open is decided now
            self._add(self._pipeline.events)
            self._weigh(self._certainty.finish(self._pipeline.events))
            self._finish()

    def headline(self) -> str:
        """The running counts in a few words."""
        lines = self.totals.as_dict()["lines"]
        return " · ".join(f"{name} in {line['in']} out {line['out']}" for name, line in lines.items())

    def result(self) -> dict[str, Any]:
        """What was counted, ready for JSON."""
        result: dict[str, Any] = {
            "source": self.info.uri,
            "frames": self.frames,
            "duration_s": round(self.duration_s, 3),
            **self.totals.as_dict(),
        }
        result["bounds"] = {name: self._certainty.as_dict(name) for name in result["lines"]}
        if self.proposed is not None:
            points = [[round(v, 3) for v in point] for point in self.proposed.points]
            result["proposed_line"] = {"name": self.proposed.name, "points": points}
        speeds = self._speed.as_dict()
        if speeds:
            result["speed"] = speeds
        if self._intervals is not None:
            result["intervals"] = [interval.as_dict() for interval in self._intervals.all()]
        if self.looked is not None:
            result["appearance"] = self.looked
        result["dropped_frames"] = self._source.dropped
        result["warnings"] = self.warnings
        return result

    def _note(self, step: Step, first: float) -> None:
        self.frames += 1
        period = 1 / self.info.fps if self.info.fps else 0.0
        self.duration_s = step.frame.time_s - first + period
        self._speed.update(step.tracks, step.frame.time_s)
        if self._heat is not None:
            self._heat.update(step.tracks, step.frame.time_s)
            if self._background is None and step.frame.render is not None:
                self._background = step.frame.image(self.info.width, self.info.height)
        if self._intervals is not None:
            self._intervals.frame(step.frame.time_s)
        self._add(step.events)
        self._weigh(self._certainty.update(step.tracks, step.frame.time_s, step.events))

    def _weigh(self, findings: Sequence[Finding]) -> None:
        if self._intervals is not None:
            for finding in findings:
                self._intervals.weigh(finding)

    def _add(self, events: Sequence[Event]) -> None:
        for event in events:
            self.totals.add(event)
            if self._intervals is not None:
                self._intervals.add(event)

    def _finish(self) -> None:
        self.warnings += [w for w in self._source.warnings if w not in self.warnings]
        if self.proposed is not None:
            self.warnings.append(
                f"no --line was given: counted at a proposed one, --line {line_text(self.proposed)!r}"
            )
        if self._heat is not None and self._outputs.heatmap is not None:
            from camcount.video.writer import save_picture

            save_picture(self._outputs.heatmap, self._heat.picture(self._background))

    def _make_detector(self) -> Detector:
        settings = self._settings
        if settings.detections is None:
            return open_detector(settings, settings.labels)
        from camcount.tracking.motchallenge import GivenDetections

        if settings.labels is not None and settings.detections_label not in settings.labels:
            raise UsageError(
                f"--labels {','.join(settings.labels)} leaves nothing of --detections, which are all "
                f"{settings.detections_label!r}: --detections-label says what they are"
            )
        return GivenDetections(settings.detections, label=settings.detections_label)

    def _make_looks(self) -> Looks | None:
        if self._settings.appearance is None:
            return None
        from camcount.models.opening import resolve_appearance
        from camcount.tracking.looks import Looks

        settings = self._settings
        appearance = resolve_appearance(
            str(settings.appearance), providers=settings.providers, trust=trust_of(settings)
        )
        self._open.callback(appearance.close)
        return Looks(appearance)

    def _make_pipeline(self) -> Pipeline:
        from camcount.tracking.select import tracker_for

        looks = self._looks
        tracker = self._tracker or tracker_for(self._settings.tracker, **({} if looks is None else {"looks": looks}))
        counter = self._counter()
        sinks = [*self._extra_sinks, *self._sinks()]
        threads = self._settings.threads or cores()
        onlooker = None if looks is None else looks.show
        return Pipeline(self._source, self._detector, tracker, counter, sinks, threads, onlooker)

    def _counter(self) -> Counter:
        if self.lines or self.zones or not self._propose:
            return self._scene(self.lines)
        return FirstLook(
            lambda line: self._scene([line]), self.info.width, self.info.height, decided=self._line_decided
        )

    def _scene(self, lines: Sequence[Line]) -> SceneCounter:
        settings = self._settings
        return SceneCounter(
            lines,
            self.zones,
            self.info.width,
            self.info.height,
            anchor=settings.anchor,
            camera_id=settings.camera or camera_name(self.info.uri),
            start_time=self.info.start_time,
            unlike=None if self._looks is None else self._looks.unlike,
        )

    def _line_decided(self, line: Line) -> None:
        self.proposed = line
        self.lines.append(line)  # the overlay and the intervals look at this very list
        self.totals.add_line(line)

    def _sinks(self) -> list[Sink]:
        sinks: list[Sink] = []
        if self._outputs.events is not None:
            from camcount.outputs import events_file

            sinks.append(events_file(self._outputs.events))
        if self._outputs.tracks is not None:
            from camcount.tracking.motchallenge import TracksFile

            sinks.append(TracksFile(self._outputs.tracks))
        if self._outputs.annotate is not None:
            sinks.append(self._annotated(self._outputs.annotate))
        return sinks

    def _annotated(self, path: Path) -> Sink:
        if self._settings.detections is not None:
            raise UsageError("--annotate needs a video: --detections come without pictures")
        from camcount.video.overlay import Overlay
        from camcount.video.writer import AnnotatedVideo

        overlay = Overlay(self.lines, self.zones, self.info.width, self.info.height, anchor=self._settings.anchor)
        return AnnotatedVideo(path, overlay, self.info.fps or 25.0)

    def _metres_per_pixel(self) -> float | None:
        if not self._settings.scale:
            return None
        name, metres = next(iter(self._settings.scale.items()))
        line = next((line for line in self.lines if line.name == name), None)
        if line is None or metres <= 0:
            raise UsageError(f"--scale {name}={metres:g} must name a --line and its real length in metres")
        a, b = line.at(self.info.width, self.info.height)[[0, -1]]
        return metres / float(((b - a) ** 2).sum() ** 0.5)


def line_text(line: Line) -> str:
    """The line as ``--line`` takes it."""
    return f"{line.name}=" + ",".join(f"{v:.3g}" for point in line.points for v in point)
