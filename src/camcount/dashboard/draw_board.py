"""The drawing board: a picture with lines and zones over it. `static/draw.js` is its other half."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from camcount.dashboard.draw_shapes import Drawn, read
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, tag

_TOOLS = {"line": "show_chart", "polyline": "polyline", "zone": "pentagon"}
_PLACE = "board"


class Board:
    """One per page.

    Args:
        shapes: what is drawn already.
        changed: called after each change and choice; of a drag, a few times a second.
        tools: which of ``line``, ``polyline`` and ``zone`` there are.

    Attributes:
        shapes: by id. selected: the id of the chosen one, or None.
        moving: whether a drag goes on. bar: where the page puts further buttons.
    """

    def __init__(
        self, visit: Visit, shapes: Sequence[Drawn], changed: Callable[[], None], tools: Sequence[str] = tuple(_TOOLS)
    ) -> None:
        self.shapes = {shape.id: shape for shape in shapes}
        self.selected: str | None = None
        self.moving = False
        self._visit, self._changed = visit, changed
        with ui.element("div").classes("board") as root:
            attributes(root, id=_PLACE, data_tool="select")
            self._toolbar(tools)
            with ui.element("div").classes("board-stage"):
                attributes(ui.element("img"), alt="")
                attributes(
                    ui.element("svg"),
                    tabindex="0",
                    role="group",
                    aria_label=visit.say("draw.board"),
                    focusable="true",
                )
                self._waiting = tag("p", visit.say("draw.waiting"), "board-waiting")
            for name in ("select", "drawing"):
                tag("p", visit.say(f"draw.hint.{name}"), f"note board-hint board-hint-{name}")
        ui.on("drawn", self._drawn)
        words = {name: visit.say(f"draw.word.{name}") for name in ("line", "zone", "point", "flip", "proposed")}
        words["in"] = visit.say("way.in")
        given = [{"id": s.id, "kind": s.kind, "name": s.name, "points": s.points} for s in shapes]
        self._call("begin", _PLACE, given, words)

    @property
    def chosen(self) -> Drawn | None:
        """The shape that is selected."""
        return self.shapes.get(self.selected or "")

    def live(self, address: str) -> None:
        """Shows the picture at an address, which is asked again each second; a number is put at its end."""
        self._call("look", address)

    def show(self, address: str) -> None:
        """Shows one picture."""
        self._call("show", address)

    def say(self, text: str) -> None:
        """What stands where there is no picture."""
        self._waiting.set_text(text)

    def choose(self, shape_id: str) -> None:
        """Selects a shape."""
        self._call("choose", shape_id)

    def rename(self, shape: Drawn, name: str) -> None:
        """Calls it so."""
        shape.name = name
        self._call("name", shape.id, name)

    def move(self, shape: Drawn, points: Sequence[Sequence[float]]) -> None:
        """Puts it somewhere else."""
        self._call("move", shape.id, points)

    def propose(self, points: Sequence[Sequence[float]] | None) -> None:
        """Shows a better line, dashed; None for none."""
        self._call("propose", points)

    def count(self, said: dict[str, str]) -> None:
        """What stands beside the names."""
        self._call("count", said)

    def flip(self) -> None:
        """Puts ``in`` of the selected line to its other side."""
        self._call("flip")

    def remove(self) -> None:
        """Deletes what is selected."""
        self._call("remove")

    def _toolbar(self, tools: Sequence[str]) -> None:
        say = self._visit.say
        with ui.element("div").classes("row board-bar") as bar:
            attributes(bar, role="toolbar", aria_label=say("draw.tools"))
            for name in tools:
                with ui.element("button").classes("button tool") as button:
                    attributes(button, type="button", data_for=name)
                    attributes(ui.icon(_TOOLS[name]), aria_hidden="true")
                    tag("span", say(f"draw.tool.{name}"))
                button.on("click", js_handler=f"(e) => camcountDraw.tool('{name}', e.detail === 0)")
            for name in ("finish", "cancel"):
                button = tag(
                    "button", say(f"draw.{name}"), f"button drafting {'button-primary' * (name == 'finish')}"
                )
                attributes(button, type="button")
                button.on("click", js_handler=f"() => camcountDraw.{name}()")
            self.bar = ui.element("div").classes("row board-more")

    def _drawn(self, event: GenericEventArguments) -> None:
        told: dict[str, Any] = event.args[0] if isinstance(event.args, list) else event.args
        self.shapes = read(told, self.shapes)
        self.selected, self.moving = told["selected"], bool(told["moving"])
        self._changed()

    @staticmethod
    def _call(name: str, *values: Any) -> None:
        ui.run_javascript(f"camcountDraw.{name}({', '.join(json.dumps(value) for value in values)})")
