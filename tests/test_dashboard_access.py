"""Whether everybody can use the pages: axe-core, which judges by the rules of WCAG."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page

from tests.browsers import CAMERA, NARROW, PAGES, WIDE, demo_server, opened
from tests.serving import Served

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one camera, which counts."""
    with demo_server(tmp_path_factory.mktemp("access"), [CAMERA]) as served:
        yield served


def _violations(page: Page) -> list[str]:
    """What is serious or worse, with what it is about."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:160]} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_no_page_shuts_anybody_out(server: Served, browser: Browser, path: str, theme: str) -> None:
    """No serious violation in either width, in either theme."""
    for size in (WIDE, NARROW):
        with opened(browser, server.url + path, size, theme=theme) as page:
            page.wait_for_timeout(1500)
            assert not _violations(page)


def test_a_page_that_shuts_somebody_out_is_found(server: Served, browser: Browser) -> None:
    """The judge judges: a button without a name, and grey on grey."""
    with opened(browser, server.url + "/models") as page:
        page.evaluate("document.querySelector('main').innerHTML += '<button></button><p style=color:#eee>pale</p>'")
        found = "\n".join(_violations(page))
        assert "button-name" in found
        assert "color-contrast" in found
