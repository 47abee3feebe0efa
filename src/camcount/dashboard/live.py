"""The cameras as they are now."""

from __future__ import annotations

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import card, empty, table


async def build(visit: Visit) -> None:
    """All cameras."""
    states = await visit.dashboard.states()
    if not states:
        empty(
            "videocam",
            visit.say("live.empty.title"),
            visit.say("live.empty.text"),
            (visit.say("live.empty.link"), "/add"),
        )
        return
    columns = [visit.say(f"live.{name}") for name in ("camera", "doing", "rate", "lag", "coverage")]
    rows = [
        [
            state.name,
            visit.say(f"state.{state.state}"),
            f"{state.fps:.1f}",
            f"{state.lag_s:.2f} s",
            f"{state.coverage:.1%}",
        ]
        for state in states
    ]
    with card():
        table(columns, rows, name=visit.say("nav.live"), numbers=(2, 3, 4))


PAGE = Page("live", "videocam", build)
