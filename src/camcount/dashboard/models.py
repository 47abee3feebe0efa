"""All models: which are in memory, what their versions are, and which of two is better on a picture."""

from __future__ import annotations

import asyncio

from nicegui import ui
from nicegui.element import Element

from camcount.dashboard.models_history import history
from camcount.dashboard.models_one import build_one
from camcount.dashboard.models_shelf import Entry, Shelf, in_use, read_shelf, standing
from camcount.dashboard.models_try import Trial
from camcount.dashboard.models_version import Standing, alias_chips, megabytes, version_words
from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import Figure, attributes, button, card, empty, tag

_LOOK_S = 2.0
_FEW = 3
_MOVES = 6


async def build(visit: Visit) -> None:
    """All of them, or the one that the address names; the registry is asked beside the page."""
    shown = _Models(visit)
    ui.timer(0.01, shown.read, once=True)
    ui.timer(_LOOK_S, shown.look, immediate=False)


class _Models:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._name = visit.place.get("name", "")
        self._standings: list[Standing] = []
        self._figures: list[Figure] = []
        if self._name:
            with ui.element("a").classes("back") as back:
                attributes(back, href="/models")
                attributes(ui.icon("arrow_back"), aria_hidden="true")
                tag("span", visit.say("models.all"))
        self._list: Element = ui.element("div").classes("models")
        self._trial: Element = ui.element("div").classes("later")
        self._moves: Element = ui.element("div").classes("later")
        self._tries = self._empty = False
        with self._list, ui.element("div").classes("reading") as reading:
            attributes(reading, role="status")
            attributes(ui.spinner(size="20px", color=None), aria_hidden="true")
            tag("span", visit.say("models.reading"))

    async def read(self) -> None:
        """Asks server and registry, and draws what they say."""
        await self._draw(await asyncio.to_thread(read_shelf, self._visit.dashboard))

    async def _draw(self, shelf: Shelf) -> None:
        self._empty = not (shelf.models or shelf.trouble or self._name)
        self._list.clear()
        with self._list:
            if shelf.trouble:
                self._complain(shelf.trouble)
            if self._name:
                self._standings = build_one(self._visit, shelf, self._name, self.look, self.read)
            else:
                self._standings = self._all(shelf)
        self._moves.clear()
        if shelf.history and not self._name:
            with self._moves, card(self._visit.say("models.history.latest")):
                history(self._visit, shelf.history[:_MOVES])
        if not self._tries:
            with self._trial:
                self._tries = self._try(shelf)
        if not self._empty:
            await self.look()

    async def look(self) -> None:
        """How all that are shown stand now."""
        if self._empty:
            await self._wait()
            return
        plane, rows = self._visit.dashboard.plane, self._standings
        references = [row.reference for row in rows if row.is_served]
        if not references and not self._figures:
            return
        now = await asyncio.to_thread(standing, plane, references)
        for row in rows:
            if row.reference in now:
                row.show(*now[row.reference])
        loaded = [size for info, size in now.values() if info.state == "ready"]
        if self._figures:
            self._figures[2].set(str(len(loaded)), self._visit.say("models.figures.of", n=len(references)))
            self._figures[3].set(
                megabytes(sum(loaded)) if any(loaded) else "–", self._visit.say("models.figures.reserved")
            )

    async def _wait(self) -> None:
        """Nothing is drawn anew before there is something."""
        shelf = await asyncio.to_thread(read_shelf, self._visit.dashboard)
        if shelf.models:
            await self._draw(shelf)

    def _complain(self, trouble: str) -> None:
        with ui.element("div").classes("away") as box:
            attributes(box, role="alert")
            attributes(ui.icon("cloud_off"), aria_hidden="true")
            with ui.element("div").classes("away-text"):
                tag("strong", self._visit.say("models.away"))
                tag("p", trouble)
            button(self._visit.say("models.again"), self.read)

    def _all(self, shelf: Shelf) -> list[Standing]:
        if not shelf.models:
            self._figures = []
            if not shelf.trouble:
                self._none()
            return []
        self._sum(shelf)
        standings: list[Standing] = []
        with ui.element("div").classes("shelf"):
            for name, entries in shelf.models.items():
                standings += self._model(name, entries)
        return standings

    def _none(self) -> None:
        said = self._visit.say
        with (
            empty("category", said("models.empty.title"), said("models.empty.text")),
            ui.element("ol").classes("first"),
        ):
            for step in ("pull", "alias"):
                with tag("li"):
                    tag("span", said(f"models.empty.{step}"))
                    attributes(tag("code", said(f"models.empty.command.{step}")), tabindex="0")

    def _sum(self, shelf: Shelf) -> None:
        said = self._visit.say
        with ui.element("div").classes("figures"):
            self._figures = [
                Figure(said(f"models.figures.{name}")) for name in ("models", "champion", "loaded", "memory")
            ]
        versions = len(shelf.entries)
        self._figures[0].set(str(len(shelf.models)), said("models.figures.versions", n=versions))
        newest = next((move for move in shelf.history if move.alias == "champion"), None)
        if newest:
            now = f"{newest.model} {newest.after or said('models.alias.nothing')}"
            self._figures[1].set(now, f"{newest.when:%Y-%m-%d} · {newest.who}")

    def _model(self, name: str, entries: tuple[Entry, ...]) -> list[Standing]:
        with ui.element("section").classes("card model"):
            with ui.element("div").classes("model-head"):
                with tag("h2"), ui.element("a") as link:
                    attributes(link, href=f"/models/{name}")
                    tag("span", name)
                origin = "configured" if not any(entry.kept for entry in entries) else "registered"
                tag("span", self._visit.say(f"models.{origin}"), "note")
            with tag("ul", "", "versions"):
                standings = [self._version(entry) for entry in _first(entries)]
            more = tag("a", self._visit.say("models.more"), "model-more")
            attributes(more, href=f"/models/{name}", aria_label=f"{name}: {more.text}")
        return standings

    def _version(self, entry: Entry) -> Standing:
        with tag("li", "", "version"):
            with ui.element("div").classes("version-head"):
                with ui.element("div").classes("version-name"):
                    tag("span", version_words(self._visit, entry), "version-number")
                    alias_chips(entry)
                made = Standing(self._visit, entry, self.look)
            if entry.kept and entry.kept.notes:
                tag("p", entry.kept.notes, "version-notes")
        return made

    def _try(self, shelf: Shelf) -> bool:
        """Once per visit, so that an answer is not lost when something else changes."""
        served = [entry for entry in shelf.entries if entry.served]
        named = self._name or next(
            (entry.name for entry in served if entry.aliases), served[0].name if served else ""
        )
        own = [entry for entry in served if entry.name == named]
        first = in_use(own)
        if first is None:
            return False
        others = [entry for entry in served if entry.name != named]
        Trial(self._visit, [first, *(entry for entry in own if entry != first), *others])
        return True


def _first(entries: tuple[Entry, ...]) -> list[Entry]:
    """The highest few, and those that an alias points at."""
    return [entry for place, entry in enumerate(entries) if place < _FEW or entry.aliases]


PAGE = Page("models", "category", build, title=lambda visit: visit.place.get("name") or visit.say("nav.models"))
