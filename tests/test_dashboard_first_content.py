"""How long a page of the dashboard is empty, with a year of counts in the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browsers import CAMERA, PAGES, WIDE, demo_server, opened
from tests.counts_of_a_year import year_at
from tests.serving import Served

MOST_S, ATTEMPTS = 1.0, 4
_WATCH = """
new MutationObserver((_, observer) => {
    const main = document.querySelector("main");
    if (!main || !main.innerText.trim()) return;
    requestAnimationFrame(() => setTimeout(() => window.first_content_ms ??= performance.now()));
    observer.disconnect();
}).observe(document, {childList: true, subtree: true, characterData: true});
"""
"""Notes when the part of the page that is no frame has been drawn with its first words."""

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a year of counts and a camera that counts on."""
    home = tmp_path_factory.mktemp("first")
    year_at(home)
    with demo_server(home, [CAMERA]) as served:
        yield served


def _first_words_s(server: Served, browser: Browser, path: str) -> float:
    with opened(browser, server.url + path, WIDE, script=_WATCH) as page:
        page.wait_for_function("window.first_content_ms !== undefined")
        return float(page.evaluate("window.first_content_ms")) / 1000


@pytest.mark.parametrize("path", [*PAGES, "/counts?period=365d"])
def test_the_first_words_are_there_within_a_second(server: Served, browser: Browser, path: str) -> None:
    """Beside a camera that counts, from an empty cache, counted from the click; the best of four attempts."""
    taken: list[float] = []
    while not taken or (taken[-1] >= MOST_S and len(taken) < ATTEMPTS):
        taken.append(_first_words_s(server, browser, path))
    assert taken[-1] < MOST_S, [round(one, 2) for one in taken]
