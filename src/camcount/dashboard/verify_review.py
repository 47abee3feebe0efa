"""The review on the page: a strip, a question, three keys, and what is known so far."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.events import KeyEventArguments

from camcount.dashboard.page import Visit
from camcount.dashboard.parts import Figure, attributes, card, table, tag
from camcount.dashboard.verify_session import Session
from camcount.errors import CamcountError, coded
from camcount.evaluation.review import DIRECTIONS, Item, Verdict
from camcount.events import Direction

VERDICTS: dict[str, Verdict] = {"y": "yes", "n": "no", "o": "other"}
_MISSED: dict[str, Direction] = {"i": "in", "o": "out"}
_UNDO = ("u", "backspace")


class ReviewView:
    """One review; ``strips`` is the address of all reviews' folders, ``command`` the same on the command line."""

    def __init__(self, visit: Visit, session: Session, strips: str, command: Sequence[str]) -> None:
        self._visit, self._session, self._command = visit, session, command
        self._address = f"{strips}/{session.folder.path.name}/strips"
        self._missed: dict[Direction, int] = dict.fromkeys(DIRECTIONS, 0)
        self._turn = 0
        self._saving = asyncio.Lock()

    async def show(self) -> None:
        """Builds it; answers come by key and by button."""
        say = self._visit.say
        ui.keyboard(on_key=self._key, ignore=["input", "select", "textarea"], repeating=False)
        with ui.element("div").classes("review"):
            with ui.element("div").classes("review-main"):
                self._progress = ui.linear_progress(0.0, show_value=False, size="6px").props("rounded")
                attributes(self._progress, aria_label=say("verify.progress"))
                self._item = ui.element("div")
            with ui.element("div").classes("review-side"):
                with ui.element("div").classes("figures review-figures"):
                    self._accuracy = Figure(say("verify.accuracy"))
                    self._true = Figure(say("verify.real"))
                with card(say("verify.by_way")):
                    self._ways = ui.element("div")
                with card(say("verify.kept"), classes="review-kept"):
                    tag("p", say("verify.kept_text"), "note")
                    if self._command:
                        tag("code", shlex.join(self._command), "review-command")
                    save = tag("button", say("verify.save"), "button")
                    attributes(save, type="button")
                    save.on("click", lambda: ui.download.file(self._session.folder.form))
        self._draw()
        await self._reckon()

    async def _key(self, event: KeyEventArguments) -> None:
        pressed = event.modifiers
        if not event.action.keydown or pressed.alt or pressed.ctrl or pressed.meta:
            return
        key, item = event.key.name.lower(), self._session.current
        if key in _UNDO:
            await self._undo()
        elif item is None:
            return
        elif item.crossing is not None:
            if key in VERDICTS:
                await self._judge(VERDICTS[key])
        elif key in _MISSED:
            self._count(_MISSED[key])
        elif key == "enter":
            await self._tell()

    async def _judge(self, verdict: Verdict) -> None:
        if self._session.judge(verdict):
            await self._answered()

    async def _tell(self) -> None:
        if self._session.tell(self._missed):
            await self._answered()

    async def _undo(self) -> None:
        if self._session.undo():
            await self._answered()

    async def _answered(self) -> None:
        """The next one at once; the answers to disk and the accuracy beside it."""
        self._missed = dict.fromkeys(DIRECTIONS, 0)
        self._draw()
        async with self._saving:
            try:
                await asyncio.to_thread(self._session.folder.keep, self._session.answers)
            except CamcountError as error:
                ui.notify(coded(error), type="negative")
        await self._reckon()

    async def _reckon(self) -> None:
        self._turn += 1
        turn = self._turn
        result = await asyncio.to_thread(self._session.result)
        if turn == self._turn:
            self._figures(result)

    def _figures(self, result: Mapping[str, Any]) -> None:
        say, total = self._visit.say, result["total"]
        some = bool(self._session.done)
        self._accuracy.set(middle(total["accuracy"]) if some else "–", around(total["accuracy"]) if some else "")
        self._true.set(
            middle(total["true"], share=False) if some else "–", say("verify.of", counted=total["counted"])
        )
        rows = []
        for name, figures in [*result["directions"].items(), ("", total)]:
            shares = [
                f"{middle(figures[key])} {around(figures[key])}".strip() if some else "–"
                for key in ("accuracy", "precision", "recall")
            ]
            rows.append([say(f"way.{name}") if name else say("verify.all"), str(figures["counted"]), *shares])
        columns = [say(f"verify.{key}") for key in ("way", "counted_n", "accuracy", "precision", "recall")]
        self._ways.clear()
        with self._ways:
            table(columns, rows, name=say("verify.by_way"), numbers=(1, 2, 3, 4))

    # ----------------------------------------------------------------------------------------------- what is asked

    def _draw(self) -> None:
        session, say = self._session, self._visit.say
        item = session.current
        self._progress.value = session.done / max(len(session.items), 1)
        self._item.clear()
        with self._item:
            if item is None:
                self._finished()
                return
            title = say("verify.title", n=item.number, all=len(session.items), line=item.line)
            with card(title, note=say("verify.span", start=f"{item.start_s:.1f}", end=f"{item.end_s:.1f}")):
                with ui.element("div").classes("strip-box") as box:
                    attributes(box, tabindex="0", role="region", aria_label=say("verify.strip"))
                    picture = ui.element("img").classes("strip")
                    attributes(picture, src=self._picture(item), alt=say("verify.alt", line=item.line))
                self._question(item)
            if (after := session.next) is not None:  # so that it is there when it is wanted
                attributes(
                    ui.element("img").classes("strip-next"), src=self._picture(after), alt="", aria_hidden="true"
                )

    def _picture(self, item: Item) -> str:
        return f"{self._address}/{self._session.folder.strip(item).name}"

    def _question(self, item: Item) -> None:
        say = self._visit.say
        if item.crossing is not None:
            way = say(f"way.{item.crossing.direction}").lower()
            text = say("verify.ask", way=way, time=f"{item.crossing.time_s:.2f}", label=item.crossing.label)
            attributes(tag("p", text, "review-ask"), role="status")
            with ui.element("div").classes("review-keys"):
                for key, verdict in VERDICTS.items():
                    words = say("verify.other_way" if verdict == "other" else f"verify.{verdict}")
                    self._button(words, key, partial(self._judge, verdict), verdict)
                self._back()
            return
        said = ", ".join(f"{say(f'way.{c.direction}').lower()} {c.time_s:.2f} s" for c in item.counted)
        text = say("verify.moment_some", counted=said) if said else say("verify.moment_none")
        attributes(tag("p", text, "review-ask"), role="status")
        with ui.element("div").classes("review-keys"):
            self._numbers = {}
            for key, direction in _MISSED.items():
                button = self._button("", key, partial(self._count, direction), "missed")
                self._numbers[direction] = button
                self._named(direction)
            self._button(say("verify.go_on"), "Enter", self._tell, "yes")
            self._back()

    def _count(self, direction: Direction) -> None:
        self._missed[direction] += 1
        self._named(direction)

    def _named(self, direction: Direction) -> None:
        many = self._missed[direction]
        self._numbers[direction].set_text(
            self._visit.say("verify.missed", way=self._visit.say(f"way.{direction}"), n=many)
        )

    def _back(self) -> None:
        if self._session.done:
            self._button(self._visit.say("verify.undo"), "U", self._undo, "undo")

    def _button(self, text: str, key: str, click: Callable[[], Any], kind: str) -> Any:
        with ui.element("button").classes("button review-key") as button:
            attributes(button, type="button", data_kind=kind, aria_keyshortcuts=key)
            shown = tag("span", text)
            attributes(tag("kbd", key.upper() if len(key) == 1 else key), aria_hidden="true")
        button.on("click", click)
        return shown

    def _finished(self) -> None:
        say = self._visit.say
        with card(say("verify.done"), classes="review-done"):
            tag("p", say("verify.done_text", n=len(self._session.items)), "note")
            with ui.element("div").classes("review-keys"):
                self._back()
                attributes(tag("a", say("verify.again"), "button"), href="/verify")


def middle(bounds: Mapping[str, float] | None, *, share: bool = True) -> str:
    """The estimate; a dash where there is none."""
    if bounds is None:
        return "–"
    return f"{bounds['estimate']:.0%}" if share else f"{bounds['estimate']:g}"


def around(bounds: Mapping[str, float] | None) -> str:
    """Its interval, where it has one."""
    if bounds is None or bounds["low"] == bounds["high"]:
        return ""
    return f"({bounds['low'] * 100:.0f}–{bounds['high'] * 100:.0f} %)"
