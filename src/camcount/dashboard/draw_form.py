"""The list of what is drawn, and the fields of the chosen line or zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from camcount.dashboard.draw_board import Board
from camcount.dashboard.draw_shapes import Drawn
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, button, card, tag
from camcount.geometry import Anchor

_ICONS = {"line": "show_chart", "zone": "pentagon"}
_ANCHORS: tuple[Anchor, ...] = ("foot", "centre")


class Form:
    """A card beside the board.

    Args:
        seen: the labels of what the camera saw lately, offered as choices.
        edited: called when something other than points changes.
    """

    def __init__(self, visit: Visit, board: Board, seen: Sequence[str], edited: Callable[[], None]) -> None:
        self._visit, self._board, self._seen, self._edited = visit, board, seen, edited
        self._shown: object = None
        self._open: str | None = None
        self._counts: dict[str, TextElement] = {}
        with card(visit.say("draw.drawn")):
            self._list = ui.element("ul").classes("shapes")
            self._fields = ui.element("div").classes("shape-fields")
        self.refresh()

    def refresh(self) -> None:
        """After a change on the board."""
        shown = [(shape.id, shape.name) for shape in self._board.shapes.values()], self._board.selected
        if shown != self._shown:
            self._shown = shown
            self._list.clear()
            self._counts = {}
            with self._list:
                self._rows()
        if self._open != self._board.selected:
            self._open = self._board.selected
            self._fields.clear()
            if self._board.chosen is not None:
                with self._fields:
                    self._one(self._board.chosen)

    def count(self, said: dict[str, str]) -> None:
        """What was counted, beside the names."""
        for name, element in self._counts.items():
            element.set_text(said.get(name, ""))

    def _rows(self) -> None:
        if not self._board.shapes:
            tag("li", self._visit.say("draw.none"), "note")
        for shape in self._board.shapes.values():
            with ui.element("li"), ui.element("button").classes("shape-row") as row:
                attributes(row, type="button", aria_pressed=str(shape.id == self._board.selected).lower())
                attributes(ui.icon(_ICONS[shape.kind]), aria_hidden="true")
                tag("span", shape.name, "shape-name")
                self._counts[shape.name] = tag("span", "", "note num")
            row.on("click", lambda shape_id=shape.id: self._board.choose(shape_id))

    def _one(self, shape: Drawn) -> None:
        say = self._visit.say
        name = ui.input(say("draw.name"), value=shape.name, on_change=lambda e: self._rename(shape, e.value or ""))
        name.props("outlined dense maxlength=100")
        labels = ui.input(
            say("draw.labels"),
            value=", ".join(shape.labels or ()),
            placeholder=say("draw.all"),
            on_change=lambda e: self._limit(shape, e.value or ""),
        )
        labels.props("outlined dense stack-label")
        if self._seen:
            tag("p", say("draw.seen", labels=", ".join(self._seen[:6])), "note")
        anchors = {"": say("draw.anchor.camera")} | {anchor: say(f"draw.anchor.{anchor}") for anchor in _ANCHORS}
        ui.select(
            anchors,
            label=say("draw.anchor.title"),
            value=shape.anchor or "",
            on_change=lambda e: self._stand(shape, e.value),
        ).props("outlined dense")
        with ui.element("div").classes("row"):
            if shape.kind == "line":
                button(say("draw.flip"), self._board.flip, icon="swap_vert")
            button(say("draw.delete"), self._board.remove, icon="delete_outline")

    def _rename(self, shape: Drawn, name: str) -> None:
        self._board.rename(shape, name)
        self.refresh()
        self._edited()

    def _limit(self, shape: Drawn, text: str) -> None:
        shape.labels = tuple(word.strip() for word in text.split(",") if word.strip()) or None
        self._edited()

    def _stand(self, shape: Drawn, value: str) -> None:
        shape.anchor = next((anchor for anchor in _ANCHORS if anchor == value), None)
        self._edited()
