"""All cameras as they are now."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from camcount.cameras.states import CameraState
from camcount.dashboard.live_parts import counted, inside, moving, percent
from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Chip, Figure, attributes, empty, tag

_LOOK_S = 1.0
_PIXELS = 640


async def build(visit: Visit) -> None:
    """A picture per camera, which move, and what all of them counted."""
    content = ui.element("div").classes("live")
    wall: _Wall | None = None

    async def look() -> None:
        nonlocal wall
        states = await visit.dashboard.states()
        if wall is None or wall.names != [state.name for state in states]:
            content.clear()
            with content:
                wall = _Wall(visit, states)
        wall.show(states)

    await look()
    ui.timer(_LOOK_S, look, immediate=False)


class _Wall:
    """The tiles of these cameras."""

    def __init__(self, visit: Visit, states: Sequence[CameraState]) -> None:
        self.names = [state.name for state in states]
        self._figures: list[Figure] = []
        if not states:
            said = visit.say
            empty("videocam", said("live.empty.title"), said("live.empty.text"), (said("live.empty.link"), "/add"))
            return
        with ui.element("div").classes("figures"):
            self._figures = [Figure(visit.say(f"live.{name}")) for name in ("in", "out", "inside", "coverage")]
        self._notes = [visit.say(f"live.{name}") for name in ("since", "since", "zones", "seen")]
        with tag("ul", "", "wall"):
            self._tiles = [_Tile(visit, state) for state in states]

    def show(self, states: Sequence[CameraState]) -> None:
        """As they are now."""
        if not self._figures:
            return
        coverage = sum(state.coverage for state in states) / len(states)
        values = [
            f"{counted(states, 'in'):,}",
            f"{counted(states, 'out'):,}",
            f"{inside(states):,}",
            percent(coverage),
        ]
        for figure, value, note in zip(self._figures, values, self._notes, strict=True):
            figure.set(value, note)
        for tile, state in zip(self._tiles, states, strict=True):
            tile.show(state)


class _Tile:
    """One camera on the wall."""

    def __init__(self, visit: Visit, state: CameraState) -> None:
        self._visit = visit
        self._lines: tuple[str, ...] | None = None
        with tag("li"), ui.element("a").classes("tile") as link:
            attributes(link, href=f"/cameras/{state.name}")
            moving(visit, state.name, _PIXELS)
            with ui.element("div").classes("tile-foot"):
                with ui.element("div").classes("tile-name"):
                    tag("h2", state.name)
                    self._chip = Chip()
                self._counts: Element = ui.element("div").classes("tile-counts")
                self._measures = tag("p", "", "note num")
                self._reason = tag("p", "", "tile-reason")

    def show(self, state: CameraState) -> None:
        """As it is now."""
        visit = self._visit
        self._chip.camera(visit, state.state)
        self._show_counts(state)
        measures = (
            visit.say("live.rate", fps=f"{state.fps:.1f}"),
            visit.say("live.lag", lag=f"{state.lag_s:.2f}"),
            visit.say("live.covered", share=percent(state.coverage)),
        )
        self._measures.set_text("  ·  ".join(measures))
        self._reason.set_text(state.reason)

    def _show_counts(self, state: CameraState) -> None:
        if self._lines != tuple(state.totals):
            self._lines = tuple(state.totals)
            self._counts.clear()
            with self._counts:
                self._numbers = [self._line(line) for line in self._lines]
                if not self._lines:
                    tag("span", self._visit.say("live.nothing"), "note")
        for numbers, counts in zip(self._numbers, state.totals.values(), strict=True):
            for number, way in zip(numbers, ("in", "out"), strict=True):
                number.set_text(f"{counts[way]:,}")

    def _line(self, line: str) -> tuple[TextElement, ...]:
        with ui.element("div").classes("tile-line"):
            tag("span", line, "tile-line-name")
            made = []
            for way in ("in", "out"):
                with tag("span", "", f"way way-{way}"):
                    tag("span", self._visit.say(f"way.{way}"), "way-name")
                    made.append(tag("span", "", "num"))
        return tuple(made)


PAGE = Page("live", "videocam", build)
