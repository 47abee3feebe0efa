"""The wall of cameras and the page of one, in a real browser, against a server that counts the demo scene."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from camcount.dashboard.texts import texts
from tests.browsers import demo_server, opened
from tests.serving import Served

SAID = texts("en")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with two cameras."""
    with demo_server(tmp_path_factory.mktemp("live"), ["high-street", "station"]) as served:
        yield served


def _camera(server: Served, name: str) -> dict[str, Any]:
    camera: dict[str, Any] = server.get(f"/api/v1/cameras/{name}")[1]
    return camera


def _pictures(page: Page, camera: str, more_than: int) -> None:
    """Waits until a camera's picture was drawn more often than that."""
    page.wait_for_function(
        f"Number(document.querySelector('canvas[data-camera={camera}]')?.dataset.shown) > {more_than}", timeout=90_000
    )


def test_the_wall_shows_moving_pictures(server: Served, browser: Browser) -> None:
    """Of every camera, in colours, and another one after a while."""
    with opened(browser, server.url) as page:
        for name in ("high-street", "station"):
            _pictures(page, name, 0)
            link = page.get_by_role("link", name=re.compile(name))
            expect(link.get_by_text(SAID["state.running"])).to_be_visible()
        canvas = page.locator("canvas").first
        before = canvas.screenshot()
        _pictures(page, "high-street", int(canvas.get_attribute("data-shown") or 0) + 2)
        assert canvas.screenshot() != before


def test_the_wall_counts_as_the_interface_does(server: Served, browser: Browser) -> None:
    """A tile's counts at a line rise to what the interface says, and go on rising."""
    with opened(browser, server.url) as page:
        tile = page.get_by_role("link", name=re.compile("high-street"))
        for at_least in (1, 2):
            page.wait_for_function(
                """least => [...document.querySelectorAll('.tile .way-in .num, .tile .way-out .num')]
                    .slice(0, 2).reduce((sum, each) => sum + Number(each.textContent), 0) >= least""",
                arg=at_least,
                timeout=120_000,
            )
        shown = sum(int(text) for text in tile.locator(".num").all_inner_texts() if text.isdigit())
        counted = _camera(server, "high-street")["totals"]["door"]
        assert 2 <= shown <= counted["in"] + counted["out"]


def test_one_camera_shows_its_events_as_they_come(server: Served, browser: Browser) -> None:
    """From the wall with one click; each event in words, and a table with the totals."""
    with opened(browser, server.url) as page:
        page.get_by_role("link", name=re.compile("station")).click()
        page.wait_for_url("**/cameras/station")
        expect(page.locator("h1")).to_have_text("station")
        _pictures(page, "station", 1)
        expect(page.locator(".events li").first).to_be_visible(timeout=120_000)
        events = page.locator(".events li").all_inner_texts()
        assert all(re.search("in at door|out at door|came into square|left square", event) for event in events)
        expect(page.get_by_role("region", name=SAID["camera.lines"]).get_by_text("door")).to_be_visible()


def test_a_camera_is_stopped_and_started(server: Served, browser: Browser) -> None:
    """By a button; page and interface agree on what it is doing."""
    with opened(browser, server.url + "/cameras/station") as page:
        page.get_by_role("button", name=SAID["camera.end"]).click()
        expect(page.get_by_text(SAID["state.stopped"], exact=True)).to_be_visible(timeout=60_000)
        assert _camera(server, "station")["state"] == "stopped"
        page.get_by_role("button", name=SAID["camera.begin"]).click()
        expect(page.get_by_text(SAID["state.running"], exact=True)).to_be_visible(timeout=60_000)
        assert _camera(server, "station")["state"] == "running"


def test_a_camera_that_is_not_there_is_said_so(server: Served, browser: Browser) -> None:
    """With the way back to those that are."""
    with opened(browser, server.url + "/cameras/nowhere") as page:
        expect(page.get_by_role("heading", name=re.compile("no camera nowhere"))).to_be_visible()
        page.get_by_role("link", name=SAID["camera.unknown.link"]).click()
        page.wait_for_url(server.url + "/")


def test_a_hidden_page_asks_for_no_picture(server: Served, browser: Browser) -> None:
    """What scrolls out of sight is not sent any more; it comes back when it is in sight again."""
    with opened(browser, server.url, (390, 500)) as page:
        _pictures(page, "high-street", 0)
        page.evaluate("document.querySelector('.wall').style.marginTop = '3000px'")
        page.wait_for_timeout(1500)
        shown = "Number(document.querySelector('canvas[data-camera=high-street]').dataset.shown)"
        before = page.evaluate(shown)
        page.wait_for_timeout(2500)
        assert page.evaluate(shown) == before
        page.evaluate("document.querySelector('.wall').style.marginTop = 0")
        _pictures(page, "high-street", before)
