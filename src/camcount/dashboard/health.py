"""How serving is going."""

from __future__ import annotations

import asyncio

from nicegui import ui

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Figure

_LOOK_S = 2.0


async def build(visit: Visit) -> None:
    """Figures of the last minute."""
    with ui.element("div").classes("figures"):
        requests = Figure(visit.say("health.requests"))
        processor = Figure(visit.say("health.processor"))
        memory = Figure(visit.say("health.memory"))

    async def look() -> None:
        names = {model.name for model in await asyncio.to_thread(visit.dashboard.plane.models)}
        measured = [visit.dashboard.rates.performance(name) for name in ("", *names)]
        resources = measured[0].resources
        requests.set(str(sum(one.requests for one in measured)), visit.say("health.minute"))
        processor.set(f"{resources.cpu_share:.0%}", visit.say("health.of_all"))
        memory.set(f"{resources.memory_bytes / 2**20:,.0f} MiB", visit.say("health.resident"))

    await look()
    ui.timer(_LOOK_S, look, immediate=False)


PAGE = Page("health", "monitor_heart", build)
