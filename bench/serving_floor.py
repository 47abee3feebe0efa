"""The job with no server around it: what the machine can do. Prints one JSON object.

So many processes of so many threads each take the pictures' bytes in turn and make JSON of them, as fast as they can,
for so many seconds. Loading and the first pictures are not timed.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from bench.serving_job import Job
from bench.serving_results import Floor
from bench.serving_servers import cpu_s


def _work(folder: str, pictures: Sequence[bytes], done: Any, place: int) -> None:
    """For ever; tells in its place how many pictures are done, once it is warm."""
    job = Job(folder)
    for picture in pictures[:4]:
        job.run(picture)
    while True:
        for picture in pictures:
            done[place] += 1  # nobody else writes there
            job.run(picture)


def _process(folder: str, pictures: Sequence[bytes], done: Any, places: Sequence[int]) -> None:
    workers = [
        threading.Thread(target=_work, args=(folder, [*pictures[k * 7 :], *pictures[: k * 7]], done, place))
        for k, place in enumerate(places)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@dataclass(frozen=True)
class BareJob:
    """Processes that do nothing but the job."""

    pids: Sequence[int]
    _done: ctypes.Array[ctypes.c_longlong]

    def done(self) -> int:
        """Pictures so far of all together."""
        return sum(self._done[:])

    def cpu_s(self) -> float:
        """Processor seconds so far of all together."""
        return sum(map(cpu_s, self.pids))


def until_started(workers: Sequence[SpawnProcess], done: ctypes.Array[ctypes.c_longlong], what: str) -> None:
    """Waits until each of these has done something; ends the benchmark where one does not come to it."""
    given_up = time.monotonic() + 60
    while not all(done):
        if time.monotonic() > given_up or not all(worker.is_alive() for worker in workers):
            raise SystemExit(f"{what} does not start")
        time.sleep(0.01)


@contextmanager
def bare_job(
    folder: str | Path, pictures: Sequence[bytes], processes: int = 2, threads: int = 1
) -> Iterator[BareJob]:
    """The job in so many processes of so many threads, which run and are warm; ended with the context."""
    context = multiprocessing.get_context("spawn")
    done = context.RawArray("q", processes * threads)
    workers = [
        context.Process(
            target=_process,
            args=(str(folder), pictures, done, range(k * threads, (k + 1) * threads)),
            daemon=True,
        )
        for k in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        until_started(workers, done, f"the job of {folder}")
        yield BareJob([worker.pid or 0 for worker in workers], done)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def measure(
    folder: str | Path, pictures: Sequence[bytes], seconds: float, processes: int = 2, threads: int = 1
) -> Floor:
    """What the machine does with no server, in so many seconds."""
    with bare_job(folder, pictures, processes, threads) as bare:
        done, busy, begun = bare.done(), bare.cpu_s(), time.perf_counter()
        time.sleep(seconds)
        done, busy, took = bare.done() - done, bare.cpu_s() - busy, time.perf_counter() - begun
    return Floor(done / took, 1000 * busy / max(1, done))


def main() -> None:
    """Measures once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", help="a folder with a job.json")
    parser.add_argument("pictures", type=Path, help="a folder of JPEG files")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="in each process")
    given = parser.parse_args()
    pictures = [path.read_bytes() for path in sorted(given.pictures.glob("*.jpg"))]
    print(json.dumps(asdict(measure(given.job, pictures, given.seconds, given.processes, given.threads))))


if __name__ == "__main__":
    main()
