"""Work that waits for a replica: bounded, in order of priority, dropped when nobody waits for it any more."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from camcount.errors import CamcountError, InferenceTimeout, Overloaded
from camcount.serving.requests import DetectionRequest, TensorRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a replica made of a job: ``result`` is `Detections`, or a list of arrays for tensors."""

    result: Any
    replica: str
    queue_s: float
    batch: int


@dataclass(eq=False, slots=True, kw_only=True)
class Job:
    """One request on its way through the replicas of one model.

    ``finish`` is called once, from another thread, with what came of it: ``None`` if the client went away before it
    was begun. ``future`` is the client's: once it is cancelled the job is not begun any more.
    """

    request: DetectionRequest | TensorRequest
    future: Future[Any]
    deadline: float
    finish: Callable[[Job, Done | CamcountError | None], None]
    submitted: float
    attempts: int = 0
    tried: set[str] = field(default_factory=set)
    begun: bool = False

    def begin(self) -> bool:
        """Whether somebody still waits for it; from here on it cannot be cancelled."""
        if not self.begun:
            self.begun = self.future.set_running_or_notify_cancel()
        return self.begun


class JobQueue:
    """The jobs that wait for one model, or for one replica of it.

    Args:
        capacity: how many may wait. A job of low priority finds the queue full when it is half full, so that there is
            always room for somebody who waits at a screen.
        choosy: takers may leave jobs to others, so that every job is shown to all who wait.
    """

    def __init__(self, capacity: int, *, choosy: bool = False) -> None:
        self._capacity = capacity
        self._choosy = choosy
        self._heap: list[tuple[int, int, Job]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        self.refused = self.cancelled = self.expired = 0
        self.waits: deque[float] = deque(maxlen=256)
        """Seconds that the jobs begun last had waited."""

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, job: Job, *, again: bool = False) -> None:
        """Lets a job wait; one that failed elsewhere comes back before all others and is never refused.

        Raises:
            Overloaded: too many wait already.
        """
        with self._changed:
            room = self._capacity if job.request.priority == 0 else self._capacity // 2
            if not again and (self._closed or len(self._heap) >= room):
                self.refused += 1
                raise Overloaded(f"{len(self._heap)} requests wait for {job.request.model} already: try again later")
            order = next(self._order)
            heapq.heappush(self._heap, (-1 if again else job.request.priority, order, job))
            if again or self._choosy:  # one who is woken and leaves it to others does not wake them
                self._changed.notify_all()
            else:
                self._changed.notify()

    def take(self, timeout_s: float, wanted: Callable[[Job], bool] = lambda job: True) -> Job | None:
        """The next job that somebody still waits for, begun; ``None`` when there is none within ``timeout_s``.

        Args:
            timeout_s: seconds to wait.
            wanted: whether this taker may have the job; it is left for others if not.
        """
        until = time.monotonic() + timeout_s
        while True:
            over: list[tuple[Job, CamcountError | None]] = []
            with self._changed:
                job = self._first(wanted, over)
                left = until - time.monotonic()
                if job is None and not over and not self._closed and left > 0:
                    self._changed.wait(left)
            for ended, error in over:
                ended.finish(ended, error)
            if job is not None or self._closed or (not over and left <= 0):
                return job

    def close(self) -> list[Job]:
        """Takes no more; gives what was still waiting."""
        with self._changed:
            self._closed = True
            left = [job for _, _, job in sorted(self._heap)]
            self._heap.clear()
            self._changed.notify_all()
            return left

    def _first(self, wanted: Callable[[Job], bool], over: list[tuple[Job, CamcountError | None]]) -> Job | None:
        left: list[tuple[int, int, Job]] = []
        found: Job | None = None
        while self._heap and found is None:
            entry = heapq.heappop(self._heap)
            job = entry[2]
            if not wanted(job):
                left.append(entry)
            elif not job.begin():
                self.cancelled += 1
                over.append((job, None))
            elif time.monotonic() >= job.deadline:
                self.expired += 1
                over.append((job, _too_late(job)))
            else:
                found = job
                self.waits.append(time.monotonic() - job.submitted)
        for entry in left:
            heapq.heappush(self._heap, entry)
        return found


def _too_late(job: Job) -> InferenceTimeout:
    waited = time.monotonic() - job.submitted
    return InferenceTimeout(f"no replica of {job.request.model} was free within {waited:.2f} s: allow more time")
