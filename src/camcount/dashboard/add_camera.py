"""One more camera in three steps: its address, a test picture, what is counted there."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import quote

from nicegui import ui

from camcount.app_open import camera_name
from camcount.cameras.settings import CAMERA_NAME, with_secrets
from camcount.dashboard.draw_board import Board
from camcount.dashboard.draw_shapes import Drawn, entry_of
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, button, card, picture_address, tag
from camcount.dashboard.videos import MOTION
from camcount.errors import CamcountError, SourceError, coded
from camcount.protocols import SourceInfo
from camcount.server_settings import CameraEntry, secrets_of
from camcount.video.address import kind_of
from camcount.video.encoded import jpeg
from camcount.video.open import source_for

_EXAMPLES = ("demo:street", "rtsp://user:${PASSWORD}@192.168.1.20/stream1", "http://192.168.1.21/mjpeg", "usb:0")
_TIMEOUT_S = 8.0
_WIDEST = 960


@dataclass(frozen=True, slots=True)
class Tried:
    """A source that gave a picture; ``picture`` is a JPEG."""

    info: SourceInfo
    picture: bytes


def tried(address: str, secrets: dict[str, str]) -> Tried:
    """Opens a source, takes its first picture and lets go of it.

    Raises:
        CamcountError: it cannot be read, and why.
    """
    source = source_for(with_secrets(address, secrets), camera_id="test", timeout_s=_TIMEOUT_S)
    try:
        info = source.open()
        frame = source.read()
        if frame is None:
            raise SourceError("it was opened, and gave no picture: is the camera switched on, is the file whole?")
        scale = min(1.0, _WIDEST / frame.width)
        return Tried(info, jpeg(frame.image(round(frame.width * scale), round(frame.height * scale))))
    finally:
        source.close()


class NewCamera:
    """The card with the three steps; the later ones appear when the picture is there."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._board: Board | None = None
        say = visit.say
        with card(say("add.camera"), note=say("add.steps")):
            with self._step(1, say("add.address")):
                self._address = ui.input(say("add.address_label"), placeholder=_EXAMPLES[1]).props("outlined dense")
                self._address.classes("wide").on("keydown.enter", self.test)
                with ui.element("div").classes("row examples"):
                    tag("span", say("add.examples"), "note")
                    for example in _EXAMPLES:
                        made = tag("button", example, "example mono")
                        attributes(made, type="button")
                        made.on("click", lambda _, example=example: self._address.set_value(example))
                self._test = button(say("add.test"), self.test, icon="photo_camera", primary=True)
                self._wrong = tag("p", "", "wrong")
                attributes(self._wrong, role="alert")
                self._wrong.set_visibility(False)
            self._later = ui.element("div").classes("later")

    async def test(self) -> None:
        """Shows the picture, or what is wrong."""
        address = (self._address.value or "").strip()
        self._later.clear()
        self._wrong.set_visibility(False)
        if not address:
            self._fail(self._visit.say("add.no_address"))
            return
        self._test.props("loading")
        try:
            secrets = secrets_of(self._visit.dashboard.settings.secrets)
            found = await asyncio.to_thread(tried, address, secrets)
        except CamcountError as error:
            self._fail(coded(error))
            return
        finally:
            self._test.props(remove="loading")
        with self._later:
            self._ready(address, found)

    def _fail(self, text: str) -> None:
        self._wrong.set_text(text)
        self._wrong.set_visibility(True)

    def _step(self, number: int, title: str) -> ui.element:
        with ui.element("section").classes("step") as step, ui.element("h3").classes("step-title"):
            attributes(tag("span", str(number), "step-number"), aria_hidden="true")
            tag("span", title)
        return step

    def _ready(self, address: str, found: Tried) -> None:
        say, info = self._visit.say, found.info
        with self._step(2, say("add.picture")):
            rate = f"{info.fps:.3g}" if info.fps else "?"
            tag("p", say("add.picture_note", width=info.width, height=info.height, rate=rate), "note")
            start = Drawn("first", "line", say("add.first_line"), ((0.1, 0.6), (0.9, 0.6)))
            self._board = Board(self._visit, [start], lambda: None, ("line", "zone"))
            self._board.show(picture_address(found.picture))
        with self._step(3, say("add.what")):
            with ui.element("div").classes("fields"):
                self._name = ui.input(say("add.name"), value=self._free_name(address)).props("outlined dense")
                models = [*self._visit.dashboard.settings.models, MOTION]
                self._model = ui.select(models, label=say("add.model"), value=models[0]).props("outlined dense")
                self._labels = ui.input(say("draw.labels"), placeholder=say("draw.all")).props(
                    "outlined dense stack-label"
                )
            self._loop = None
            if kind_of(address) in ("file", "demo"):
                self._loop = ui.checkbox(say("add.loop"), value=kind_of(address) == "demo")
            button(say("add.start"), lambda: self.begin(address), icon="play_arrow", primary=True)

    async def begin(self, address: str) -> None:
        """Makes the camera and shows it."""
        say, dashboard = self._visit.say, self._visit.dashboard
        name = (self._name.value or "").strip()
        if not re.fullmatch(CAMERA_NAME, name) or name in dashboard.site.entries:
            key = "add.name_taken" if name in dashboard.site.entries else "add.name_wrong"
            ui.notify(say(key, name=name), type="negative")
            return
        try:
            assert self._board is not None
            shapes = entry_of(self._board.shapes.values())
            labels = tuple(word.strip() for word in (self._labels.value or "").split(",") if word.strip())
            entry = CameraEntry(
                source=address,
                model=self._model.value or "",
                labels=labels or None,
                loop=bool(self._loop and self._loop.value),
                lines=shapes.lines,
                zones=shapes.zones,
            )
            await asyncio.to_thread(dashboard.site.define, name, entry)
        except CamcountError as error:
            ui.notify(coded(error), type="negative", multi_line=True)
            return
        ui.navigate.to(f"/cameras/{quote(name)}")

    def _free_name(self, address: str) -> str:
        wanted = re.sub(r"[^A-Za-z0-9._-]+", "-", camera_name(address)).strip("-._")[:80] or "camera"
        name, number = wanted, 2
        while name in self._visit.dashboard.site.entries:
            name, number = f"{wanted}-{number}", number + 1
        return name
