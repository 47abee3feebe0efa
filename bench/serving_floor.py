"""The job with no server around it: what the machine can do. Prints one JSON object.

So many processes of so many threads each take the pictures' bytes in turn and make JSON of them, as fast as they can,
for so many seconds. Loading and the first pictures are not timed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from queue import Queue
from typing import Any

from bench.serving_job import Job


def _work(folder: str, pictures: list[bytes], seconds: float, barrier: Any, counts: Any) -> None:
    job = Job(folder)
    for picture in pictures[:4]:
        job.run(picture)
    barrier.wait()
    begun, busy, done = time.perf_counter(), time.thread_time(), 0
    while time.perf_counter() - begun < seconds:
        job.run(pictures[done % len(pictures)])
        done += 1
    counts.put((done / (time.perf_counter() - begun), (time.thread_time() - busy) / done))


def _process(folder: str, pictures: list[bytes], seconds: float, barrier: Barrier, counts: Any, threads: int) -> None:
    found: Queue[tuple[float, float]] = Queue()
    workers = [
        threading.Thread(target=_work, args=(folder, pictures[k * 7 :] + pictures[: k * 7], seconds, barrier, found))
        for k in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        counts.put(found.get())


def measure(folder: str, pictures: list[bytes], seconds: float, processes: int, threads: int) -> dict[str, float]:
    """Pictures per second of all together, and milliseconds of processor time for each."""
    context = multiprocessing.get_context("spawn")
    counts, barrier = context.Queue(), context.Barrier(processes * threads)
    workers = [
        context.Process(target=_process, args=(folder, pictures, seconds, barrier, counts, threads))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    found = [counts.get(timeout=seconds + 60) for _ in range(processes * threads)]
    for worker in workers:
        worker.join()
    return {"rate": sum(rate for rate, _ in found), "cpu_ms": 1000 * sum(busy for _, busy in found) / len(found)}


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
    print(json.dumps(measure(given.job, pictures, given.seconds, given.processes, given.threads)))


if __name__ == "__main__":
    main()
