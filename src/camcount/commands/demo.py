"""``camcount demo``: the built-in street, counted live beside its own truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camcount.commands import console, options


def demo(
    seed: Annotated[int, typer.Option(help="Another seed, another street life.")] = 1,
    seconds: Annotated[float, typer.Option(min=5, help="How long.")] = 60.0,
    annotate: options.Annotate = None,
    model: options.Model = None,
    live: Annotated[
        bool, typer.Option("--live", help="Serve it as a camera that goes on until Ctrl-C; counts are kept.")
    ] = False,
    mqtt: Annotated[
        str | None, typer.Option(metavar="HOST[:PORT]", help="With --live: tell the counts to this broker too.")
    ] = None,
    port: Annotated[int, typer.Option(help="With --live: for HTTP; 0 takes a free one.")] = 8000,
    database: Annotated[Path, typer.Option(help="With --live: the SQLite file of its counts.")] = Path("out/demo.db"),
    json: options.Json = False,
) -> None:
    """Count a synthetic street that knows its own true crossings, and print both side by side.

    camcount demo --live
    """
    if live:
        from camcount.commands.demo_live import LiveDemo

        LiveDemo(seed, seconds, database.absolute()).run(port, mqtt, model)
        return
    from camcount.app import CountingRun, Outputs
    from camcount.commands.count import watch
    from camcount.settings import load
    from camcount.video.synthetic import StreetScene

    street = StreetScene(seed=seed, seconds=seconds)
    lines = {line.name: {"points": line.points, "anchor": line.anchor} for line in street.lines}
    settings = load(None, {"source": f"demo:street?seed={seed}&seconds={seconds:g}", "model": model, "lines": lines})
    with CountingRun(settings, Outputs(annotate=annotate)) as run:
        with console.progress(json) as bar:
            watch(run, bar)
        counted = run.result()["lines"]
    true = {name: {"in": 0, "out": 0} for name in counted}
    for crossing in street.truth():
        true[crossing.line][crossing.direction] += 1
    totals = [sum(line["in"] + line["out"] for line in side.values()) for side in (counted, true)]
    console.warn(run.warnings)
    if json:
        lines_out = {n: {"counted": {k: counted[n][k] for k in ("in", "out")}, "true": true[n]} for n in counted}
        console.print_json({"lines": lines_out, "counted": totals[0], "true": totals[1]})
        return
    from camcount.commands.tables import print_demo

    print_demo(counted, true, run.written)
