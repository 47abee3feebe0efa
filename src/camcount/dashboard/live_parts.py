"""What the wall and the page of one camera both show."""

from __future__ import annotations

from collections.abc import Iterable

from nicegui import ui
from nicegui.element import Element

from camcount.cameras.states import CameraState
from camcount.dashboard.page import Visit
from camcount.dashboard.parts import attributes, tag


def moving(visit: Visit, camera: str, width: int) -> Element:
    """The moving picture of a camera, drawn by `static/pictures.js`; ``width`` in pixels of the picture."""
    with ui.element("div").classes("moving") as box:
        with ui.element("div").classes("moving-none"):
            attributes(ui.icon("videocam_off"), aria_hidden="true")
            tag("span", visit.say("live.no_picture"))
        canvas = ui.element("canvas")
        attributes(canvas, width="16", height="9", role="img", aria_label=visit.say("live.picture", camera=camera))
        attributes(canvas, data_camera=camera, data_pixels=str(width))
    return box


def counted(states: Iterable[CameraState], way: str) -> int:
    """What all lines of cameras counted in one direction."""
    return sum(counts[way] for state in states for counts in state.totals.values())


def inside(states: Iterable[CameraState]) -> int:
    """How many are in all zones of cameras."""
    return sum(count for state in states for count in state.occupancy.values())


def percent(share: float) -> str:
    """A share of 1; only what is whole is called 100 %.

    >>> percent(1.0), percent(0.9999), percent(0.0)
    ('100 %', '99.9 %', '0.0 %')
    """
    return "100 %" if share >= 1 else f"{int(share * 1000) / 10:.1f} %"
