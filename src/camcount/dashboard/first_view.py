"""A page as plain HTML, which browsers show while they still fetch and run what brings it to life.

NiceGUI sends an empty page and the elements as data for its scripts, half a megabyte that has to be there first. Here
the elements are written out where the scripts will draw them: they put their own in the place of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from nicegui import Client
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from starlette.requests import Request
from starlette.responses import Response

_APP = re.compile(rb'(<div id="app"[^>]*>)(</div>)')
# one name a line would take fifty
# fmt: off
_PLAIN = frozenset((
    "a", "aside", "b", "button", "code", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "h1", "h2", "h3",
    "header", "img", "input", "kbd", "label", "li", "main", "nav", "ol", "option", "p", "progress", "section",
    "select", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "time", "tr", "ul",
))
# fmt: on
"""What is written as it is; everything else as a box."""
_EMPTY = frozenset(("img", "input"))
_USED = frozenset(("button", "input", "select"))
"""What nobody answers to yet."""
_FIELDS = frozenset(("nicegui-input", "nicegui-select"))
_TOLD = re.compile(
    "alt|aria-[a-z]+|colspan|data-tone|height|href|max|min|open|placeholder|role|scope|selected|src|title|type"
    "|value|width"
)
"""What an element looks like or means. Names and data are for scripts, which must not find these."""


def give_first_view(client: Client) -> None:
    """Has a visit's page sent with its elements in it, as far as they are HTML; the rest leaves its room empty."""
    build = client.build_response

    def built(request: Request, status_code: int = 200) -> Response:
        page = build(request, status_code)
        view = "".join(_html(client.layout)).encode()
        page.body = _APP.sub(lambda found: found[1] + view + found[2], bytes(page.body), count=1)
        page.headers["content-length"] = str(len(page.body))
        return page

    client.build_response = built  # type: ignore[method-assign]


def _html(element: Element) -> Iterator[str]:
    name = element.tag if element.tag in _PLAIN else "div"
    yield f"<{name}{''.join(_attributes(element))}>"
    if name in _EMPTY:
        return
    if isinstance(element, TextElement):
        yield escape(element.text)
    for child in element.default_slot.children:
        yield from _html(child)
    yield f"</{name}>"


def _attributes(element: Element) -> Iterator[str]:
    if classes := [*_drawn_by_scripts(element), *element.classes]:
        yield f' class="{escape(" ".join(classes))}"'
    if element.style:
        yield f' style="{escape(";".join(f"{name}:{value}" for name, value in element.style.items()))}"'
    if element.tag in _USED:
        yield " disabled"
    for name, value in element.props.items():
        if element.tag in _PLAIN and _TOLD.fullmatch(name) and value is not False:
            yield f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def _drawn_by_scripts(element: Element) -> Iterator[str]:
    """The classes that an element will get from its scripts, or that keep its room."""
    if element.tag.startswith("q-"):
        yield element.tag
    if element.tag in _FIELDS:
        yield "to-come"
    if "no-caps" in element.props:
        yield "q-btn--no-uppercase"
