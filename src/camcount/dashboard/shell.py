"""The frame that all pages share, and NiceGUI with the pages in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Literal

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import app, ui
from nicegui.translations import translations
from starlette.requests import Request

import camcount
from camcount.cameras.states import State
from camcount.dashboard.assets import PLACE, STATIC, linked
from camcount.dashboard.first_view import give_first_view
from camcount.dashboard.page import THEMES, Page, Visit
from camcount.dashboard.pages import PAGES
from camcount.dashboard.parts import attributes, empty, tag
from camcount.dashboard.results_files import add_files
from camcount.dashboard.texts import LANGUAGES, Language, texts
from camcount.errors import CamcountError, coded

_BUILD_S = 30.0
_STATUS_S = 2.0
_TAGS: dict[Language, Literal["en-US", "vi"]] = {"en": "en-US", "vi": "vi"}
"""What NiceGUI and browsers call our languages."""
_DARK = """<script>{
  const theme = document.documentElement.dataset.theme;
  if (theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches))
    document.body.classList.add("body--dark");
}</script>"""
"""The class that Quasar sets once it is there; for what is shown until then."""
_TROUBLE = (State.ERROR, State.RECONNECTING, State.FROZEN, State.BLACK)


def mounted() -> FastAPI:
    """NiceGUI as an application of its own, with all pages; no text, font or script comes from another host."""
    shell = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    for language in LANGUAGES:
        said = texts(language)
        translations[_TAGS[language]] = translations["en-US"] | {
            "connection_lost": said["shell.gone.title"],
            "trying_to_reconnect": said["shell.gone.text"],
        }
    add_files(shell)
    app.add_static_files(PLACE, STATIC)
    for page in PAGES:
        for path in page.paths:
            ui.page(path, response_timeout=_BUILD_S)(_shown(page))
    ui.run_with(
        shell,
        title="camcount",
        favicon=STATIC / "mark.svg",
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=10.0,
        # done in the event loop, for pages each time: the highest level takes five times as long
        gzip_middleware_factory=lambda inner: GZipMiddleware(inner, compresslevel=1),
    )
    return shell


def _shown(page: Page) -> Callable[[Request], Awaitable[None]]:
    async def shown(request: Request) -> None:
        visit = Visit.of(request)
        client = ui.context.client
        client.page = copy(client.page)  # which all visits share
        if around := client.content.parent_slot:
            around.parent.tag = "div"  # Quasar would make it a second <main>, with the navigation in it
        client.page.title = f"{page.heading(visit)} · camcount"
        client.page.language = _TAGS[visit.language]
        client.page.dark = {"auto": None, "light": False, "dark": True}[visit.theme]
        ui.add_head_html(_head(page.name, visit.theme))
        ui.add_body_html(_DARK)
        give_first_view(client)
        with _frame(visit, page) as look:
            try:
                await page.build(visit)
            except CamcountError as error:
                empty("error_outline", visit.say("shell.failed"), coded(error))
        # where there is a timer, NiceGUI sends what there is of the page as soon as anything is waited for
        ui.timer(_STATUS_S, look)

    return shown


@contextmanager
def _frame(visit: Visit, page: Page) -> Iterator[Callable[[], Awaitable[None]]]:
    """Navigation and header; the content goes inside. Gives what keeps the header up to date."""
    attributes(tag("a", visit.say("shell.skip"), "skip-link"), href="#content")
    with ui.element("div").classes("shell"):
        _side(visit, page)
        with ui.element("div").classes("stage"):
            with ui.element("header").classes("top"):
                tag("h1", page.heading(visit), "top-title") if page.headed else tag("div", "", "top-title")
                look = _status(visit)
                _choices(visit)
            with ui.element("main").classes("content") as content:
                attributes(content, id="content", tabindex="-1")
                yield look


def _side(visit: Visit, page: Page) -> None:
    with ui.element("aside").classes("side"):
        with ui.element("a").classes("brand") as brand:
            attributes(brand, href="/")
            attributes(ui.element("img"), src=f"{PLACE}/mark.svg", alt="", width="26", height="26")
            tag("span", "camcount")
        with ui.element("nav").classes("nav") as nav:
            attributes(nav, aria_label=visit.say("shell.pages"))
            for other in PAGES:
                if not other.under:
                    _link(visit, other, current=other.name in (page.name, page.under))
        tag("div", f"camcount {camcount.__version__}", "side-foot")


def _link(visit: Visit, page: Page, *, current: bool) -> None:
    with ui.element("a").classes("nav-link") as link:
        attributes(link, href=page.paths[0], **({"aria_current": "page"} if current else {}))
        attributes(ui.icon(page.icon), aria_hidden="true")
        tag("span", visit.say(f"nav.{page.name}"))


def _status(visit: Visit) -> Callable[[], Awaitable[None]]:
    """How many cameras run, on every page; it says so when it is asked to look."""
    with ui.element("a").classes("status") as link:
        attributes(link, href="/")
        attributes(ui.element("span").classes("dot"), aria_hidden="true")
        said = tag("span", visit.say("nav.live"))  # until it is known, for a link without a word says nothing
        attributes(said, role="status")

    async def look() -> None:
        states = await visit.dashboard.states()
        running = sum(state.state is State.RUNNING for state in states)
        trouble = sum(state.state in _TROUBLE for state in states)
        key = "none" if not states else "trouble" if trouble else "running"
        text = visit.say(f"shell.status.{key}", running=running, all=len(states), trouble=trouble)
        if text != said.text:
            attributes(link, data_tone={"none": "quiet", "trouble": "warn", "running": "good"}[key])
            said.set_text(text)

    return look


def _choices(visit: Visit) -> None:
    """Theme and language; what is chosen is remembered by the browser."""
    names = {theme: visit.say(f"shell.theme.{theme}") for theme in THEMES}
    with ui.element("button").classes("icon-button") as button:
        attributes(button, type="button", id="theme-button", aria_label=names[visit.theme], title=names[visit.theme])
        attributes(button, data_theme=visit.theme, **{f"data_{theme}": name for theme, name in names.items()})
        attributes(ui.icon("contrast"), aria_hidden="true")
    button.on("click", js_handler="() => camcount.nextTheme()")
    other = next(language for language in LANGUAGES if language != visit.language)
    change = visit.say("shell.language", language=texts(other)["shell.own_name"])
    switch = tag("button", other.upper(), "icon-button")
    attributes(switch, type="button", id="language-button", aria_label=change, title=change)
    switch.on("click", js_handler=f"() => camcount.speak('{other}')")


def _head(name: str, theme: str) -> str:
    """Style and script of all pages, and those of this page where there are files of its name."""
    files = linked("camcount.css", "camcount.js", "pictures.js", f"{name}.css", f"{name}.js")
    return f'<script>document.documentElement.dataset.theme = "{theme}";</script>\n{files}'
