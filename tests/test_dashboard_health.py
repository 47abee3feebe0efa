"""The health page: what was asked just now, what failed and what to do, and how cameras and replicas are."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from camcount.api.errors import STATUS
from camcount.dashboard.texts import LANGUAGES, texts
from camcount.monitoring.failures import Failures
from camcount.stats import RequestStats
from tests.browsers import NARROW, demo_server, opened
from tests.serving import Served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one camera."""
    with demo_server(tmp_path_factory.mktemp("health")) as served:
        yield served


def _ask(server: Served, model: str, picture: bytes) -> int:
    request = urllib.request.Request(
        f"{server.url}/api/v1/models/{model}/inference", picture, {"Content-Type": "image/jpeg"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_every_code_has_its_remedy() -> None:
    """What may stand among the errors is followed by what to do, in every language."""
    for language in LANGUAGES:
        assert {f"remedy.{code}" for code in STATUS} <= texts(language).keys()


def test_failures_are_kept_in_order_and_few() -> None:
    """The last one first; what was answered, and clients that left, are none."""
    failures = Failures(most=2)
    for number, outcome in enumerate(["ok", "INF_001", "cancelled", "INF_004", "SYS_001"]):
        failures.record(RequestStats(model="m", version="1", outcome=outcome, request_id=str(number)))
    assert [(failed.code, failed.request_id) for failed in failures.latest()] == [("SYS_001", "4"), ("INF_004", "3")]


def test_a_request_and_an_error_are_seen(browser: Browser, server: Served, data: Path) -> None:
    """The figures rise, and the error stands there with its code and what to do."""
    picture = next((data / "images" / "photos").glob("*.jp*g")).read_bytes()
    with opened(browser, server.url + "/health") as page:
        expect(page.get_by_role("heading", name="Latest errors")).to_be_visible()
        expect(page.get_by_role("row", name=re.compile("high-street.*(Running|Ended)"))).to_be_visible(timeout=60_000)
        name = "nobody"
        assert _ask(server, name, picture) == 404
        expect(page.get_by_role("row", name=re.compile(f"{name}.*MODEL_001.*check the name"))).to_be_visible()
        expect(page.locator(".figure", has_text="Disk")).to_contain_text("GiB")
        expect(page.locator(".figure", has_text="Memory")).to_contain_text("MiB")


def test_charts_show_what_was_measured(browser: Browser, server: Served) -> None:
    """The camera's own pictures go through the data plane, so that there is a rate to draw; its line has a name that
    screen readers say, with the latest value."""
    until = time.monotonic() + 60
    with opened(browser, server.url + "/health", NARROW) as page:
        chart = page.get_by_role("img", name=re.compile(r"Processor and memory: .*[0-9]"))
        while not chart.count() and time.monotonic() < until:
            page.wait_for_timeout(500)
        expect(chart).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
