"""One camera, large, with what it counts as it counts it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from nicegui import ui
from nicegui.element import Element

from camcount.cameras.settings import zone_named
from camcount.cameras.states import CameraState, State
from camcount.dashboard.addresses import ADDRESSES
from camcount.dashboard.live_parts import moving, percent
from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Chip, Figure, attributes, button, card, empty, table, tag
from camcount.events import Crossing, Event, ZoneEntered, ZoneLeft
from camcount.storage.event_log import StoredEvent

_LOOK_S = 1.0
_PIXELS = 960
_EVENTS = 30
_SEARCHED = 1000
_OFF = (State.STOPPED, State.ENDED, State.ERROR)


async def build(visit: Visit) -> None:
    """Picture, figures, lines, zones and events of the camera that the address names."""
    name = visit.place["camera"]
    state = await visit.dashboard.state(name)
    if state is None:
        said = visit.say
        words = said("camera.unknown.title", camera=name), said("camera.unknown.text")
        empty("videocam_off", *words, (said("camera.unknown.link"), "/"))
        return
    shown = _Camera(visit, state)

    async def look() -> None:
        now = await visit.dashboard.state(name)
        if now is not None:
            await shown.show(now)

    await shown.show(state)
    ui.timer(_LOOK_S, look, immediate=False)


class _Camera:
    def __init__(self, visit: Visit, state: CameraState) -> None:
        self._visit, self._name = visit, state.name
        entry = visit.dashboard.site.entries.get(state.name)
        self._zone = zone_named(entry.time_zone if entry else "UTC")
        self._counts: Any = None
        self._newest = -1
        with ui.element("div").classes("camera"):
            with ui.element("div").classes("camera-main"):
                self._head()
                moving(visit, state.name, _PIXELS)
                with ui.element("div").classes("figures"):
                    names = ("rate", "lag", "coverage", "dropped")
                    self._figures = [Figure(visit.say(f"camera.figures.{name}")) for name in names]
            with ui.element("div").classes("camera-side"):
                self._tables: Element = ui.element("div").classes("camera-tables")
                with card(visit.say("camera.events"), classes="events-card"):
                    self._none = tag("p", visit.say("camera.no_events"), "note")
                    self._events = tag("ol", "", "events")
                    attributes(self._events, tabindex="0", aria_label=visit.say("camera.events"))

    def _head(self) -> None:
        visit, cameras = self._visit, self._visit.dashboard.site.cameras
        with ui.element("div").classes("row spread"):
            with ui.element("div").classes("row"):
                self._chip = Chip()
                self._since = tag("span", "", "note")
            with ui.element("div").classes("row"):
                if "draw" in ADDRESSES:
                    link = tag("a", visit.say("camera.draw"), "button button-primary")
                    attributes(link, href=ADDRESSES["draw"][0].format(camera=self._name))
                self._start = button(visit.say("camera.begin"), lambda: asyncio.to_thread(cameras.start, self._name))
                self._stop = button(visit.say("camera.end"), lambda: asyncio.to_thread(cameras.stop, self._name))

    async def show(self, state: CameraState) -> None:
        """As it is now."""
        visit = self._visit
        self._chip.camera(visit, state.state)
        self._since.set_text(state.reason or visit.say("camera.since", moment=_clock(state.since, self._zone)))
        self._start.set_visibility(state.state in _OFF)
        self._stop.set_visibility(state.state not in _OFF)
        rate, lag, coverage, dropped = self._figures
        rate.set(f"{state.fps:.1f}", visit.say("camera.asked", fps=f"{state.detected_fps:.1f}"))
        lag.set(f"{state.lag_s:.2f} s", visit.say("camera.figures.lag_note"))
        coverage.set(percent(state.coverage), visit.say("camera.figures.coverage_note"))
        dropped.set(f"{state.dropped:,}", visit.say("camera.figures.dropped_note"))
        self._show_counts(state)
        await self._show_events()

    def _show_counts(self, state: CameraState) -> None:
        if self._counts == (state.totals, state.occupancy):
            return
        self._counts = state.totals, state.occupancy
        self._tables.clear()
        say = self._visit.say
        with self._tables:
            if state.totals:
                rows = [[line, f"{counts['in']:,}", f"{counts['out']:,}"] for line, counts in state.totals.items()]
                with card(say("camera.lines"), classes="lines"):
                    columns = [say("camera.line"), say("way.in"), say("way.out")]
                    table(columns, rows, name=say("camera.lines"), numbers=(1, 2))
            if state.occupancy:
                rows = [[zone, f"{count:,}"] for zone, count in state.occupancy.items()]
                with card(say("camera.zones")):
                    columns = [say("camera.zone"), say("camera.inside")]
                    table(columns, rows, name=say("camera.zones"), numbers=(1,))

    async def _show_events(self) -> None:
        newer = await asyncio.to_thread(self._newer)
        if newer:
            self._none.set_visibility(False)
            self._newest = newer[-1].number
        for stored in newer:
            with self._events, tag("li") as item:
                item.move(target_index=0)
                tag("time", _clock(stored.event.time or stored.stored, self._zone), "num note")
                tag("span", "", f"event-mark event-{getattr(stored.event, 'direction', 'zone')}")
                tag("span", _said(self._visit, stored.event))
        for old in self._events.default_slot.children[_EVENTS:]:
            self._events.remove(old)

    def _newer(self) -> list[StoredEvent]:
        store = self._visit.dashboard.site.store
        after = self._newest if self._newest >= 0 else max(0, store.last_number() - _SEARCHED)
        return store.events(after=after, camera_id=self._name, limit=_SEARCHED)[-_EVENTS:]


def _said(visit: Visit, event: Event) -> str:
    """An event in words."""
    way = visit.say(f"way.{event.direction}").lower() if isinstance(event, Crossing) else ""
    if isinstance(event, Crossing):
        place = event.line
    elif isinstance(event, ZoneEntered | ZoneLeft):
        place = event.zone
    else:
        place = f"{getattr(event, 'origin', '')} → {getattr(event, 'destination', '')}"
    return visit.say(f"camera.event.{event.type}", label=event.label, way=way, place=place)


def _clock(moment: datetime, zone: Any) -> str:
    return f"{moment.astimezone(zone):%H:%M:%S}"


PAGE = Page("camera", "videocam", build, under="live", title=lambda visit: visit.place["camera"])
