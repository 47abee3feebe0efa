"""The comparison of servers as tables, verdicts and a chart."""

from __future__ import annotations

import math
import statistics
from operator import attrgetter
from pathlib import Path

import cv2
import numpy as np
from bench.peers_chart import panel
from bench.serving_results import LEVELS, OWN, STOCK, Results
from bench.serving_turns import TURN_S
from rich.console import Console
from rich.table import Table

_PERCENTILES = (attrgetter("p50"), attrgetter("p95"), attrgetter("p99"))


def job_of(name: str) -> str:
    """Which floor a server is held against."""
    return "F2" if name.endswith("F2") else "F1"


def show(console: Console, results: Results) -> None:
    """Everything that was measured."""
    console.print(_loads(results))
    console.print(_servers(results))
    if results.turns:
        console.print(_turns(results))
    for one in results.open:
        load = one.load
        console.print(
            f"open loop on F2 at {one.rate:.1f}/s, floor {one.floor:.1f}: {load.rate:.1f} answers/s, "
            f"p50 {load.p50:.0f}, p95 {load.p95:.0f}, p99 {load.p99:.0f} ms after the planned moment of sending "
            f"(the floor's processes with a queue: p95 {one.bare_p95:.0f}), "
            f"{load.errors} errors, {load.cpu_ms:.1f} ms CPU each"
        )
    verdicts = Table("demand", "measured", "", title="Verdicts")
    for verdict in results.verdicts():
        verdicts.add_row(verdict.demand, verdict.measured, "met" if verdict.met else "[bold red]MISSED[/]")
    console.print(verdicts)


def _loads(results: Results) -> Table:
    rounds = max((len(blocks) for blocks in results.blocks.values()), default=0)
    table = Table(title=f"JPEG -> YOLOX-nano -> JSON over HTTP, wrk on one thread, {rounds} rounds, medians")
    table.add_column("server")
    for heading in (
        "c",
        "req/s",
        "of floor",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "CPU ms",
        "of floor by CPU",
        "stolen",
        "errors",
    ):
        table.add_column(heading, justify="right")
    for name, blocks in results.blocks.items():
        for level in results.levels(name):
            loads = [block.loads[level] for block in blocks]
            table.add_row(
                name,
                str(level),
                f"{results.rate(name, level):.1f}",
                f"{results.of_floor(name, level, job_of(name)):.3f}",
                *(f"{statistics.median(map(part, loads)):.0f}" for part in _PERCENTILES),
                f"{statistics.median(load.cpu_ms for load in loads):.1f}",
                f"{results.of_floor_by_cpu(name, level, job_of(name)):.3f}",
                f"{max(load.stolen for load in loads):.0%}",
                str(sum(load.errors for load in loads)),
            )
        table.add_section()
    return table


def _servers(results: Results) -> Table:
    table = Table(title="Servers; memory is PSS of all processes; sure boxes: how many of the floor's they find")
    table.add_column("server")
    headings = ("floors in the same minute, pictures/s", "start s", "MB at start", "MB loaded", "sure boxes")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, blocks in results.blocks.items():
        floors = {job: results.floor_rate(name, job) for job in blocks[0].floors}
        sure, same = blocks[-1].agreed
        table.add_row(
            name,
            ", ".join(f"{job} {rate:.1f}" for job, rate in floors.items()),
            f"{results.median(name, lambda b: b.start_s):.1f}",
            f"{results.median(name, lambda b: b.memory_mb[0]):.0f}",
            f"{results.median(name, lambda b: b.memory_mb[1]):.0f}",
            f"{same}/{sure}",
        )
    return table


def _turns(results: Results) -> Table:
    table = Table(title=f"In turns of {TURN_S:g} s with the job alone, all rounds")
    table.add_column("server")
    for heading in ("c", "floor", "floor, pictures/s", "req/s", "of floor", "of floor by CPU", "errors"):
        table.add_column(heading, justify="right")
    for name, turns in results.turns.items():
        for one in turns:
            for job, floor in one.floors.items():
                rates = f"{floor.rate:.1f}", f"{one.rate:.1f}"
                ratios = f"{one.of_floor(job):.3f}", f"{one.of_floor_by_cpu(job):.3f}"
                table.add_row(name, str(one.connections), job, *rates, *ratios, str(one.errors))
    return table


def draw(path: Path, results: Results) -> None:
    """Writes a PNG of two panels over the number of open requests: how many, how evenly; the last curve is ours."""
    names = [name for name in (*results.peers(), STOCK, OWN) if name in results.blocks]
    names = [name for name in names if results.levels(name) == list(LEVELS)]
    floors = [b.floor_rate("F1") for blocks in results.blocks.values() for b in blocks if "F1" in b.floors]
    if not (names and floors):
        return
    labels, stock = [f"c={level}" for level in LEVELS], statistics.median(floors)
    rates = {name: [results.rate(name, level) / stock for level in LEVELS] for name in names}
    waits = {name: [results.queueing(name, level, job_of(name)) for level in LEVELS] for name in names}
    panels = [
        panel("requests/s in percent of the stock job's floor", labels, _percent(rates), 0.0),
        panel("p95 in percent of a perfect queue's wait: lower is better", labels, _percent(waits), 0.0),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.hstack(panels))


def _percent(curves: dict[str, list[float]]) -> dict[str, list[float]]:
    """Where nothing was answered there is nothing to draw."""
    return {
        name: [100 * value if math.isfinite(value) else 0.0 for value in values] for name, values in curves.items()
    }
