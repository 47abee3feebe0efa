"""Replicas, a cache, a remote server and clients that fail while requests arrive, and requests that are meant ill.

A detector that fails on command (bench/serving_faulty.py) is served by `camcount serve` in three replicas; requests
arrive at random times, 50 a second, and one of the replicas raises, hangs or ends its thread for a third of the time.
Ends with 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping

from bench.serving import DATA, OUT
from bench.serving_bad_inputs import bad_inputs
from bench.serving_frames import frames
from bench.serving_models import plain_package
from bench.serving_results import Verdict
from bench.serving_scenes import cache_goes, clients_leave, remote_goes, replica_fails
from rich.console import Console
from rich.table import Table


def scenes(seconds: float) -> Mapping[str, Callable[[], list[Verdict]]]:
    """By name; ``seconds`` is how long requests arrive at failing replicas."""
    picture = min((path.read_bytes() for path in frames(DATA, OUT / "frames")), key=len)
    folder = OUT / "chaos"
    folder.mkdir(parents=True, exist_ok=True)
    plain = plain_package(DATA / "weights" / "yolox_nano_416x416.onnx", OUT)
    return {
        "raise": lambda: replica_fails("raise", picture, folder, seconds),
        "hang": lambda: replica_fails("hang", picture, folder, seconds),
        "exit": lambda: replica_fails("exit", picture, folder, seconds),
        "cache": lambda: cache_goes(picture, folder, seconds / 2),
        "remote": lambda: remote_goes(picture, plain, folder, seconds / 2),
        "clients": lambda: clients_leave(picture, folder),
        "inputs": lambda: bad_inputs(picture, plain, folder),
    }


def main() -> None:
    """Runs the scenes and prints what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="12 seconds each instead of 30")
    parser.add_argument(
        "--only", action="append", default=[], help="raise, hang, exit, cache, remote, clients, inputs"
    )
    given = parser.parse_args()
    console = Console(width=140)
    table = Table("what", "measured", "", title="Chaos")
    missed = 0
    for name, scene in scenes(12 if given.quick else 30).items():
        if given.only and name not in given.only:
            continue
        for verdict in scene():
            missed += not verdict.met
            told = "met" if verdict.met else "MISSED"
            console.print(f"{verdict.demand}: {verdict.measured} [{told}]", markup=False)
            table.add_row(verdict.demand, verdict.measured, told if verdict.met else f"[bold red]{told}[/]")
        table.add_section()
    console.print(table)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
