"""One model: all its versions with their cards, what became of its aliases, and two versions side by side."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from nicegui import ui

from camcount.dashboard.models_alias import AliasDialog
from camcount.dashboard.models_card import Figures, facts, whole_card
from camcount.dashboard.models_history import Back, history
from camcount.dashboard.models_shelf import Entry, Shelf, registry
from camcount.dashboard.models_version import Act, Standing, alias_chips, version_words
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, button, card, empty, tag
from camcount.errors import CamcountError
from camcount.models.registered import Promotion

_MOST = 30
"""Versions that are shown; the registry's own page has the others."""


def build_one(visit: Visit, shelf: Shelf, name: str, looked: Act, moved: Act) -> list[Standing]:
    """Draws it; gives what shows how the versions stand.

    Args:
        looked: called after a load or an unload. moved: after the move of an alias.
    """
    entries = shelf.models.get(name, ())
    if not entries:
        said = visit.say
        text = said("models.unknown.text")
        empty("category", said("models.unknown.title", model=name), text, (said("models.all"), "/models"))
        return []
    kept = [entry for entry in entries if entry.kept]
    dialog = AliasDialog(visit, kept, moved) if kept else None
    figures: list[tuple[Entry, Figures]] = []
    with ui.element("div").classes("one"):
        with card(visit.say("models.versions"), classes="one-versions"), tag("ul", "", "versions"):
            standings = [_version(visit, entry, shelf, dialog, figures, looked) for entry in entries[:_MOST]]
        with card(visit.say("models.history.title"), classes="one-history"):
            history(visit, shelf.moves(name), named=False, back=_back(visit, dialog) if dialog else None)
    if figures:
        ui.timer(0.05, lambda: _measure(figures), once=True)
    return standings


def _version(
    visit: Visit,
    entry: Entry,
    shelf: Shelf,
    dialog: AliasDialog | None,
    figures: list[tuple[Entry, Figures]],
    looked: Act,
) -> Standing:
    with tag("li", "", "version version-large"):
        with ui.element("div").classes("version-head"):
            with ui.element("h3").classes("version-name"):
                tag("span", version_words(visit, entry), "version-number")
                alias_chips(entry)
            with ui.element("div").classes("row version-actions"):
                standing = Standing(visit, entry, looked)
                if dialog is not None and entry.kept:
                    ask = button(visit.say("models.alias.ask"), lambda: dialog.ask(entry.version, _likely(entry)))
                    attributes(ask, aria_label=visit.say("models.alias.ask_one", model=entry.reference))
        if entry.kept and entry.kept.notes:
            tag("p", entry.kept.notes, "version-notes")
        if entry.kept:
            figures.append((entry, Figures(visit)))
        facts(visit, entry, shelf.entries)
        whole_card(visit, entry)
    return standing


def _likely(entry: Entry) -> str:
    return "challenger" if "champion" in entry.aliases else "champion"


def _back(visit: Visit, dialog: AliasDialog) -> Back:
    def undo(move: Promotion) -> None:
        dialog.ask(move.before, move.alias, visit.say("models.history.undone", version=move.after))

    return undo


async def _measure(figures: list[tuple[Entry, Figures]]) -> None:
    for entry, shown in figures:
        if entry.kept:
            with suppress(CamcountError):
                shown.show(await asyncio.to_thread(registry().measured, entry.kept))
