"""How right the counts are: a sample is looked at, crossing by crossing, with three keys."""

from __future__ import annotations

import asyncio
from functools import cache

from nicegui import app, ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from camcount.dashboard.page import Page, Visit
from camcount.dashboard.parts import attributes, card, empty, tag
from camcount.dashboard.verify_review import ReviewView
from camcount.dashboard.verify_session import Session
from camcount.dashboard.verify_sources import CountedVideo, Prepared, counted_videos, given, prepare, reviews
from camcount.errors import CamcountError, coded

_STRIPS = "/_nicegui/reviews"
_EVENTS, _MOMENTS = 30, 20
_MOST = 1000
_LOOK_S = 0.3


class _Verify:
    """The page of one visit: what there is to verify, the cutting, the review."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._sample = {"events": _EVENTS, "moments": _MOMENTS}
        self._box = ui.element("div").classes("verify")

    async def choose(self) -> None:
        """Shows what there is to verify."""
        videos = await asyncio.to_thread(counted_videos, self._visit.dashboard)
        self._box.clear()
        say = self._visit.say
        with self._box:
            tag("p", say("verify.lead"), "verify-lead")
            with ui.element("div").classes("verify-choose"):
                with card(say("verify.counted")):
                    if not videos:
                        empty("fact_check", say("verify.empty.title"), say("verify.empty.text"))
                    with ui.element("ul").classes("verify-videos"):
                        for video in videos:
                            self._video(video)
                with ui.element("div").classes("verify-side"):
                    with card(say("verify.sample.title")):
                        tag("p", say("verify.sample.text"), "note")
                        for name in self._sample:
                            self._number(name)
                    self._form()

    def _video(self, video: CountedVideo) -> None:
        with ui.element("li").classes("verify-video"):
            with ui.element("div").classes("verify-what"):
                tag("strong", video.name)
                lines = ", ".join(line.name for line in video.lines)
                tag("span", f"{video.source} · {lines}" if lines else video.source, "note")
            start = tag("button", self._visit.say("verify.start"), "button button-primary")
            attributes(start, type="button", aria_label=f"{self._visit.say('verify.start')}: {video.name}")
            start.on("click", lambda: self.begin(video))

    def _number(self, name: str) -> None:
        with ui.element("label").classes("verify-field"):
            tag("span", self._visit.say(f"verify.sample.{name}"))
            field = ui.element("input").classes("verify-input")
            attributes(field, type="number", min="0", max=str(_MOST), value=str(self._sample[name]), name=name)

        def heard(event: GenericEventArguments) -> None:
            text = str(event.args)
            if text.isdigit():
                self._sample[name] = min(int(text), _MOST)

        field.on("input", heard, js_handler="(event) => emit(event.target.value)")

    def _form(self) -> None:
        """A video anywhere on the server; the address of the page may fill it in."""
        say, query = self._visit.say, self._visit.query
        asked = {name: query.get(name, "") for name in ("source", "events", "line")}
        with card(say("verify.other.title")):
            tag("p", say("verify.other.text"), "note")
            for name in asked:
                with ui.element("label").classes("verify-field verify-path"):
                    tag("span", say(f"verify.other.{name}"))
                    field = ui.element("input").classes("verify-input")
                    attributes(field, type="text", value=asked[name], spellcheck="false", name=name)

                def heard(event: GenericEventArguments, name: str = name) -> None:
                    asked[name] = str(event.args).strip()

                field.on("input", heard, js_handler="(event) => emit(event.target.value)")

            async def start() -> None:
                try:
                    lines = [asked["line"]] if asked["line"] else []
                    video = await asyncio.to_thread(given, asked["source"], asked["events"], lines)
                except CamcountError as error:
                    trouble.set_text(str(error))
                    return
                await self.begin(video)

            begin = tag("button", say("verify.start"), "button")
            attributes(begin, type="button")
            begin.on("click", start)
            trouble = tag("p", "", "verify-trouble")
            attributes(trouble, role="alert")

    async def begin(self, video: CountedVideo) -> None:
        """Draws the sample, cuts the strips with progress, and shows the review."""
        say = self._visit.say
        self._box.clear()
        with self._box, card(video.name):
            said = tag("p", say("verify.drawing"), "note")
            attributes(said, role="status")
            bar = ui.linear_progress(0.0, show_value=False, size="6px").props("rounded")
            attributes(bar, aria_label=say("verify.drawing"))
        try:
            prepared = await asyncio.to_thread(
                prepare,
                self._visit.dashboard,
                video,
                events=max(1, self._sample["events"]),
                moments=self._sample["moments"],
            )
            await self._cut(prepared, said, bar)
            session = await asyncio.to_thread(Session, prepared.folder)
        except CamcountError as error:
            self._box.clear()
            with self._box:
                empty("error_outline", say("shell.failed"), coded(error), (say("verify.again"), "/verify"))
            return
        self._box.clear()
        with self._box:
            await ReviewView(self._visit, session, _served(), prepared.command).show()

    async def _cut(self, prepared: Prepared, said: TextElement, bar: ui.linear_progress) -> None:
        done = [0]
        cutting = asyncio.create_task(asyncio.to_thread(prepared.cut, lambda many: done.__setitem__(0, many)))
        all_of_them = len(prepared.folder.review.items)
        while not (await asyncio.wait({cutting}, timeout=_LOOK_S))[0]:
            bar.value = done[0] / max(all_of_them, 1)
            said.set_text(self._visit.say("verify.cutting", done=done[0], all=all_of_them))
        await cutting


@cache
def _served() -> str:
    """Where browsers find the strips of all reviews."""
    folder = reviews()
    folder.mkdir(parents=True, exist_ok=True)
    app.add_static_files(_STRIPS, folder)
    return _STRIPS


async def build(visit: Visit) -> None:
    """What there is to verify."""
    await _Verify(visit).choose()


PAGE = Page("verify", "fact_check", build)
