"""One version of a model on a page: how it stands, and what can be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nicegui import ui

from camcount.dashboard.models_shelf import Entry, standing
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import Chip, Tone, attributes, button, tag
from camcount.errors import CamcountError, coded
from camcount.serving.requests import ModelInfo
from camcount.serving.targets import UNVERSIONED

TONES: dict[str, Tone] = {
    "registered": "quiet",
    "loading": "accent",
    "warming": "accent",
    "ready": "good",
    "error": "bad",
    "unavailable": "warn",
}

Act = Callable[[], Awaitable[None]]


def megabytes(size: float) -> str:
    """Bytes for people.

    >>> megabytes(3_659_407), megabytes(1_250_000_000)
    ('3.7 MB', '1,250 MB')
    """
    return f"{size / 1e6:,.0f} MB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def version_words(visit: Visit, entry: Entry) -> str:
    """The version, or that there is none."""
    return visit.say("models.unversioned") if entry.version == UNVERSIONED else entry.version


def alias_chips(entry: Entry) -> None:
    """The names that point at a version."""
    for alias in entry.aliases:
        attributes(tag("span", alias, "chip alias"), data_tone="accent" if alias == "champion" else "quiet")


class Standing:
    """Chip, memory and the button that loads or unloads; `show` keeps them true.

    Args:
        changed: called after a load or an unload.
    """

    def __init__(self, visit: Visit, entry: Entry, changed: Act) -> None:
        self._visit, self._entry, self._changed = visit, entry, changed
        self._info: ModelInfo | None = None
        self._busy = False
        with ui.element("div").classes("standing"):
            self._chip = Chip()
            self._memory = tag("span", "", "note num")
            self._button = button("", self._switch)
        self._trouble = tag("p", "", "version-trouble")
        self.show(entry.served, 0)

    @property
    def reference(self) -> str:
        """Whose."""
        return self._entry.reference

    @property
    def is_served(self) -> bool:
        """Whether the server knows it."""
        return self._entry.served is not None

    def show(self, info: ModelInfo | None, size: int) -> None:
        """As it stands now."""
        if self._busy:
            return
        self._info = info
        if info is None:
            self._chip.set(self._visit.say("models.not_served"), "quiet")
            self._button.set_visibility(False)
            return
        ready = info.state == "ready"
        self._chip.set(self._visit.say(f"models.state.{info.state}"), TONES[info.state])
        self._memory.set_text(megabytes(size) if ready and size else "")
        self._trouble.set_text(info.reason)
        self._offer("unload" if ready else "load")

    def _offer(self, what: str) -> None:
        """Only what has changed is sent: a page looks every other second."""
        words = self._visit.say(f"models.{what}")
        if self._button.text != words:
            self._button.set_text(words)
            label = self._visit.say(f"models.one.{what}", model=self.reference)
            attributes(self._button, aria_label=label)

    async def _switch(self) -> None:
        plane, info = self._visit.dashboard.plane, self._info
        if self._busy or info is None:
            return
        unloads = info.state == "ready"
        self._busy = True
        self._button.props("loading")
        self._chip.set(self._visit.say(f"models.{'unloading' if unloads else 'state.loading'}"), "accent")
        trouble = ""
        try:
            await asyncio.to_thread(plane.unload if unloads else plane.load, self.reference)
        except CamcountError as error:
            trouble = coded(error)
        now = await asyncio.to_thread(standing, plane, [self.reference])
        self._busy = False
        self._button.props(remove="loading")
        self.show(*now.get(self.reference, (info, 0)))
        if trouble:
            self._trouble.set_text(trouble)
        await self._changed()
