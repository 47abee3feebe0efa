"""What the comparison of servers has measured, and what follows from it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.serving_load import Load

STOCK, OWN = "camcount F1", "camcount F2"
LEVELS = (1, 8, 32, 100, 200)
"""How many requests are open at a time."""


@dataclass(frozen=True)
class Floor:
    """The job with no server: pictures per second of all processes, milliseconds of processor time for each."""

    rate: float
    cpu_ms: float


@dataclass
class Block:
    """One server once: its loads, and by job the floors before and after them."""

    loads: dict[int, Load] = field(default_factory=dict)
    floors: dict[str, list[Floor]] = field(default_factory=dict)
    start_s: float = 0.0
    memory_mb: tuple[float, float] = (0.0, 0.0)
    """At the start, and after the heaviest load."""
    agreed: tuple[int, int] = (0, 0)
    """Sure boxes of the floor's answers, and how many of them the server's have too."""

    def floor_rate(self, job: str) -> float:
        """Pictures per second with no server, in the same minute."""
        return statistics.fmean(floor.rate for floor in self.floors[job])

    def of_floor(self, level: int, job: str) -> float:
        """Answers per second over the floor's."""
        return self.loads[level].rate / self.floor_rate(job)

    def of_floor_by_cpu(self, level: int, job: str) -> float:
        """The floor's processor time over the server's: what the ratio would be if nothing else ran here."""
        return statistics.fmean(floor.cpu_ms for floor in self.floors[job]) / self.loads[level].cpu_ms


@dataclass(frozen=True)
class Turns:
    """A server and the bare jobs that took turns with it: answers per second, and the floors by job."""

    connections: int
    rate: float
    cpu_ms: float
    errors: int
    floors: dict[str, Floor]

    def of_floor(self, job: str) -> float:
        """Answers per second over the floor's."""
        return self.rate / self.floors[job].rate

    def of_floor_by_cpu(self, job: str) -> float:
        """The floor's processor time over the server's."""
        return self.floors[job].cpu_ms / self.cpu_ms


@dataclass(frozen=True)
class Open:
    """Random arrivals: so many a second, what came of it, and the floor, measured before each part.

    ``bare_p95`` is what the machine would do with no server: the floor's processes and a queue, the same arrivals.
    """

    rate: float
    load: Load
    floor: float
    bare_p95: float

    @property
    def share(self) -> float:
        """Of what the machine can do with no server: near 1 every queue grows without end."""
        return self.rate / self.floor


@dataclass(frozen=True)
class Verdict:
    """One demand, what was measured, and whether it is met."""

    demand: str
    measured: str
    met: bool


class Results:
    """All blocks of all rounds by server; figures are medians over the rounds."""

    def __init__(self) -> None:
        self.blocks: dict[str, list[Block]] = {}
        self.turns: dict[str, list[Turns]] = {}
        self.open: list[Open] = []

    def median(self, name: str, of: Callable[[Block], float]) -> float:
        """Of one figure over the rounds."""
        return statistics.median(of(block) for block in self.blocks[name])

    def rate(self, name: str, level: int) -> float:
        """Answers per second."""
        return self.median(name, lambda block: block.loads[level].rate)

    def p95(self, name: str, level: int) -> float:
        """Milliseconds."""
        return self.median(name, lambda block: block.loads[level].p95)

    def of_floor(self, name: str, level: int, job: str) -> float:
        """Answers per second over the floor's of the same minute."""
        return self.median(name, lambda block: block.of_floor(level, job))

    def of_floor_by_cpu(self, name: str, level: int, job: str) -> float:
        """The floor's processor time for each picture over the server's."""
        return self.median(name, lambda block: block.of_floor_by_cpu(level, job))

    def floor_rate(self, name: str, job: str) -> float:
        """Pictures per second with no server, in the same minutes as this server."""
        return self.median(name, lambda block: block.floor_rate(job))

    def queueing(self, name: str, level: int, job: str) -> float:
        """p95 in multiples of the time in which the floor does all open requests: a perfect queue gives 1."""
        return self.median(name, lambda block: block.loads[level].p95 / 1000 * block.floor_rate(job) / level)

    def levels(self, name: str) -> list[int]:
        """At which the server was measured."""
        return sorted(self.blocks[name][0].loads)

    def peers(self) -> list[str]:
        """The other servers that did the stock job."""
        return [name for name in self.blocks if not name.startswith("camcount") and " " not in name]

    def errors(self) -> int:
        """All answers that were no 2xx and all connections that broke, of our own server."""
        loads = [
            load for name in (STOCK, OWN) for block in self.blocks.get(name, []) for load in block.loads.values()
        ]
        in_turns = sum(one.errors for turns in self.turns.values() for one in turns)
        return in_turns + sum(load.errors for load in [*loads, *(one.load for one in self.open)])

    def verdicts(self) -> list[Verdict]:
        """One for each demand that was measured."""
        found = self._turns()
        if STOCK in self.blocks:
            found += self._stock()
        if OWN in self.blocks:
            found += self._own()
        return found + [_open_verdict(one) for one in self.open]

    def _turns(self) -> list[Verdict]:
        found = []
        for name, least in ((STOCK, 0.97), (OWN, 0.92)):
            for job in self.turns[name][0].floors if name in self.turns else ():
                ratios = [one.of_floor(job) for one in self.turns[name]]
                demand = f"{name[-2:]}, c={self.turns[name][0].connections}, in turns: requests/s of the floor {job}"
                found.append(_at_least(demand, statistics.median(ratios), least))
        return found

    def _stock(self) -> list[Verdict]:
        found = []
        for level in (32, 100, 200):
            if level in self.levels(STOCK) and self.peers():
                best = min(self.peers(), key=lambda name: self.p95(name, level))
                ours, theirs = self.p95(STOCK, level), self.p95(best, level)
                demand = f"F1, c={level}: p95 no worse than the best peer's"
                found.append(Verdict(demand, f"{ours:.0f} ms, {best} {theirs:.0f} ms", ours <= theirs))
        return found + self._faultless(STOCK, "F1")

    def _own(self) -> list[Verdict]:
        found = []
        if 32 in self.levels(OWN) and self.peers():
            best, rate = max(
                ((name, self.rate(name, level)) for name in self.peers() for level in self.levels(name)),
                key=lambda pair: pair[1],
            )
            demand = f"F2, c=32: requests/s of the best peer's on the stock job ({best})"
            found.append(_at_least(demand, self.rate(OWN, 32) / rate, 1.5))
        return found + self._faultless(OWN, "F2")

    def _faultless(self, name: str, job: str) -> list[Verdict]:
        if 200 not in self.levels(name):
            return []
        errors = sum(block.loads[200].errors for block in self.blocks[name])
        return [Verdict(f"{job}, c=200: no error", f"{errors} errors", errors == 0)]


def _at_least(demand: str, ratio: float, least: float) -> Verdict:
    return Verdict(f"{demand} at least {least}", f"{ratio:.3f}", ratio >= least)


def _open_verdict(one: Open) -> Verdict:
    load = one.load
    demand = f"F2, open loop at {one.rate:.0f}/s, {one.share:.2f} of the floor: p95 under 100 ms without an error"
    measured = (
        f"p95 {load.p95:.0f} ms (no server: {one.bare_p95:.0f}), {load.errors} errors, {load.rate:.1f} answers/s"
    )
    return Verdict(demand, measured, load.p95 < 100 and not load.errors)
