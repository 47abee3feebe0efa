"""How right the counts are."""

from __future__ import annotations

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import empty


async def build(visit: Visit) -> None:
    """How counts are reviewed."""
    empty("fact_check", visit.say("verify.empty.title"), visit.say("verify.empty.text"))


PAGE = Page("verify", "fact_check", build)
