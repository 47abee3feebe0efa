"""Moving an alias: which one, to which version, and why, which stays in the history for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from camcount.dashboard.models_shelf import Entry, registry
from camcount.dashboard.models_version import Act
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, button, tag
from camcount.errors import CamcountError
from camcount.models.home import user

USUAL = ("champion", "challenger")


class AliasDialog:
    """Asks before an alias is moved.

    Args:
        entries: the registered versions of one model.
        moved: called when it has been.
    """

    def __init__(self, visit: Visit, entries: Sequence[Entry], moved: Act) -> None:
        self._visit, self._moved = visit, moved
        self._name = entries[0].name
        self._at = {alias: entry.version for entry in entries for alias in entry.aliases}
        title = visit.say("models.alias.title", model=self._name)
        with ui.dialog() as self._dialog, ui.card().classes("ask"):
            attributes(self._dialog, aria_label=title)
            tag("h2", title)
            with ui.element("div").classes("ask-fields"):
                known = list(dict.fromkeys([*USUAL, *self._at]))
                self._alias = self._choice("alias", known, with_input=True, new_value_mode="add-unique")
                self._version = self._choice("version", [entry.version for entry in entries])
            self._summary = tag("p", "", "ask-move num")
            attributes(self._summary, aria_live="polite")
            self._why = ui.textarea(visit.say("models.alias.why"), on_change=self._look).props(
                'outlined autogrow maxlength="500" input-style="min-height: 64px"'
            )
            tag("p", visit.say("models.alias.kept", who=user()), "note")
            self._trouble = tag("p", "", "version-trouble")
            attributes(self._trouble, role="alert")
            with ui.element("div").classes("row ask-foot"):
                button(visit.say("models.alias.cancel"), self._dialog.close)
                self._do = button(visit.say("models.alias.do"), self._move, primary=True)

    def ask(self, version: str, alias: str = "champion", why: str = "") -> None:
        """Opens, with what is probably wanted."""
        self._alias.set_value(alias)
        self._version.set_value(version)
        self._why.set_value(why)
        self._trouble.set_text("")
        self._look()
        self._dialog.open()

    def _choice(self, what: str, options: list[str], **more: Any) -> ui.select:
        words = self._visit.say(f"models.alias.{what}")
        chosen = ui.select(options, label=words, value=options[0], on_change=self._look, **more)
        return chosen.props("outlined dense options-dense")

    def _look(self) -> None:
        alias, after = self._alias.value or "", self._version.value
        before = self._at.get(alias, "")
        nothing = self._visit.say("models.alias.nothing")
        same = before == after
        text = "models.alias.same" if same else "models.alias.move"
        self._summary.set_text(self._visit.say(text, alias=alias, before=before or nothing, after=after))
        self._do.set_enabled(bool(alias) and not same and bool((self._why.value or "").strip()))

    async def _move(self) -> None:
        alias, reference = self._alias.value, f"{self._name}:{self._version.value}"
        self._do.props("loading")
        try:
            made = await asyncio.to_thread(registry().promote, reference, alias, self._why.value.strip())
        except CamcountError as error:
            self._trouble.set_text(str(error))
            return
        finally:
            self._do.props(remove="loading")
        self._dialog.close()
        lasted = made is None or made.outcome == "done"
        words = "models.alias.done" if lasted else "models.alias.overtaken"
        ui.notify(self._visit.say(words, alias=alias, model=reference), position="top", color="dark")
        await self._moved()
