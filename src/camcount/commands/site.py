"""``camcount site``: events of several cameras in, one count of the site out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from camcount.commands import console, options

if TYPE_CHECKING:
    from camcount.counting.site import Site


def site(
    events: Annotated[
        list[Path], typer.Argument(metavar="EVENTS…", help="Files of camcount count --events, or of a batch.")
    ],
    config: Annotated[Path, typer.Option(help="A site.yaml: doors, floors, ways. See docs/sites.md.")],
    every: Annotated[str, typer.Option(help="Steps of the occupancy, for example 1m or 1h.")] = "15m",
    json: options.Json = False,
) -> None:
    """Count a site with several doors and cameras: who is inside, who went from where to where, nobody twice.

    camcount site hall.jsonl yard.jsonl --config site.yaml
    """
    from camcount.counting.intervals import parse_duration
    from camcount.counting.site import site_report
    from camcount.outputs import read_crossings
    from camcount.site_settings import load_site

    told = load_site(config)
    crossings = [crossing for path in events for crossing in read_crossings(path)]
    console.warn(_unheard_of(told, {(crossing.camera_id, crossing.line) for crossing in crossings}))
    report = site_report(told, crossings, parse_duration(every))
    if json:
        console.print_json(report)
        return
    from camcount.commands.tables import print_site

    print_site(report)


def _unheard_of(told: Site, seen: set[tuple[str, str]]) -> list[str]:
    """A name that is written in another way than in the events would only count nothing."""
    named = [port for ports in told.doors.values() for port in ports]
    named += [port for leg in told.legs for port in (leg.origin, leg.destination)]
    missing = sorted({f"{p.camera_id}/{p.line}" for p in named if (p.camera_id, p.line) not in seen})
    there = ", ".join(sorted(f"{camera}/{line}" for camera, line in seen)) or "nothing"
    return [f"no event is of {name}: there are events of {there}" for name in missing]
