"""camcount and other servers beside each other: one job, one machine, one run; and the machine with no server.

F1, the stock job: a JPEG picture is posted, decoded, letterboxed to 416x416 and run through YOLOX-nano in ONNX
Runtime (32 bit floats, one thread for each worker, two workers), the boxes decoded and suppressed, answered as
JSON. The peers do it with the code of bench/serving_job.py. F2, our own job: the model prepared by `camcount
models prepare` (input in the shape of the picture, head cut to people and vehicles) and the picture decoded at
the scale that suffices. camcount decodes at the scale that suffices in F1 too, which is why there are two floors
of F1. Its result cache is off, and so is every server's access log.

The floor is the same job in two processes without a server, measured just before and just after each server;
ratios are taken within that minute, and are medians over the rounds. What our own server has to reach of its floor
is measured finer: both are there at once and run in turns of 0.6 s (bench/serving_turns.py). What the
machine ran meanwhile for somebody else ("stolen") is shown: above a few percent, believe the ratio by CPU. wrk leaves
as many requests behind as it had open: before the next measurement each server is asked until it is quick again.
The open loop has the floor before each of its parts, and beside it what the floor's processes with a queue would do.

Ends with 1 if one of our own answers was an error, not for a ratio that was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from bench.serving_floor import measure
from bench.serving_frames import frames
from bench.serving_job import Job, agree
from bench.serving_load import closed_loop, open_loop, require_wrk, write_bodies
from bench.serving_models import Jobs, make
from bench.serving_report import draw, job_of, show
from bench.serving_results import LEVELS, OWN, STOCK, Block, Floor, Open, Results, Turns
from bench.serving_servers import ROOT, Contender, Running, ours, peers, running
from bench.serving_turns import in_turns
from rich.console import Console

DATA = Path(os.environ.get("CAMCOUNT_TEST_DATA", ROOT.parent / "shared" / "data"))
OUT = ROOT / "out" / "serving"
DEMANDED = {STOCK: 8, OWN: 32}
"""With how many open requests each of our own is held against its floor in turns."""


@dataclass(frozen=True)
class Plan:
    """How long everything takes, in seconds; ``loads`` by the number of open requests."""

    loads: Mapping[int, float]
    rounds: int
    floor: float
    turns: float
    warm: float
    open: float
    open_parts: int
    open_rate: float
    open_share: float = 0.63
    """Of the floor; 100/s are that on the machine they were asked of, and more than a slower one can do."""


FULL = Plan(
    dict(zip(LEVELS, (2, 5, 5, 5, 6), strict=True)),
    rounds=3,
    floor=2,
    turns=18,
    warm=4,
    open=60,
    open_parts=6,
    open_rate=100,
)
QUICK = Plan(dict.fromkeys(LEVELS, 2), rounds=1, floor=1, turns=3, warm=1, open=5, open_parts=1, open_rate=100)


@dataclass
class Comparison:
    """The servers in turns, with the floor between them."""

    plan: Plan
    jobs: Jobs
    pictures: Sequence[bytes]
    folder: Path
    console: Console

    def block(self, contender: Contender, levels: Sequence[int]) -> Block:
        """One server: floors, start, what it answers, all loads, floors."""
        block = Block(floors={job: [self.floor(job)] for job in floors_of(contender.name)})
        with running(contender, self.folder / contender.name) as server:
            block.start_s, start_mb = server.start_s, server.memory_mb()
            self._check(server, block)
            bodies = self.folder / contender.name / "bodies"
            write_bodies(server, self.pictures, bodies)
            for level in levels:
                load = closed_loop(server, bodies, len(self.pictures), level, self.plan.loads[level])
                self.console.print(f"  {contender.name} c={level}: {load.rate:.1f} req/s, p95 {load.p95:.0f} ms")
                block.loads[level] = load
                block.memory_mb = (start_mb, server.memory_mb())
                server.drain(self.pictures[0])
        for job, floors in block.floors.items():
            floors.append(self.floor(job))
        return block

    def floor(self, job: str, processes: int = 2, threads: int = 1) -> Floor:
        """The job with no server."""
        floor = measure(self.jobs.of(job), self.pictures, self.plan.floor, processes, threads)
        self.console.print(f"  floor {job}, {processes} processes of {threads}: {floor.rate:.1f} pictures/s")
        return floor

    def turns(self, contender: Contender, connections: int) -> Turns:
        """One server and its floors in turns."""
        jobs = {job: self.jobs.of(job) for job in floors_of(contender.name)}
        with running(contender, self.folder / contender.name) as server:
            self._check(server, Block())
            bodies = self.folder / contender.name / "bodies"
            write_bodies(server, self.pictures, bodies)
            closed_loop(server, bodies, len(self.pictures), connections, self.plan.warm)
            server.drain(self.pictures[0])
            found = in_turns(server, bodies, self.pictures, connections, self.plan.turns, jobs)
        ratios = ", ".join(f"{found.of_floor(job):.3f} of floor {job}" for job in jobs)
        self.console.print(f"  {contender.name} c={connections} in turns: {found.rate:.1f} req/s, {ratios}")
        return found

    def open_loop(self, contender: Contender, asked: float | None) -> Open:
        """Random arrivals at our own server: so many a second, or the share of this machine that was asked for.

        In parts, before each of which the floor is measured: what is too much for a machine changes with the minute.
        """
        plan = self.plan
        rates, floors = list[float](), list[float]()

        def parts() -> Iterator[tuple[float, float]]:
            for _ in range(plan.open_parts):
                floors.append(self.floor("F2").rate)
                rates.append(asked or plan.open_share * floors[-1])
                yield rates[-1], floors[-1]

        with running(contender, self.folder / contender.name) as server:
            self._check(server, Block())
            load, bare_p95 = open_loop(server, self.pictures, plan.open / plan.open_parts, parts())
        return Open(fmean(rates), load, fmean(floors), bare_p95)

    def _check(self, server: Running, block: Block) -> None:
        """Every picture once: warms the server up and shows that it does the same job."""
        job = Job(self.jobs.of(job_of(server.contender.name)))
        sure = same = 0
        for picture in self.pictures:
            status, answer = server.post(picture)
            if status != 200:
                raise SystemExit(f"{server.contender.name} answered {status}: {answer[:500]!r}")
            boxes, also = agree(job.detect(picture), server.contender.found(answer))
            sure, same = sure + boxes, same + also
        block.agreed = sure, same


def floors_of(name: str) -> list[str]:
    """The jobs that a server is held against."""
    return ["F1", "F1 scaled"] if name == STOCK else [job_of(name)]


def contenders(jobs: Jobs, only: Sequence[str]) -> list[Contender]:
    """The servers of a round in their order; leaves out peers that are not installed."""
    everyone = [ours(STOCK, jobs.plain), *peers(jobs.stock), ours(OWN, jobs.prepared)]
    for missing in [one for one in everyone if not one.python.exists()]:
        print(f"{missing.name} is left out: {missing.python} is not there, 'make bench-serving' makes it")
        everyone.remove(missing)
    return [one for one in everyone if not only or one.name in only]


def run(comparison: Comparison, only: Sequence[str]) -> Results:
    """All rounds, each beginning with another server; then the peers with our job, and the open loop."""
    results, plan, jobs = Results(), comparison.plan, comparison.jobs
    everyone = contenders(jobs, only)
    for number in range(plan.rounds):
        first = number % max(1, len(everyone))
        for contender in everyone[first:] + everyone[:first]:
            comparison.console.print(f"round {number + 1}: {contender.name}")
            results.blocks.setdefault(contender.name, []).append(comparison.block(contender, LEVELS))
        for contender in everyone:
            if contender.name in DEMANDED:
                turns = comparison.turns(contender, DEMANDED[contender.name])
                results.turns.setdefault(contender.name, []).append(turns)
    comparison.floor("F1", processes=1, threads=2)
    for contender in peers(jobs.own):
        if contender.name in results.blocks:  # what the others would do with the job that is ours
            own = Contender(**{**contender.__dict__, "name": f"{contender.name} F2"})
            results.blocks[own.name] = [comparison.block(own, (8, 32))]
    if not only or "open" in only:
        comparison.console.print("open loop on F2")
        results.open = [comparison.open_loop(ours(OWN, jobs.prepared), asked) for asked in (plan.open_rate, None)]
    return results


def save(path: Path, results: Results) -> None:
    """Everything that was measured, as JSON."""
    blocks = {name: [asdict(block) for block in blocks] for name, blocks in results.blocks.items()}
    turns = {name: [asdict(one) for one in turns] for name, turns in results.turns.items()}
    opened = [asdict(one) for one in results.open]
    path.write_text(json.dumps({"blocks": blocks, "turns": turns, "open": opened}, indent=1))


def main() -> None:
    """Measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DATA / "weights" / "yolox_nano_416x416.onnx")
    parser.add_argument("--quick", action="store_true", help="two seconds each, one round: shows only that it works")
    parser.add_argument("--rounds", type=int, help="instead of three")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        help=f"{STOCK!r}, {OWN!r}, LitServe, MLServer, FastAPI, open; repeatable",
    )
    given = parser.parse_args()
    require_wrk()
    console, begun = Console(width=118), time.monotonic()
    plan = QUICK if given.quick else FULL
    if given.rounds:
        plan = Plan(**{**asdict(plan), "rounds": given.rounds})
    pictures = [path.read_bytes() for path in frames(DATA, OUT / "frames")]
    mean_kb = sum(map(len, pictures)) / len(pictures) / 1000
    console.print(f"{len(pictures)} pictures, {mean_kb:.0f} kB on average; camcount's result cache is off")
    if os.getloadavg()[0] > 1:
        console.print(f"[bold]this machine is busy (load {os.getloadavg()[0]:.1f}): the figures are worth little[/]")
    comparison = Comparison(plan, make(given.model, OUT / "frames", OUT), pictures, OUT, console)
    results = run(comparison, given.only)
    show(console, results)
    draw(OUT / "serving.png", results)
    save(OUT / "serving.json", results)
    console.print(f"chart and figures: {OUT}/serving.png, .json; took {(time.monotonic() - begun) / 60:.1f} minutes")
    sys.exit(1 if results.errors() else 0)


if __name__ == "__main__":
    main()
