"""Lines and zones of one camera, drawn over its picture and saved while it counts."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from nicegui import ui

from camcount.dashboard.draw_board import Board
from camcount.dashboard.draw_doctor import Doctor
from camcount.dashboard.draw_form import Form
from camcount.dashboard.draw_shapes import drawn_of, entry_of
from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Chip, attributes, button, tag
from camcount.errors import CamcountError, UsageError, coded

_LOOK_S = 1.0


async def build(visit: Visit) -> None:
    """The board with what is drawn, the list and the doctor."""
    _Drawing(visit, visit.place["camera"])


class _Drawing:
    def __init__(self, visit: Visit, camera: str) -> None:
        site = visit.dashboard.site
        if camera not in site.entries:
            raise UsageError(visit.say("draw.unknown", camera=camera))
        self._visit, self._camera, self._entry = visit, camera, site.entries[camera]
        self._seen = False
        lately = site.cameras.lately(camera)
        shapes = drawn_of(self._entry, lately.size)
        self._head()
        with ui.element("div").classes("draw"):
            with ui.element("section").classes("card"):
                self.board = Board(visit, shapes, self._changed)
                with self.board.bar:
                    self._buttons()
            with ui.element("div").classes("draw-side"):
                self.form = Form(visit, self.board, lately.labels(), self._mark)
                self.doctor = Doctor(visit, self.board, lately, self._entry.anchor, self._entry.labels)
        self._before = self._now()
        ui.timer(_LOOK_S, self._look)

    def _head(self) -> None:
        with ui.element("div").classes("row"):
            back = tag("a", f"← {self._camera}", "draw-back")
            attributes(back, href=f"/cameras/{quote(self._camera)}")
            self._state = Chip()
            tag("p", self._visit.say("draw.intro"), "note")

    def _buttons(self) -> None:
        say = self._visit.say
        with ui.element("label").classes("button still") as label:
            attributes(ui.icon("image"), aria_hidden="true")
            tag("span", say("draw.still"))
            still = ui.element("input").classes("sr-only")
            attributes(still, type="file", accept="image/*")
            still.on("change", js_handler="(e) => camcountDraw.still(e.target.files[0])")
        attributes(label, title=say("draw.still_note"))
        self._chip = Chip(say("draw.unsaved"), "warn")
        self._chip.hide()
        self._save = button(say("draw.save"), self.save, icon="check", primary=True)
        self._save.set_enabled(False)

    async def save(self) -> None:
        """Counts at what is drawn from the next frame on."""
        try:
            change = entry_of(self.board.shapes.values())
            await asyncio.to_thread(self._visit.dashboard.site.redraw, self._camera, change)
        except CamcountError as error:
            ui.notify(coded(error), type="negative", multi_line=True)
            return
        for shape in self.board.shapes.values():
            shape.saved, shape.saved_points = shape.settings(), shape.points
        self._before = self._now()
        self._mark()
        ui.notify(self._visit.say("draw.saved"), type="positive")

    def _now(self) -> object:
        return {(s.kind, s.name, s.points, s.labels, s.anchor) for s in self.board.shapes.values()}

    def _changed(self) -> None:
        self.form.refresh()
        self._mark()

    def _mark(self) -> None:
        changed = self._now() != self._before
        self._save.set_enabled(changed)
        if changed:
            self._chip.show()
        else:
            self._chip.hide()

    async def _look(self) -> None:
        say = self._visit.say
        state = await self._visit.dashboard.state(self._camera)
        if state is None:
            return
        self._state.camera(self._visit, state.state)
        said = {
            name: say("draw.counts", entered=counts["in"], left=counts["out"])
            for name, counts in state.totals.items()
        } | {name: say("draw.inside", n=inside) for name, inside in state.occupancy.items()}
        self.board.count(said)
        self.form.count(said)
        if not self._seen:
            self.board.say(say("draw.waiting_for", state=say(f"state.{state.state}")))
            await self._first()

    async def _first(self) -> None:
        """Asks for pictures once there is one."""
        try:
            await asyncio.to_thread(self._visit.dashboard.site.cameras.snapshot, self._camera, overlay=False)
        except CamcountError:
            return
        self._seen = True
        self.board.live(f"/api/v1/cameras/{quote(self._camera)}/snapshot?overlay=false&t=")


PAGE = Page("draw", "edit", build, under="live")
