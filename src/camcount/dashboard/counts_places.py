"""Who is where on the page of counts: inside zones now, in the picture over time, and from where to where."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from nicegui import ui
from nicegui.element import Element

from camcount.cameras.states import CameraState, State
from camcount.dashboard.counts_charts import ways_between
from camcount.dashboard.counts_controls import choice
from camcount.dashboard.counts_words import number
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, card, chart, picture_address, table, tag
from camcount.errors import CamcountError

_AGAIN_S = 3.0
_FLOWS = 40
_ALIVE = (State.RUNNING, State.FROZEN, State.BLACK, State.ENDED)


def inside_card(visit: Visit, states: Sequence[CameraState]) -> None:
    """How many are in each zone now; nothing where no camera has one."""
    zones = [(state.name, zone) for state in states for zone in state.occupancy]
    if not zones:
        return
    with card(visit.say("counts.inside.title"), note=visit.say("counts.inside.note")):
        shown = {}
        with ui.element("ul").classes("inside"):
            for camera, zone in zones:
                with ui.element("li").classes("inside-row"):
                    tag("span", f"{camera} · {zone}")
                    shown[camera, zone] = tag("b", "–", "num")

        async def look() -> None:
            for state in await visit.dashboard.states():
                for zone, inside in state.occupancy.items():
                    if (state.name, zone) in shown:
                        shown[state.name, zone].set_text(number(visit, inside))

        ui.timer(_AGAIN_S, look)


async def heat_card(visit: Visit) -> None:
    """Where objects were, over a camera's picture; nothing where no camera has given one."""
    states = await visit.dashboard.states()
    cameras = [state.name for state in states if state.state in _ALIVE]
    if not cameras:
        return
    with card(visit.say("counts.heat.title"), note=visit.say("counts.heat.note")):
        picture = ui.element("img").classes("heat")
        picture.set_visibility(False)  # until it shows something
        said = tag("p", "", "note")

        async def show(camera: str) -> None:
            try:
                content = await asyncio.to_thread(visit.dashboard.site.cameras.heat, camera)
            except CamcountError as error:
                picture.set_visibility(False)
                said.set_text(str(error))
                return
            said.set_text("")
            attributes(picture, src=picture_address(content), alt=visit.say("counts.heat.alt", camera=camera))
            picture.set_visibility(True)

        if len(cameras) > 1:
            choice(visit.say("counts.camera.name"), [(name, name) for name in cameras], cameras[0], show)
        await show(cameras[0])


async def flow_card(visit: Visit, box: Element, camera: str | None, begin: datetime, end: datetime) -> None:
    """From which line or zone to which, in place of what ``box`` showed of it; nothing where nobody went."""
    store = visit.dashboard.site.store
    flows = (await asyncio.to_thread(store.flows, camera_id=camera, since=begin, until=end))[:_FLOWS]
    for old in [child for child in box.default_slot.children if "flows" in child.classes]:
        box.remove(old)
    if not flows:
        return
    several = len({flow.camera_id for flow in flows}) > 1
    with box, card(visit.say("counts.flows.title"), note=visit.say("counts.flows.note"), classes="flows"):
        height = min(460, 120 + 34 * len({flow.origin for flow in flows}))
        said = ", ".join(f"{flow.origin} → {flow.destination} {flow.count}" for flow in flows[:5])
        words = visit.say("counts.flows.said", parts=said)
        made = chart(ways_between(flows, several=several), words, classes="flows-chart")
        made.style(f"height: {height}px")
        with ui.element("details").classes("counts-details"):
            tag("summary", visit.say("counts.as_table"))
            columns = [visit.say(f"counts.flows.{name}") for name in ("origin", "destination", "count")]
            rows = [
                [f"{f.camera_id} · {f.origin}" if several else f.origin, f.destination, number(visit, f.count)]
                for f in flows
            ]
            table(columns, rows, name=visit.say("counts.flows.title"), numbers=(2,))
