"""A server under load and the bare job, or whatever else is compared, in turns of 0.6 s, so that all meet the same
machine.

How fast a shared machine is may change by a third from one minute to the next: figures taken one after the other say
more about that than about a server. Here all of them are there at once, but at any moment all except one are stopped
(SIGSTOP); which one runs changes after every turn, in random order. Its rate is what a load has done by its end over
the seconds in which its server, and the load with it, was let run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.serving_floor import BareJob, bare_job
from bench.serving_load import start_load, wrk_found
from bench.serving_results import Floor, Turns
from bench.serving_servers import Running, tree

TURN_S = 0.6


@dataclass
class Runner:
    """One of those that take turns: its processes, and how long they ran and were busy in their turns."""

    pids: Sequence[int]
    cpu_s: Callable[[], float]
    seconds: float = 0.0
    busy: float = 0.0

    def turn(self, over: Callable[[], bool]) -> None:
        """Runs for a turn, or until all is over."""
        busy, begun = self.cpu_s(), time.perf_counter()
        tell(self.pids, signal.SIGCONT)
        while time.perf_counter() - begun < TURN_S and not over():
            time.sleep(0.01)
        tell(self.pids, signal.SIGSTOP)
        self.seconds += time.perf_counter() - begun
        self.busy += self.cpu_s() - busy


@dataclass
class _Bare:
    """A bare job that takes turns."""

    job: BareJob
    runner: Runner
    before: int

    def floor(self) -> Floor:
        """What it did in its turns."""
        done = self.job.done() - self.before
        return Floor(done / self.runner.seconds, 1000 * self.runner.busy / max(1, done))


def in_turns(
    server: Running,
    bodies: Path,
    pictures: Sequence[bytes],
    connections: int,
    seconds: float,
    jobs: Mapping[str, Path],
) -> Turns:
    """A server with so many open requests, and bare jobs by name; each runs for about so many seconds."""
    order = random.Random(11)
    with ExitStack() as opened:
        bare = {name: _standing(opened.enter_context(bare_job(job, pictures))) for name, job in jobs.items()}
        own = tree(server.process.pid)
        opened.callback(tell, own, signal.SIGCONT)
        tell(own, signal.SIGSTOP)  # nothing is answered before its first turn, and nothing after its last
        load = start_load(server, bodies, len(pictures), connections, 100 * seconds)
        opened.callback(load.kill)
        ours = Runner([*own, load.pid], server.cpu_s)
        runners = [ours, *(one.runner for one in bare.values())]
        while ours.seconds < seconds:
            for runner in order.sample(runners, len(runners)):
                runner.turn(lambda: load.poll() is not None)
            if load.poll() is not None:
                break
        load.send_signal(signal.SIGCONT)
        found = wrk_found(load, at_once=True)
        return Turns(
            connections=connections,
            rate=(found["requests"] - found["refused"]) / ours.seconds,
            cpu_ms=1000 * ours.busy / max(1, found["requests"]),
            errors=int(found["refused"] + found["broken"]),
            floors={name: one.floor() for name, one in bare.items()},
        )


def _standing(job: BareJob) -> _Bare:
    tell(job.pids, signal.SIGSTOP)
    return _Bare(job, Runner(job.pids, job.cpu_s), job.done())


def tell(pids: Iterable[int], what: signal.Signals) -> None:
    """Stops or continues processes, as far as they are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
