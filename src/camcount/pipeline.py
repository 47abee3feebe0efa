"""The hot path: frame -> detections -> tracks -> events -> sinks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from camcount.detections import Detections
from camcount.events import Event
from camcount.frame import Frame
from camcount.protocols import Counter, Detector, Sink, Source, Step, Submitting, Tracker


@dataclass
class Pipeline:
    """One camera from its frames to its counts.

    ``source`` must be open. Frames are detected in up to ``threads`` threads at once (never more than the
    detector allows; those of its own if it can be asked without waiting) and come back in order; tracking and
    counting happen in the caller's thread. `steps` may be left early: nothing keeps running. Sinks are closed at
    the end, whatever ended it.
    """

    source: Source
    detector: Detector
    tracker: Tracker
    counter: Counter
    sinks: Sequence[Sink] = ()
    threads: int = 2
    onlooker: Callable[[Frame], None] | None = None
    """Is shown each frame before its detections are tracked: how a tracker that looks at pictures comes by them."""
    events: list[Event] = field(default_factory=list, init=False)
    """The events that were still open after the last frame."""

    def steps(self) -> Generator[Step, None, None]:
        """Every frame with what became of it."""
        time_s = 0.0
        try:
            for frame, detections in self._detected():
                time_s = frame.time_s
                if self.onlooker is not None:
                    self.onlooker(frame)
                tracks = self.tracker.update(detections, time_s)
                events = self.counter.update(tracks, time_s)
                step = Step(frame, detections, tracks, tuple(events))
                for sink in self.sinks:
                    sink.write(step)
                yield step
        finally:
            self.events = self.counter.finish(time_s)
            for sink in self.sinks:
                sink.close(self.events)

    def _detected(self) -> Iterator[tuple[Frame, Detections]]:
        limit = self.detector.concurrency
        threads = min(self.threads, limit) if limit else self.threads
        waiting: deque[tuple[Frame, Future[Detections]]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="detect") as pool:
            ask = asker(self.detector, pool)
            try:
                while (frame := self.source.read()) is not None:
                    waiting.append((frame, ask(frame)))
                    # one frame more than threads, so that no thread waits while this one counts
                    if len(waiting) > threads:
                        yield self._next(waiting)
                while waiting:
                    yield self._next(waiting)
            finally:
                for _, unwanted in waiting:
                    unwanted.cancel()

    @staticmethod
    def _next(waiting: deque[tuple[Frame, Future[Detections]]]) -> tuple[Frame, Detections]:
        frame, future = waiting.popleft()
        return frame, future.result()


def asker(detector: Detector, pool: ThreadPoolExecutor) -> Callable[[Frame], Future[Detections]]:
    """What asks a detector about a frame without waiting: by itself where it can, in a thread of the pool else."""
    if isinstance(detector, Submitting):
        return detector.submit
    return lambda frame: pool.submit(lambda: detector.detect([frame])[0])
