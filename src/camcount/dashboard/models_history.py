"""Who moved which alias, when, from what to what, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, button, tag
from camcount.models.registered import Promotion

Back = Callable[[Promotion], None]


def history(visit: Visit, moves: Sequence[Promotion], *, named: bool = True, back: Back | None = None) -> None:
    """The moves, the newest first.

    Args:
        named: whether it is said whose they are.
        back: offered for the newest move of each alias of one model, to undo it.
    """
    if not moves:
        tag("p", visit.say("models.history.none"), "note")
        return
    seen: set[str] = set()
    with tag("ol", "", "moves"):
        for move in moves:
            newest = move.alias not in seen
            seen.add(move.alias)
            undoes = back if newest and move.action == "promote" and move.before and move.outcome == "done" else None
            _move(visit, move, named, undoes)


def _move(visit: Visit, move: Promotion, named: bool, back: Back | None) -> None:
    said = visit.say
    nothing = said("models.alias.nothing")
    with tag("li", "", "move"):
        with ui.element("div").classes("move-head"):
            tag("span", move.alias or said(f"models.history.{move.action}"), "chip")
            if named:
                tag("span", move.model, "move-model")
            with ui.element("span").classes("move-way num"):
                tag("span", move.before or nothing)
                attributes(tag("span", "→"), aria_label=said("models.history.to"), role="img")
                tag("strong", move.after or nothing)
            if move.outcome != "done":
                attributes(tag("span", said(f"models.history.{move.outcome}"), "chip"), data_tone="warn")
        tag("p", move.why or said("models.history.no_reason"), "move-why" if move.why else "note")
        with ui.element("div").classes("row spread"):
            tag("p", f"{move.who} · {move.when:%Y-%m-%d %H:%M} UTC", "note num")
            if back:
                undo = button(said("models.history.back", version=move.before), lambda: back(move))
                undo.classes("button-small")
