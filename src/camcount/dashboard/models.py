"""The models and how they do."""

from __future__ import annotations

import asyncio

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import card, empty, table


async def build(visit: Visit) -> None:
    """All that are served."""
    known = await asyncio.to_thread(visit.dashboard.plane.models)
    if not known:
        empty("category", visit.say("models.empty.title"), visit.say("models.empty.text"))
        return
    with card(visit.say("models.served")):
        rows = [[model.reference, model.state] for model in known]
        table([visit.say("models.model"), visit.say("models.state")], rows, name=visit.say("models.served"))


PAGE = Page("models", "category", build)
