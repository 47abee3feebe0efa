"""The frame that all pages of the dashboard share, in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from camcount.dashboard.addresses import ADDRESSES
from camcount.dashboard.texts import LANGUAGES, texts
from tests.browsers import CAMERA, NARROW, PAGES, WIDE, demo_server, opened
from tests.serving import Served, camcount_serve


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one camera."""
    with demo_server(tmp_path_factory.mktemp("dashboard"), [CAMERA]) as served:
        yield served


def test_languages_say_the_same() -> None:
    """Both languages have the same keys, and take the same values."""
    english, vietnamese = texts("en"), texts("vi")
    assert english.keys() == vietnamese.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", vietnamese[key])), key


def test_every_text_is_used() -> None:
    """The last word of each key stands in some page's source, or is a state's, an event's or a page's name."""
    folder = Path(sys.modules["camcount.dashboard.texts"].__file__ or "").parent
    code = "\n".join(path.read_text() for path in [*folder.glob("*.py"), *folder.glob("static/*.js")])
    named = ("nav.", "state.", "remedy.", "camera.event.")
    unused = [key for key in texts("en") if key.split(".")[-1] not in code and not key.startswith(named)]
    assert not unused


def test_every_text_that_is_said_exists() -> None:
    """A key that a page asks for is in the files: it would end in an error where nobody looked before."""
    folder = Path(sys.modules["camcount.dashboard.texts"].__file__ or "").parent
    code = "\n".join(path.read_text() for path in folder.glob("*.py"))
    asked = set(re.findall(r'\bsay\(\s*"([a-z0-9_.]+)"', code))
    assert len(asked) > 100
    assert not asked - texts("en").keys()


def test_pages_are_where_their_addresses_say() -> None:
    """Every address has a page of its name, in the same order."""
    code = "from camcount.dashboard.pages import PAGES; print(*[page.name for page in PAGES])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(ADDRESSES)


def test_counting_a_file_imports_no_dashboard() -> None:
    """`camcount count` does not pay for the pages, nor does a server before it has started."""
    code = "import sys, camcount.commands.count, camcount.app, camcount.server; print('nicegui' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_in_every_width(server: Served, browser: Browser, path: str, size: tuple[int, int]) -> None:
    """One heading of the first order, the navigation in sight, nothing wider than the window, no error anywhere."""
    with opened(browser, server.url + path, size) as page:
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("main")).to_have_count(1)
        for link in page.locator("nav a").all():
            expect(link).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_something_before_its_scripts_run(server: Served, browser: Browser, path: str) -> None:
    """Heading, navigation and words of its own are in what the server sends; what cannot be used yet says so."""
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(server.url + path)
        expect(page.locator("main")).to_contain_text(re.compile(r"\w{3}"))
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("nav a").last).to_be_visible()
        assert not page.locator("button:enabled, input:enabled, select:enabled").count()
        assert not page.locator("#app [id]").count()  # no script may find what will be replaced
    finally:
        context.close()


def test_the_first_view_of_a_page_is_text_and_no_markup(server: Served) -> None:
    """A name from an address, as an example."""
    status, page = server.get("/models/%3Cb%3Ebold")
    view = page.decode().split('id="app"')[1].split("</main>")[0]
    assert status == 200
    assert "&lt;b&gt;bold" in view
    assert "<b>bold" not in view


def test_the_theme_is_chosen_and_remembered(server: Served, browser: Browser) -> None:
    """As the system has it at first; then what was chosen, after another visit too."""
    background = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, server.url + "/health", theme="dark") as page:
        dark = page.evaluate(background)
        page.locator("#theme-button").click()
        light = page.evaluate(background)
        assert light != dark
        page.goto(server.url + "/counts")
        page.wait_for_selector("main")
        assert page.evaluate(background) == light
        page.locator("#theme-button").click()
        assert page.evaluate(background) == dark


def test_the_language_follows_the_browser_and_the_choice(server: Served, browser: Browser) -> None:
    """Vietnamese for whom the browser says so; one click changes it, and it stays."""
    with opened(browser, server.url + "/counts", language="vi-VN") as page:
        expect(page.locator("h1")).to_have_text(texts("vi")["nav.counts"])
        assert page.locator("html").get_attribute("lang") == "vi"
        page.locator("#language-button").click()
        expect(page.locator("h1")).to_have_text(texts("en")["nav.counts"])
        page.goto(server.url + "/models")
        expect(page.locator("h1")).to_have_text(texts("en")["nav.models"])


def test_the_keyboard_reaches_everything(server: Served, browser: Browser) -> None:
    """The first tab offers to skip the navigation; each next one shows where it is."""
    with opened(browser, server.url + "/models") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
        for _ in range(4):
            page.keyboard.press("Tab")
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url("**/add")


def test_an_empty_server_says_what_to_do_first(browser: Browser, tmp_path: Path) -> None:
    """No camera: the first page leads to where one is added."""
    with demo_server(tmp_path, []) as server, opened(browser, server.url) as page:
        expect(page.locator(".status")).to_have_text(texts("en")["shell.status.none"])
        page.locator("main a").click()
        page.wait_for_url("**/add")


def test_a_page_says_that_the_server_is_gone_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    """The server is stopped and started again while a page is open."""
    refused = [r"ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket connection|status of 400"]
    with demo_server(tmp_path) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with opened(browser, server.url, forgiven=refused) as page:
            page.evaluate("window.before = true")
            assert server.stop(30) == 0
            expect(page.get_by_text(texts("en")["shell.gone.title"])).to_be_visible(timeout=15_000)
            with demo_server(tmp_path, port=port):
                page.wait_for_function("window.before === undefined && window.did_handshake", timeout=60_000)
                expect(page.get_by_text(texts("en")["shell.gone.title"])).to_be_hidden()
                expect(page.locator(".status")).to_contain_text("1", timeout=15_000)


def test_other_doors_stay_as_they_were(server: Served) -> None:
    """What is no page's address is answered in the one form of errors, whatever the method."""
    for status, answer in (server.get("/nowhere"), server.post("/", b"x"), server.post("/counts", b"x")):
        assert status == 404
        assert answer["error"]["code"] == "INF_001"
    assert server.get("/health/live")[0] == 200


def test_pages_can_be_switched_off(tmp_path: Path) -> None:
    """`dashboard: false`: there is nothing at their addresses."""
    with camcount_serve(tmp_path, CAMCOUNT_DASHBOARD="false") as server:
        assert server.get("/")[0] == 404
        assert server.get("/_dashboard/camcount.css")[0] == 404


def test_every_language_is_offered_in_its_own_name() -> None:
    """Who cannot read the page finds the way out of it."""
    assert [texts(language)["shell.own_name"] for language in LANGUAGES] == ["English", "Tiếng Việt"]
