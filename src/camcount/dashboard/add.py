"""One more camera."""

from __future__ import annotations

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import empty


async def build(visit: Visit) -> None:
    """How a camera is added."""
    said = visit.say
    empty("add_a_photo", said("add.empty.title"), said("add.empty.text"), (said("add.empty.link"), "/docs"))


PAGE = Page("add", "add_a_photo", build)
