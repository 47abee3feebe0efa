"""Asynchronous jobs: work that goes on after its request was answered, and is asked for later."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import orjson

from camcount.api.answers import timestamp
from camcount.api.errors import Refused, failure
from camcount.api.webhooks import Webhook, tell
from camcount.errors import Overloaded
from camcount.protocols import ResultCache

Work = Callable[[], Awaitable[bytes]]
"""Does a job and gives its result as JSON."""

_WAIT_S = 10.0
_PATIENCE = 20

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Job:
    """One job; ``size`` is the bytes of what it still has to work on."""

    id: str
    request_id: str
    created: float
    size: int
    webhook: Webhook | None = None
    status: Literal["queued", "running", "done", "failed"] = "queued"
    result: bytes = b""
    error: dict[str, Any] | None = None
    task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where its state can be asked for."""
        return f"/api/v1/jobs/{self.id}"

    def answer(self) -> bytes:
        """Its state, with the result or the error once there is one."""
        body: dict[str, Any] = {
            "jobId": self.id,
            "status": self.status,
            "statusUrl": self.address,
            "created": timestamp(self.created),
        }
        if self.status == "done":
            body["result"] = orjson.Fragment(self.result)
        if self.error is not None:
            body["error"] = self.error
        return orjson.dumps(body)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What ``ask`` gives; where too much is asked at the moment, a job can wait and ask again.

    Raises:
        Overloaded: it was refused again and again.
    """
    for _ in range(_PATIENCE):
        try:
            return await ask()
        except Overloaded as error:
            await asyncio.sleep(min(error.retry_after_s, _WAIT_S))
    return await ask()


class Jobs:
    """The jobs of one server: what is unfinished ends with it, what is finished can be asked for as long as the cache
    keeps it, at any server that shares the cache.

    Lives in one event loop. At most ``most`` jobs are kept, finished ones for ``kept_s`` seconds and older ones give
    way to new ones; unfinished ones hold at most ``waiting_bytes`` of pictures, and ``at_once`` are worked on at a
    time, in the order in which they came.
    """

    def __init__(
        self,
        cache: ResultCache | None = None,
        *,
        most: int = 1000,
        waiting_bytes: int = 256 * 2**20,
        kept_s: float = 3600.0,
        at_once: int = 4,
    ) -> None:
        self._cache = cache
        self._most, self._waiting_bytes, self._kept_s = most, waiting_bytes, kept_s
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._turns = asyncio.Semaphore(at_once)

    def start(self, work: Work, *, size: int, request_id: str, webhook: Webhook | None = None) -> Job:
        """Takes on a job.

        Raises:
            Overloaded: too many are unfinished.
        """
        self._make_room(size)
        job = Job(secrets.token_urlsafe(16), request_id, time.time(), size, webhook)
        job.task = asyncio.get_running_loop().create_task(self._run(job, work))
        self._jobs[job.id] = job
        return job

    def job(self, job_id: str) -> Job:
        """One job.

        Raises:
            Refused: 404, there is none of that id, or none any more.
        """
        self._forget_old()
        if (job := self._jobs.get(job_id)) is None:
            raise Refused(404, f"there is no job {job_id[:40]!r}: it was cancelled, or ended too long ago")
        return job

    async def answer(self, job_id: str) -> bytes:
        """How a job stands, or what the cache still has of it.

        Raises:
            Refused: as `job`.
        """
        if job_id not in self._jobs and self._cache is not None:
            kept = await asyncio.to_thread(self._cache.get, "results", _key(job_id))
            if kept is not None:
                return kept
        return self.job(job_id).answer()

    async def cancel(self, job_id: str) -> None:
        """Ends a job, if it goes on, and forgets it.

        Raises:
            Refused: as `job`.
        """
        job = self.job(job_id)
        del self._jobs[job_id]
        if job.task is not None:
            job.task.cancel()
        if self._cache is not None:
            await asyncio.to_thread(self._cache.invalidate, _key(job_id))

    async def close(self) -> None:
        """Cancels what goes on."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        self._jobs.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job, work: Work) -> None:
        async with self._turns:
            job.status = "running"
            try:
                job.result = await work()
                job.status = "done"
            except Exception as error:
                job.error = failure(error, job.request_id).fields(job.request_id)
                job.status = "failed"
            job.size = 0
        if self._cache is not None:
            await asyncio.to_thread(self._cache.put, "results", _key(job.id), job.answer())
        if job.webhook is not None:
            await tell(job.webhook, job.answer())
        job.task = None

    def _make_room(self, size: int) -> None:
        self._forget_old()
        waiting = sum(job.size for job in self._jobs.values())
        if waiting and waiting + size > self._waiting_bytes:
            raise Overloaded(f"unfinished jobs hold {waiting >> 20} MiB of pictures: wait for some to end", _WAIT_S)
        if len(self._jobs) < self._most:
            return
        ended = next((job for job in self._jobs.values() if job.status in ("done", "failed")), None)
        if ended is None:
            raise Overloaded(f"{self._most} jobs are unfinished: wait for some to end", _WAIT_S)
        del self._jobs[ended.id]

    def _forget_old(self) -> None:
        oldest = time.time() - self._kept_s
        old = [job for job in self._jobs.values() if job.created < oldest and job.status in ("done", "failed")]
        for job in old:
            del self._jobs[job.id]


def _key(job_id: str) -> str:
    return f"job:{job_id}"
