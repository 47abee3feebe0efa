"""One replica: a thread that takes jobs to a model, and is left alone while it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import stamina

from camcount.errors import CamcountError, ModelError, ResourceError, ServiceError
from camcount.serving.breaker import Breaker, BreakerSettings
from camcount.serving.jobs import Done, Job, JobQueue
from camcount.serving.options import ServingOptions
from camcount.serving.requests import DetectionRequest, TensorRequest
from camcount.serving.worker import Worker
from camcount.stats import ReplicaState

_TICK_S = 0.25
"""How long a replica that may not take a job sleeps before it looks again."""

_GLANCE_S = 0.001
"""How long a batch waits for another picture before it looks whether waiting still costs nothing."""


@dataclass(frozen=True, slots=True)
class Lot:
    """Jobs that go through the model together, and the breaker's pass for them."""

    jobs: tuple[Job, ...]
    begun: float
    admitted: int | None


class Replica:
    """A thread that takes jobs from a queue.

    Args:
        name: unique within the model.
        make: loads the model, in this replica's thread.
        queue: where the jobs wait.
        options: limits and times.
        failed: what becomes of jobs that this replica could not do, with the reason.
        batch: how many pictures may go through the model together.
        remote: the address, where the model runs elsewhere.
        may: whether it may take jobs at the moment, beside its breaker.
        gathers: whether a batch that is not full had better wait for more.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Worker],
        queue: JobQueue,
        options: ServingOptions,
        failed: Callable[[Replica, Sequence[Job], CamcountError], None],
        *,
        batch: int = 1,
        remote: str = "",
        weight: float = 1.0,
        may: Callable[[], bool] = lambda: True,
        gathers: Callable[[Replica], bool] = lambda replica: False,
    ) -> None:
        self.name = name
        self.remote = remote
        self.weight = weight
        self.queue = queue
        self.breaker = Breaker(
            BreakerSettings(threshold=options.breaker_threshold, recovery_s=options.breaker_recovery)
        )
        self.worker: Worker | None = None
        self.answered = self.errors = 0
        self._make = make
        self._options = options
        self._failed = failed
        self._batch = batch
        self._may = may
        self._gathers = gathers
        self._lot: Lot | None = None
        self._used_at = time.monotonic()
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"replica {name}", daemon=True)

    def start(self) -> None:
        """Begins to take jobs."""
        self._thread.start()

    def leave(self) -> None:
        """Takes no more jobs; what it is at is finished."""
        self._leaving.set()

    def join(self, timeout_s: float) -> bool:
        """Waits for the end; whether it has come."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def busy_s(self) -> float:
        """Seconds that it has been at its present jobs; 0 when it is idle."""
        lot = self._lot
        return time.monotonic() - lot.begun if lot else 0.0

    @property
    def in_flight(self) -> int:
        """Jobs that it is at."""
        lot = self._lot
        return len(lot.jobs) if lot else 0

    @property
    def dead(self) -> bool:
        """Its thread has ended though nobody asked it to."""
        return self._thread.ident is not None and not self._thread.is_alive() and not self._leaving.is_set()

    @property
    def open(self) -> bool:
        """Whether its breaker would let a job through."""
        with self._lock:
            return self.breaker.lets_through(time.monotonic())

    def state(self) -> ReplicaState:
        """As it stands now."""
        return ReplicaState(
            name=self.name,
            breaker=str(self.breaker.state),
            healthy=not self.dead and self.busy_s < self._options.health_timeout,
            busy=self._lot is not None,
            remote=self.remote,
            answered=self.answered,
            failed=self.errors,
        )

    def take_away(self) -> tuple[Job, ...]:
        """The jobs that it is at, which are somebody else's from now on: it has failed, and is not heard any more."""
        with self._lock:
            lot, self._lot = self._lot, None
            now = time.monotonic()
            admitted = lot.admitted if lot else self.breaker.admit(now)
            if admitted is not None:
                self.breaker.failed(admitted, now)
        return lot.jobs if lot else ()

    def _run(self) -> None:
        lot = self._begin(())
        try:
            worker = self.worker = self.worker or self._make()
        except Exception as error:
            self.errors += 1
            self._release(lot, worked=False)
            self._failed(self, (), told(error))
            return
        self._release(lot, worked=True)
        try:
            while not self._leaving.is_set():
                self._turn(worker)
        finally:
            if self._leaving.is_set():
                worker.close()

    def _turn(self, worker: Worker) -> None:
        if not (self._may() and self.open):
            self._leaving.wait(_TICK_S)
            return
        job = self.queue.take(_TICK_S if self.remote else 1.0, self._wants)
        if job is not None:
            self._do(worker, [job, *self._company(job)])
        elif time.monotonic() - self._used_at >= self._options.health_interval and not self._leaving.is_set():
            self._try(worker)

    def _wants(self, job: Job) -> bool:
        return self._may() and self.name not in job.tried

    def _company(self, first: Job) -> list[Job]:
        """Further jobs for the same batch: what is there, and what comes while waiting costs nothing."""
        jobs: list[Job] = []
        until = time.monotonic() + self._options.batch_timeout
        while len(jobs) + 1 < self._batch:
            enough = len(jobs) + 1 >= self._options.batch_size
            waits = not enough and time.monotonic() < until and self._gathers(self)
            job = self.queue.take(
                _GLANCE_S if waits else 0.0, lambda job: self._wants(job) and _same_kind(job, first)
            )
            if job is not None:
                jobs.append(job)
            elif not waits:
                break
        return jobs

    def _try(self, worker: Worker) -> None:
        """Has an idle replica look at a test picture, so that it is known to be broken before a request finds out."""
        lot = self._begin(())
        try:
            worker.probe()
        except Exception:  # whatever it is, the breaker counts it
            self._release(lot, worked=False)
        else:
            self._release(lot, worked=True)

    def _do(self, worker: Worker, jobs: list[Job]) -> None:
        lot = self._begin(tuple(jobs))
        try:
            results = self._results(worker, jobs)
        except Exception as error:
            self._over(worker, lot, told(error))
            return
        if self._release(lot, worked=True):
            self.answered += len(jobs)
            for job, result in zip(jobs, results, strict=True):
                waited = lot.begun - job.submitted
                job.finish(job, Done(result=result, replica=self.name, queue_s=waited, batch=len(jobs)))

    def _over(self, worker: Worker, lot: Lot, error: CamcountError) -> None:
        ours = _is_ours(error, lot.jobs[0])
        if not self._release(lot, worked=False if ours else None):
            return
        if ours:
            self.errors += 1
            self._failed(self, lot.jobs, error)
        elif len(lot.jobs) == 1:
            lot.jobs[0].finish(lot.jobs[0], error)
        else:
            for job in lot.jobs:  # one bad picture must not fail the others
                self._do(worker, [job])

    def _begin(self, jobs: tuple[Job, ...]) -> Lot:
        with self._lock:
            self._used_at = now = time.monotonic()
            self._lot = lot = Lot(jobs, now, self.breaker.admit(now))
            return lot

    def _release(self, lot: Lot, *, worked: bool | None) -> bool:
        """Whether the jobs are still this replica's; what the breaker learns of them, ``None`` for nothing."""
        with self._lock:
            if self._lot is not lot:
                return False
            self._lot = None
            self._used_at = now = time.monotonic()
            if lot.admitted is None:
                return True
            if worked is None:
                self.breaker.abandoned(lot.admitted)
            elif worked:
                self.breaker.succeeded(lot.admitted, now)
            else:
                self.breaker.failed(lot.admitted, now)
            return True

    def _results(self, worker: Worker, jobs: Sequence[Job]) -> Sequence[Any]:
        if not self.remote:
            return _answers(worker, jobs)
        left = min(job.deadline for job in jobs) - time.monotonic()
        # the network's faults pass; those of a replica in this process do not, another one is asked instead
        for attempt in stamina.retry_context(
            on=ServiceError,
            attempts=self._options.retry_attempts + 1,
            timeout=max(left, 0.001),
            wait_initial=self._options.retry_delay,
        ):
            with attempt:
                return _answers(worker, jobs)
        raise AssertionError("unreachable")


def _answers(worker: Worker, jobs: Sequence[Job]) -> Sequence[Any]:
    first = jobs[0].request
    if isinstance(first, TensorRequest):
        return [worker.run(job.request.feeds) for job in jobs if isinstance(job.request, TensorRequest)]
    frames = [job.request.frame for job in jobs if isinstance(job.request, DetectionRequest)]
    return worker.detect(frames, first.thresholds)


def _same_kind(job: Job, first: Job) -> bool:
    one, other = job.request, first.request
    return (
        isinstance(one, DetectionRequest)
        and isinstance(other, DetectionRequest)
        and one.thresholds == other.thresholds
        and (one.frame.width, one.frame.height) == (other.frame.width, other.frame.height)
    )


def told(error: Exception) -> CamcountError:
    """Whatever was raised, in words that a client may see."""
    if isinstance(error, CamcountError):
        return error
    if isinstance(error, MemoryError):
        return ResourceError("there is not enough memory for this picture: send it smaller")
    return ModelError(f"the model failed, {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _is_ours(error: CamcountError, job: Job) -> bool:
    """Whether the replica is to blame: not the picture, and not bare tensors, which nobody has checked inside."""
    return isinstance(error, (ModelError, ServiceError)) and isinstance(job.request, DetectionRequest)
