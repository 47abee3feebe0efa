"""Detectors for the tests of serving: quick, and failing on command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camcount.detections import Detections
from camcount.errors import CamcountError, ModelError
from camcount.frame import Frame, Image
from camcount.models.memory import Footprint
from camcount.protocols import Detector, Thresholds
from camcount.serving.jobs import Done, Job
from camcount.serving.requests import DetectionRequest, Priority


def grey(width: int, height: int) -> Image:
    """A picture of nothing."""
    return np.full((height, width, 3), 114, np.uint8)


def frame(index: int = 0, width: int = 64, height: int = 48) -> Frame:
    """A small frame."""
    return Frame(index=index, time_s=float(index), width=width, height=height, render=grey)


@dataclass
class Faults:
    """What the detectors made by one test shall do; shared by all its replicas."""

    raises: set[int] = field(default_factory=set)
    """Numbers of the detectors that fail."""
    hangs: set[int] = field(default_factory=set)
    dies: set[int] = field(default_factory=set)
    hold: threading.Event = field(default_factory=threading.Event)
    """What hanging detectors wait for."""
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    made: int = 0
    seen: list[int] = field(default_factory=list)
    """Frames that a detector looked at."""
    batches: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)


class FaultyDetector:
    """Finds one box per frame, as sure as the frame's index says, unless it is told to fail."""

    labels: tuple[str, ...] = ("person", "car")
    concurrency = 1

    def __init__(self, faults: Faults) -> None:
        self.number = faults.made
        faults.made += 1
        self._faults = faults

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One box each."""
        faults = self._faults
        faults.begun.release()
        if self.number in faults.hangs:
            faults.hold.wait(20)
        if self.number in faults.raises:
            raise ModelError(f"detector {self.number} fails")
        if self.number in faults.dies:
            raise SystemExit
        faults.batches.append(len(frames))
        faults.seen.extend(one.index for one in frames)
        return [
            Detections(np.array([[1, 1, 9, 9]]), np.array([0.5]), np.array([one.index % 2]), self.labels)
            for one in frames
        ]

    def close(self) -> None:
        """Notes that it was closed."""
        self._faults.closed.append(self.number)


@dataclass(frozen=True)
class FakeFound:
    """A model for a loader, as `camcount.models.opening.FoundModel` is one."""

    faults: Faults
    footprint: Footprint = field(default_factory=Footprint)
    accuracy: float | None = None

    def open(self, device: str) -> Detector:
        """A detector."""
        return FaultyDetector(self.faults)

    def warm_up(self, detector: Detector) -> None:
        """Nothing."""


def job(
    index: int = 0,
    *,
    deadline: float = float("inf"),
    priority: Priority = Priority.INTERACTIVE,
    thresholds: Thresholds | None = None,
    submitted: float = 0.0,
    finish: Callable[[Job, Done | CamcountError | None], None] | None = None,
) -> Job:
    """A job whose future gets what comes of it."""
    future: Future[Any] = Future()
    request = DetectionRequest(
        model="fake", frame=frame(index), priority=priority, thresholds=thresholds or Thresholds()
    )
    return Job(request=request, future=future, deadline=deadline, submitted=submitted, finish=finish or hand_over)


def hand_over(job: Job, outcome: Done | CamcountError | None) -> None:
    """Puts what came of a job into its future."""
    if isinstance(outcome, Done):
        job.future.set_result(outcome)
    elif outcome is not None:
        if not job.future.running():
            job.future.set_running_or_notify_cancel()
        job.future.set_exception(outcome)
