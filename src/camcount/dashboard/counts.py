"""What was counted."""

from __future__ import annotations

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import card, empty, table


async def build(visit: Visit) -> None:
    """All lines with their totals."""
    rows = [
        [state.name, line, str(counts["in"]), str(counts["out"])]
        for state in await visit.dashboard.states()
        for line, counts in state.totals.items()
    ]
    if not rows:
        said = visit.say
        empty("bar_chart", said("counts.empty.title"), said("counts.empty.text"), (said("counts.empty.link"), "/"))
        return
    columns = [visit.say(key) for key in ("live.camera", "counts.line", "way.in", "way.out")]
    with card(visit.say("counts.totals")):
        table(columns, rows, name=visit.say("counts.totals"), numbers=(2, 3))


PAGE = Page("counts", "bar_chart", build)
