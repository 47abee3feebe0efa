"""A place to drop a video into, and those that were counted."""

from __future__ import annotations

import json
import shutil

from nicegui import ui
from nicegui.events import UploadEventArguments

from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, card, tag
from camcount.dashboard.videos import MOTION
from camcount.errors import CamcountError, coded

_LOOK_S = 2.0


class NewVideo:
    """The card beside the camera's."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._shown: object = None
        say = visit.say
        with card(say("add.video"), note=say("add.video_note")):
            models = [*visit.dashboard.settings.models, MOTION]
            self._model = ui.select(models, label=say("add.model"), value=models[0]).props("outlined dense")
            self._model.classes("wide")
            drop = ui.upload(
                label=say("add.drop"),
                auto_upload=True,
                max_file_size=visit.dashboard.settings.upload_limit,
                on_upload=self.dropped,
                on_rejected=lambda: ui.notify(say("add.refused"), type="negative"),
            )
            drop.props('accept="video/*,.mkv,.ts" flat bordered hide-upload-btn').classes("drop")
            ui.run_javascript(f"camcountAdd.name({json.dumps(say('add.drop'))})")
            self._list = ui.element("ul").classes("videos")
        ui.timer(_LOOK_S, self._look)

    async def dropped(self, event: UploadEventArguments) -> None:
        """Keeps it and has it counted."""
        videos, file = self._visit.dashboard.videos, event.file
        try:
            video_id, path = videos.place(file.name)
            try:
                await file.save(path)
            except OSError as error:
                shutil.rmtree(path.parent, ignore_errors=True)
                ui.notify(self._visit.say("add.not_saved", error=error.strerror or str(error)), type="negative")
                return
            video = videos.add(video_id, path, file.name, self._model.value or MOTION)
        except CamcountError as error:
            ui.notify(coded(error), type="negative", multi_line=True)
            return
        ui.navigate.to(f"/results/{video.id}")

    def _look(self) -> None:
        videos = self._visit.dashboard.videos.all()
        shown = [(video.id, video.state, round(video.share, 2)) for video in videos]
        if shown == self._shown:
            return
        self._shown = shown
        self._list.clear()
        with self._list:
            if videos:
                tag("li", self._visit.say("add.counted"), "note")
            for video in videos:
                with ui.element("li"), ui.element("a").classes("shape-row") as link:
                    attributes(link, href=f"/results/{video.id}")
                    attributes(ui.icon("movie"), aria_hidden="true")
                    tag("span", video.name, "shape-name")
                    tag("span", self._visit.say(f"add.state.{video.state}", share=f"{100 * video.share:.0f}"), "note")
