"""Trying models on a picture: dropped, or taken from a camera; two of them side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from nicegui import ui
from nicegui.element import Element

from camcount.dashboard.models_compare import ROUNDS, STAGES, Difference, Sight, difference, sights
from camcount.dashboard.models_shelf import Entry
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, button, card, picture_address, table, tag
from camcount.detections import Detections
from camcount.errors import CamcountError
from camcount.frame import Frame
from camcount.video.encoded import jpeg, picture_frame

_LARGEST = 64 * 2**20
_PIXELS = 1280
_CAMERAS = 3
_KINDS = "image/jpeg,image/png,image/webp,image/bmp"


class Trial:
    """The card in which a picture is dropped and two answers are compared.

    Args:
        entries: what can be asked, the one that is in use first.
    """

    def __init__(self, visit: Visit, entries: Sequence[Entry]) -> None:
        self._visit = visit
        self._picture, self._image, self._size = b"", "", (1, 1)
        self._sights: list[Sight] = []
        names = {entry.reference: _named(entry) for entry in entries}
        first, second = (*names, "", "")[:2]
        said = visit.say
        with card(said("models.try.title"), note=said("models.try.note"), classes="trial"):
            with ui.element("div").classes("trial-bar"):
                self._first = self._choice("first", names, first)
                self._second = self._choice("second", {"": said("models.try.none"), **names}, second)
                self._slider()
            self._drop()
            self._state = tag("p", "", "trial-state")
            attributes(self._state, role="status")
            self._shown: Element = ui.element("div").classes("trial-shown")

    def _choice(self, which: str, names: dict[str, str], value: str) -> ui.select:
        label = self._visit.say(f"models.try.{which}")
        chosen = ui.select(names, label=label, value=value, on_change=self._look)
        return chosen.props("outlined dense options-dense").classes("trial-choice")

    def _slider(self) -> None:
        least = self._visit.dashboard.plane.options.confidence
        with ui.element("div").classes("trial-least"):
            self._said = tag("span", "", "note num")
            self._least = ui.slider(min=0.1, max=0.95, step=0.05, value=least, on_change=self._say_least)
            self._least.on("change", self._show, args=[])
            attributes(self._least, aria_label=self._visit.say("models.try.confidence"))
        self._say_least()

    def _say_least(self) -> None:
        self._said.set_text(self._visit.say("models.try.least", share=f"{self._least.value:.0%}"))

    def _drop(self) -> None:
        said = self._visit.say
        with ui.element("div").classes("drop") as self._zone:
            upload = ui.upload(
                auto_upload=True, max_file_size=_LARGEST, on_upload=self._dropped, on_rejected=self._rejected
            )
            upload.props(f'accept="{_KINDS}" flat square')
            attributes(ui.icon("add_photo_alternate"), aria_hidden="true")
            tag("p", said("models.try.drop"), "drop-text")
            with ui.element("div").classes("row drop-buttons"):
                choose = button(said("models.try.choose"), lambda: None, primary=True)
                choose.on("click", js_handler=f"() => runMethod({upload.id}, 'pickFiles', [])")
                for name in list(self._visit.dashboard.site.entries)[:_CAMERAS]:
                    button(said("models.try.camera", camera=name), lambda name=name: self._from_camera(name))

    async def _dropped(self, event: Any) -> None:
        self._picture = await event.file.read()
        event.sender.reset()
        await self._look()

    def _rejected(self) -> None:
        self._say("models.try.rejected", bad=True)

    async def _from_camera(self, name: str) -> None:
        cameras = self._visit.dashboard.site.cameras
        try:
            self._picture = await asyncio.to_thread(cameras.snapshot, name, overlay=False)
        except CamcountError as error:
            self._complain(str(error))
            return
        await self._look()

    async def _look(self) -> None:
        """Has the chosen ones look at the picture."""
        wanted = [value for value in (self._first.value, self._second.value) if value]
        if not self._picture or not wanted:
            return
        self._say("models.try.looking")
        attributes(self._shown, data_busy="true")
        try:
            frame = picture_frame(self._picture, largest_pixels=self._visit.dashboard.settings.largest_pixels)
            self._sights = await sights(self._visit.dashboard.plane, frame, list(dict.fromkeys(wanted)))
            self._image = await asyncio.to_thread(_shrunk, frame)
            self._size = frame.width, frame.height
        except CamcountError as error:
            self._complain(str(error))
            return
        finally:
            attributes(self._shown, data_busy="false")
        self._state.set_text("")
        attributes(self._zone, data_small="true")
        self._show()

    def _say(self, key: str, *, bad: bool = False) -> None:
        self._state.set_text(self._visit.say(key))
        attributes(self._state, data_bad=str(bad).lower())

    def _complain(self, text: str) -> None:
        self._state.set_text(text)
        attributes(self._state, data_bad="true")

    def _show(self) -> None:
        """The answers there are, at the confidence that is chosen."""
        if not self._sights:
            return
        found = [sight.sure(self._least.value) for sight in self._sights]
        whole = not any(sight.trouble for sight in self._sights)
        unlike = difference(*found) if len(found) == 2 and whole else None
        self._shown.clear()
        with self._shown:
            with ui.element("div").classes("looks"):
                for side, (sight, boxes) in enumerate(zip(self._sights, found, strict=True)):
                    self._one(side, sight, boxes, unlike.alone[side] if unlike else frozenset())
            with ui.element("div").classes("halves"):
                if unlike:
                    self._tell(unlike)
                self._times()

    def _one(self, side: int, sight: Sight, boxes: Detections, alone: frozenset[int]) -> None:
        said = self._visit.say
        with tag("figure", "", "look"):
            with tag("figcaption", "", "look-head"):
                attributes(tag("span", "AB"[side], "look-letter"), data_side="ab"[side], aria_hidden="true")
                tag("span", sight.reference, "look-name")
                if not sight.trouble:
                    tag("span", said("models.try.found", n=len(boxes)), "num look-found")
                    tag("span", f"{sight.total_ms:.1f} ms", "note num")
            if sight.trouble:
                tag("p", sight.trouble, "version-trouble")
                return
            with ui.element("div").classes("shot"):
                alt = said("models.try.picture", n=len(boxes), model=sight.reference)
                attributes(ui.element("img"), src=self._image, alt=alt)
                for row in range(len(boxes)):
                    self._box(boxes, row, row in alone)

    def _box(self, boxes: Detections, row: int, alone: bool) -> None:
        width, height = self._size
        x0, y0, x1, y1 = boxes.xyxy[row].tolist()
        left, top = max(0.0, x0), max(0.0, y0)
        wide, high = min(x1, width) - left, min(y1, height) - top
        place = f"left:{left / width:.3%};top:{top / height:.3%};width:{wide / width:.3%};height:{high / height:.3%}"
        with ui.element("div").classes("found") as box:
            attributes(box, style=place, data_alone=str(alone).lower(), data_top=str(y0 < 0.04 * height).lower())
            tag("span", f"{boxes.label(row)} {boxes.confidence[row]:.2f}", "found-name num")

    def _tell(self, unlike: Difference) -> None:
        said = self._visit.say
        alone = [len(side) for side in unlike.alone]
        key = "same" if not any(alone) else "unlike"
        columns = [said(f"models.try.{name}") for name in ("label", "both", "only_a", "only_b")]
        rows = [[name, *map(str, counts)] for name, *counts in unlike.by_label()]
        with ui.element("div").classes("told"):
            tag("h3", said("models.try.differs"))
            if rows:
                table(columns, rows, name=said("models.try.differs"), numbers=(1, 2, 3))
            tag("p", said(f"models.try.{key}", both=len(unlike.pairs), first=alone[0], second=alone[1]), "note")

    def _times(self) -> None:
        said = self._visit.say
        seen = [sight for sight in self._sights if not sight.trouble]
        if not seen:
            return
        rows = [
            [said(f"models.try.{stage}"), *(f"{sight.times_ms[place]:.1f}" for sight in seen)]
            for place, stage in enumerate(STAGES)
        ]
        rows.append([said("models.try.total"), *(f"{sight.total_ms:.1f}" for sight in seen)])
        columns = [said("models.try.stage"), *(sight.reference for sight in seen)]
        with ui.element("div").classes("told"):
            tag("h3", said("models.try.times"))
            table(columns, rows, name=said("models.try.times"), numbers=range(1, len(columns)))
            tag("p", said("models.try.median", n=ROUNDS), "note")


def _named(entry: Entry) -> str:
    return f"{entry.reference} · {', '.join(entry.aliases)}" if entry.aliases else entry.reference


def _shrunk(frame: Frame) -> str:
    """A picture as an address that browsers show."""
    scale = min(1.0, _PIXELS / max(frame.width, frame.height))
    content = jpeg(frame.image(round(frame.width * scale), round(frame.height * scale)))
    return picture_address(content)
