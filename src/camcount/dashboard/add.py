"""One more camera, or a video to be counted."""

from __future__ import annotations

from nicegui import ui

import camcount
from camcount.dashboard.add_camera import NewCamera
from camcount.dashboard.add_video import NewVideo
from camcount.dashboard.page import Page, Visit


async def build(visit: Visit) -> None:
    """Three steps to a camera, and a place to drop videos into."""
    version = camcount.__version__
    ui.add_head_html(
        f'<link rel="stylesheet" href="/_dashboard/draw.css?v={version}">'
        f'<script src="/_dashboard/draw.js?v={version}"></script>'
    )
    with ui.element("div").classes("add"):
        NewCamera(visit)
        NewVideo(visit)


PAGE = Page("add", "add_a_photo", build)
