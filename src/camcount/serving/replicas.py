"""The replicas of one model: started, watched, replaced, scaled, and given their jobs."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from camcount.detections import Detections
from camcount.errors import CamcountError, ModelError, ServiceError
from camcount.frame import Frame
from camcount.protocols import Engine
from camcount.serving.balancing import POLICIES, Lane
from camcount.serving.jobs import Done, Job, JobQueue
from camcount.serving.options import Endpoint, ServingOptions
from camcount.serving.replica import Replica
from camcount.serving.requests import DetectionRequest
from camcount.serving.scaling import Load, Scaling, ScalingSettings
from camcount.serving.worker import Worker
from camcount.stats import ReplicaState

_log = logging.getLogger("camcount.serving")

_TICK_S = 0.25
_LONG_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Makers:
    """How the replicas of one model are made: in this process, and at the endpoints."""

    local: Callable[[], Worker]
    remote: Sequence[tuple[Endpoint, Callable[[], Worker]]] = ()


class Replicas:
    """All replicas of one model, as one `camcount.protocols.Detector`.

    Raises:
        CamcountError: the model cannot be loaded; nothing is left running.
    """

    concurrency = 0

    def __init__(
        self, name: str, makers: Makers, options: ServingOptions, *, batch: int = 1, weight: float = 1.0
    ) -> None:
        self.name = name
        self._makers = makers
        self._options = options
        self._batch = batch
        self._weight = weight
        self._numbers = itertools.count(1)
        self._shared = JobQueue(options.queue, choosy=options.balancing == "hybrid")
        policy = POLICIES.get(options.balancing)
        self._balancer = policy() if policy else None
        self._lock = threading.RLock()
        self._replicas: list[Replica] = []
        self._closing = threading.Event()
        self._scaling = Scaling(
            ScalingSettings(
                minimum=options.replicas,
                maximum=options.max_replicas or options.replicas,
                up_s=options.scale_up_after,
                down_s=options.scale_down_after,
                cooldown_s=options.scale_up_after,
            )
        )
        self._queues = [self._shared]
        first = _all_or_none(makers.local, options.replicas)
        self.labels = first[0].detector.labels
        self.engine: Engine | None = first[0].engine
        self.input_size: tuple[int, int] | None = first[0].input_size
        """Width and height that the model was made for, where that is known."""
        for worker in first:
            self._add(worker)
        for endpoint, make in makers.remote:
            for _ in range(endpoint.concurrency):
                self._add_remote(endpoint, make)
        self._watch = threading.Thread(target=self._watching, name=f"watch {name}", daemon=True)
        self._watch.start()

    def warm_up(self, each: Callable[[Worker], None]) -> None:
        """Has every model of the local replicas tried before requests come."""
        workers = [replica.worker for replica in self._local() if replica.worker is not None]
        for worker in {id(worker.detector): worker for worker in workers}.values():
            each(worker)

    def submit(self, job: Job) -> None:
        """Lets a job wait for a replica.

        Raises:
            Overloaded: too many wait.
            ServiceError: no replica is left that works.
        """
        self._queue_for(job).put(job)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame, with the model's own thresholds."""
        futures: list[Future[Detections]] = []
        for frame in frames:
            future: Future[Detections] = Future()
            request = DetectionRequest(model=self.name, frame=frame)
            now = time.monotonic()
            self.submit(Job(request=request, future=future, deadline=now + _LONG_S, submitted=now, finish=_hand_over))
            futures.append(future)
        return [future.result() for future in futures]

    def states(self) -> tuple[ReplicaState, ...]:
        """All replicas as they stand."""
        with self._lock:
            return tuple(replica.state() for replica in self._replicas)

    @property
    def queued(self) -> int:
        """Jobs that wait."""
        return sum(len(queue) for queue in self._all_queues())

    @property
    def in_flight(self) -> int:
        """Jobs that a replica is at."""
        with self._lock:
            return sum(replica.in_flight for replica in self._replicas)

    def unrun(self) -> tuple[int, int, int]:
        """So many jobs were cancelled, were too late, and were refused, without having been computed."""
        queues = self._all_queues()
        return sum(q.cancelled for q in queues), sum(q.expired for q in queues), sum(q.refused for q in queues)

    @property
    def closed(self) -> bool:
        """Whether it has been told to stop."""
        return self._closing.is_set()

    def close(self, drain_s: float = 0.0) -> None:
        """Stops; what waits is still done for so many seconds, and refused then."""
        until = time.monotonic() + drain_s
        while (self.queued or self.in_flight) and time.monotonic() < until:
            time.sleep(0.01)
        self._closing.set()
        with self._lock:
            replicas = list(self._replicas)
        for replica in replicas:
            replica.leave()
        for queue in self._all_queues():
            for job in queue.close():
                if job.begin():
                    job.finish(job, ServiceError(f"{self.name} is being taken out of memory: ask again"))
        for replica in replicas:
            replica.join(max(0.0, until - time.monotonic()) + 1.0)
        self._watch.join(2.0)

    def _add(self, worker: Worker | None = None, name: str = "") -> None:
        make = self._makers.local if worker is None else (lambda: worker)
        replica = Replica(
            name or f"{self.name}/{next(self._numbers)}",
            make,
            self._new_queue(),
            self._options,
            self._failed,
            batch=self._batch,
            weight=self._weight,
            gathers=self._others_compute,
        )
        self._start(replica)

    def _add_remote(self, endpoint: Endpoint, make: Callable[[], Worker]) -> None:
        hybrid = self._options.balancing == "hybrid"
        replica = Replica(
            f"{self.name}/{next(self._numbers)}",
            make,
            self._new_queue(),
            self._options,
            self._failed,
            remote=endpoint.url,
            weight=endpoint.weight / endpoint.concurrency,
            may=self._is_overflowing if hybrid else (lambda: True),
        )
        self._start(replica)

    def _start(self, replica: Replica) -> None:
        with self._lock:
            self._replicas.append(replica)
        replica.start()

    def _new_queue(self) -> JobQueue:
        return self._shared if self._balancer is None else JobQueue(self._options.queue)

    def _all_queues(self) -> list[JobQueue]:
        with self._lock:
            own = [replica.queue for replica in self._replicas if replica.queue is not self._shared]
        return [self._shared, *own]

    def _local(self) -> list[Replica]:
        with self._lock:
            return [replica for replica in self._replicas if not replica.remote]

    def _others_compute(self, replica: Replica) -> bool:
        """Whether all other replicas are at work: then the GPU has something to do while a batch gathers.

        As long as one is idle, nothing is gained by making the first picture wait.
        """
        others = [other for other in self._local() if other is not replica]
        return bool(others) and all(other.in_flight for other in others)

    def _is_overflowing(self) -> bool:
        return len(self._shared) >= self._options.overflow or not any(r.open for r in self._local())

    def _queue_for(self, job: Job) -> JobQueue:
        with self._lock:
            replicas = list(self._replicas)
        if not any(replica.open for replica in replicas):
            raise ServiceError(f"all {len(replicas)} replicas of {self.name} fail at the moment: try again later")
        if self._balancer is None:
            return self._shared
        lanes = [
            Lane(
                name=replica.name,
                weight=replica.weight,
                in_flight=replica.in_flight + len(replica.queue),
                open=replica.open and replica.name not in job.tried,
            )
            for replica in replicas
        ]
        return replicas[self._balancer.choose(lanes)].queue

    def _failed(self, replica: Replica, jobs: Sequence[Job], error: CamcountError) -> None:
        for job in jobs:
            job.attempts += 1
            job.tried.add(replica.name)
            with self._lock:
                others = [other for other in self._replicas if other.open]
            if not others or job.attempts > self._options.retry_attempts or time.monotonic() >= job.deadline:
                job.finish(job, error)
                continue
            if all(other.name in job.tried for other in others):
                job.tried.clear()  # nobody else is left: once more to the same
            try:
                self._queue_for(job).put(job, again=True)
            except ServiceError:
                job.finish(job, error)

    def _watching(self) -> None:
        while not self._closing.wait(_TICK_S):
            with self._lock:
                replicas = list(self._replicas)
            for replica in replicas:
                self._look_at(replica)
            self._scale()

    def _look_at(self, replica: Replica) -> None:
        hangs = replica.busy_s > self._options.health_timeout
        if not (replica.dead and replica.open) and not hangs:
            return  # what died is not made anew as long as its breaker is open
        what = "has not come back" if hangs else "has ended"
        jobs = replica.take_away()
        replica.leave()
        self._failed(replica, jobs, ModelError(f"replica {replica.name} {what}: it is being replaced"))
        if replica.worker is not None:
            replica.worker.lose()
            if not hangs:
                replica.worker.close()
        fresh = Replica(
            replica.name,
            self._maker_of(replica),
            replica.queue,
            self._options,
            self._failed,
            batch=self._batch,
            remote=replica.remote,
            weight=replica.weight,
            gathers=self._others_compute,
        )
        fresh.breaker, fresh.errors, fresh.answered = replica.breaker, replica.errors + 1, replica.answered
        with self._lock:
            self._replicas[self._replicas.index(replica)] = fresh
        fresh.start()

    def _maker_of(self, replica: Replica) -> Callable[[], Worker]:
        made = {endpoint.url: make for endpoint, make in self._makers.remote}
        return made.get(replica.remote, self._makers.local)

    def _scale(self) -> None:
        local = self._local()
        queues = {id(replica.queue): replica.queue for replica in local}.values()
        waits = sorted(wait for queue in queues for wait in list(queue.waits))
        for queue in queues:
            queue.waits.clear()
        load = Load(
            replicas=len(local),
            queued=sum(len(queue) for queue in queues),
            busy=sum(replica.in_flight > 0 for replica in local) / max(1, len(local)),
            wait_s=waits[int(0.95 * (len(waits) - 1))] if waits else 0.0,
        )
        wanted = self._scaling.decide(load, time.monotonic())
        if wanted.replicas != len(local):
            _log.info("%s: %d replicas instead of %d, %s", self.name, wanted.replicas, len(local), wanted.reason)
        if wanted.replicas > len(local):
            self._add()
        elif wanted.replicas < len(local):
            going = local[-1]
            with self._lock:
                self._replicas.remove(going)
            going.leave()
            if going.queue is not self._shared:
                for job in going.queue.close():
                    self._queue_for(job).put(job, again=True)


def _all_or_none(make: Callable[[], Worker], count: int) -> list[Worker]:
    made: list[Worker] = []
    try:
        made.extend(make() for _ in range(count))
    except BaseException:
        for worker in made:
            worker.close()
        raise
    return made


def _hand_over(job: Job, outcome: Done | CamcountError | None) -> None:
    if isinstance(outcome, Done):
        job.future.set_result(outcome.result)
    elif outcome is not None:
        job.future.set_exception(outcome)
