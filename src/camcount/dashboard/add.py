"""One more camera, or a video to be counted."""

from __future__ import annotations

from nicegui import ui

from camcount.dashboard.add_camera import NewCamera
from camcount.dashboard.add_video import NewVideo
from camcount.dashboard.assets import linked
from camcount.dashboard.page import Page, Visit


async def build(visit: Visit) -> None:
    """Three steps to a camera, and a place to drop videos into."""
    ui.add_head_html(linked("draw.css", "draw.js"))
    with ui.element("div").classes("add"):
        NewCamera(visit)
        NewVideo(visit)


PAGE = Page("add", "add_a_photo", build)
