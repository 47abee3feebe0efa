"""The hot path with the smallest possible parts around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from camcount.detections import Detections, Tracks
from camcount.events import Crossing, Event
from camcount.frame import Frame
from camcount.pipeline import Pipeline
from camcount.protocols import SourceInfo, Step


class Frames:
    """A source of so many frames without pictures."""

    def __init__(self, count: int) -> None:
        self.warnings: list[str] = []
        self._left = iter(range(count))

    def open(self) -> SourceInfo:
        """Nothing to open."""
        return SourceInfo(uri="frames", width=10, height=10)

    def read(self) -> Frame | None:
        """The next frame."""
        index = next(self._left, None)
        return None if index is None else Frame(index=index, time_s=index / 10, width=10, height=10)

    def close(self) -> None:
        """Nothing to close."""


class Slow:
    """A detector that takes longer for even frames, and remembers how many threads were inside at once."""

    labels: tuple[str, ...] = ("person",)

    def __init__(self, concurrency: int, fail_at: int | None = None) -> None:
        self.concurrency = concurrency
        self.most = 0
        self._inside = 0
        self._lock = threading.Lock()
        self._fail_at = fail_at

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One box whose left edge is the frame's index."""
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        index = frames[0].index
        time.sleep(0.004 if index % 2 == 0 else 0.001)
        with self._lock:
            self._inside -= 1
        if index == self._fail_at:
            raise RuntimeError("the model broke")
        return [Detections(np.array([[index, 0, index + 1, 1]]), np.ones(1), np.zeros(1), self.labels)]  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing to close."""


class Follow:
    """A tracker that calls every box track 1."""

    def update(self, detections: Detections, time_s: float) -> Tracks:
        """The boxes with an id."""
        ones = np.ones(len(detections), np.int64)
        return Tracks(detections.xyxy, detections.confidence, detections.class_id, ones, ones.astype(bool))

    def reset(self) -> None:
        """Nothing to forget."""


class Each:
    """A counter that makes an event of every frame, and one more at the end."""

    def update(self, tracks: Tracks, time_s: float) -> list[Event]:
        """One crossing."""
        return [_event(time_s)]

    def finish(self, time_s: float) -> list[Event]:
        """The last one."""
        return [_event(99.0)]

    def reset(self) -> None:
        """Nothing to forget."""


def _event(time_s: float) -> Crossing:
    return Crossing(
        camera_id="c",
        time_s=time_s,
        track_id=1,
        label="person",
        confidence=1.0,
        reason="test",
        point=(0.0, 0.0),
        line="gate",
        direction="in",
    )


class Notes:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.last: Sequence[Event] | None = None

    def write(self, step: Step) -> None:
        """Keeps the step."""
        self.steps.append(step)

    def close(self, last: Sequence[Event] = ()) -> None:
        """Keeps the last events."""
        self.last = last


class Asked(Slow):
    """One that can be asked without waiting, by threads of its own; it remembers how many frames it had at once."""

    def __init__(self, threads: int) -> None:
        super().__init__(0)
        self._pool = ThreadPoolExecutor(threads)
        self.had = self._has = 0

    def submit(self, frame: Frame) -> Future[Detections]:
        """Puts the frame behind the others."""
        with self._lock:
            self._has += 1
            self.had = max(self.had, self._has)
        future = self._pool.submit(lambda: self.detect([frame])[0])
        future.add_done_callback(self._answered)
        return future

    def _answered(self, _: Future[Detections]) -> None:
        with self._lock:
            self._has -= 1

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def run(detector: Slow, frames: int = 20, threads: int = 3) -> tuple[Pipeline, Notes]:
    """A pipeline and its sink."""
    notes = Notes()
    return Pipeline(Frames(frames), detector, Follow(), Each(), [notes], threads), notes


def test_frames_come_out_in_order_with_their_own_detections_whatever_thread_was_faster() -> None:
    """Detection overtakes, counting does not."""
    pipeline, notes = run(Slow(0))
    steps = list(pipeline.steps())
    assert [s.frame.index for s in steps] == list(range(20))
    assert [int(s.tracks.xyxy[0, 0]) for s in steps] == list(range(20))
    assert [s.frame.index for s in notes.steps] == list(range(20))


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (2, 2), (0, 3)])
def test_no_more_threads_are_in_the_detector_than_it_allows(concurrency: int, most: int) -> None:
    """A detector with memory of earlier frames is never called twice at once."""
    detector = Slow(concurrency)
    list(run(detector)[0].steps())
    assert detector.most <= most
    assert most == 1 or detector.most > 1


def test_a_detector_with_threads_of_its_own_always_has_a_frame_waiting() -> None:
    """One more than threads, so that none of them has to wait for this side; and they come back in order."""
    detector = Asked(threads=2)
    pipeline, notes = run(detector, threads=2)
    assert [s.frame.index for s in pipeline.steps()] == list(range(20))
    detector.close()
    assert [int(s.tracks.xyxy[0, 0]) for s in notes.steps] == list(range(20))
    assert detector.had == 3


def test_events_still_open_after_the_last_frame_reach_sinks_and_caller() -> None:
    """Nothing is lost at the end of a video."""
    pipeline, notes = run(Slow(0), frames=3)
    list(pipeline.steps())
    assert [e.time_s for e in pipeline.events] == [99.0]
    assert notes.last == pipeline.events


def test_leaving_early_closes_the_sinks_and_leaves_no_thread_behind() -> None:
    """A caller may stop at any step."""
    before = threading.active_count()
    pipeline, notes = run(Slow(0), frames=1000)
    steps = pipeline.steps()
    next(steps)
    steps.close()
    assert notes.last is not None
    assert threading.active_count() == before


def test_an_error_of_the_detector_reaches_the_caller_and_the_sinks_are_closed() -> None:
    """What was counted before it is kept."""
    pipeline, notes = run(Slow(0, fail_at=5))
    with pytest.raises(RuntimeError, match="the model broke"):
        list(pipeline.steps())
    assert len(notes.steps) == 5
    assert notes.last is not None
