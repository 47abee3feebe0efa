"""What pages are put together from; `static/camcount.css` says what it looks like."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

from camcount.cameras.states import State
from camcount.dashboard.page import Visit

Tone = Literal["good", "warn", "bad", "quiet", "accent"]

TONES: dict[State, Tone] = {
    State.RUNNING: "good",
    State.CONNECTING: "accent",
    State.RECONNECTING: "warn",
    State.FROZEN: "warn",
    State.BLACK: "warn",
    State.STOPPED: "quiet",
    State.ENDED: "quiet",
    State.ERROR: "bad",
}


def tag(name: str, text: str = "", classes: str = "") -> TextElement:
    """An HTML element with plain text in it, such as ``h2`` or ``span``; ``set_text`` changes it."""
    return TextElement(tag=name, text=text).classes(classes)


def attributes(element: Element, **values: str) -> None:
    """Sets HTML attributes, whatever characters their texts have; ``_`` stands for ``-``."""
    wanted = {name.replace("_", "-"): value for name, value in values.items()}
    if any(element.props.get(name) != value for name, value in wanted.items()):
        element.props.update(wanted)
        element.update()


@contextmanager
def card(title: str = "", *, note: str = "", classes: str = "") -> Iterator[Element]:
    """A framed part of a page, with an ``h2``."""
    with ui.element("section").classes(f"card {classes}") as section:
        if title:
            with ui.element("div").classes("card-head"):
                tag("h2", title)
                if note:
                    tag("p", note, "note")
        yield section


def empty(icon: str, title: str, text: str = "", link: tuple[str, str] | None = None) -> Element:
    """What stands where there is nothing yet: what to do first, with ``link`` as its words and address."""
    with ui.element("section").classes("empty") as section:
        ui.icon(icon).props('aria-hidden="true"')
        tag("h2", title)
        if text:
            tag("p", text)
        if link:
            attributes(tag("a", link[0], "button button-primary"), href=link[1])
    return section


class Figure:
    """A number with what it is; `set` changes it."""

    def __init__(self, name: str, value: str = "–", note: str = "") -> None:
        with ui.element("div").classes("figure"):
            tag("div", name, "figure-name")
            self._value = tag("div", value, "figure-value")
            self._note = tag("div", note, "figure-note")

    def set(self, value: str, note: str = "") -> None:
        """Other values."""
        self._value.set_text(value)
        self._note.set_text(note)


class Chip:
    """A short word in a colour that means the same everywhere."""

    def __init__(self, text: str = "", tone: Tone = "quiet") -> None:
        self._element = tag("span", text, "chip")
        attributes(self._element, data_tone=tone)

    def set(self, text: str, tone: Tone) -> None:
        """Another one."""
        self._element.set_text(text)
        attributes(self._element, data_tone=tone)

    def show(self) -> None:
        """Is there again after `hide`."""
        self._element.set_visibility(True)

    def hide(self) -> None:
        """Takes no room."""
        self._element.set_visibility(False)

    def camera(self, visit: Visit, state: State) -> None:
        """What a camera is doing."""
        self.set(visit.say(f"state.{state}"), TONES[state])


def button(text: str, click: Callable[..., Any], *, icon: str = "", primary: bool = False) -> ui.button:
    """A button; while an asynchronous ``click`` runs, the page goes on."""
    made = ui.button(text, on_click=click, icon=icon or None, color=None).props("unelevated no-caps")
    return made.classes("button button-primary" if primary else "button")


def picture_address(jpeg: bytes) -> str:
    """A picture as an address that browsers show."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def chart(options: Mapping[str, Any], said: str, *, classes: str) -> ui.echart:
    """A chart that says in words what it shows. It is made of elements: its colours may be tokens of the style."""
    made = ui.echart({"textStyle": {"fontFamily": "inherit"}, **options}, renderer="svg").classes(classes)
    attributes(made, role="img", aria_label=said)
    return made


@dataclass(frozen=True, slots=True)
class Toned:
    """A word of a table that stands in a chip."""

    text: str
    tone: Tone


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str | Toned]], *, name: str, numbers: Sequence[int] = ()
) -> Element:
    """A table of texts that scrolls in itself where it is wide.

    Args:
        name: read out by screen readers.
        numbers: the columns that are set to the right, in figures of equal width.
    """
    with ui.element("div").classes("table-box") as box:
        attributes(box, tabindex="0", role="region", aria_label=name)
        with ui.element("table").classes("table"):
            with ui.element("thead"), ui.element("tr"):
                for place, column in enumerate(columns):
                    tag("th", column, "number" if place in numbers else "").props('scope="col"')
            with ui.element("tbody"):
                for row in rows:
                    with ui.element("tr"):
                        for place, cell in enumerate(row):
                            _cell(cell, "number" if place in numbers else "")
    return box


def _cell(cell: str | Toned, classes: str) -> None:
    if isinstance(cell, str):
        tag("td", cell, classes)
        return
    with ui.element("td").classes(classes):
        Chip(cell.text, cell.tone)
