"""A real browser for tests: Debian's Chromium, which must have nothing to complain of and ask no other host."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from camcount.dashboard.addresses import ADDRESSES
from camcount.video.open import source_for
from camcount.video.writer import VideoWriter
from tests.serving import Served, camcount_serve

CAMERA = "high-street"
PAGES = [path.format(camera=CAMERA, name="street", video="gone") for paths in ADDRESSES.values() for path in paths]
"""Every page of a server with one camera; a model and a result that are not there have their pages too."""
CHROMIUM = shutil.which("chromium")
WIDE, NARROW = (1440, 900), (390, 844)
_SCENE = """
models: {}
cameras:
"""
_CAMERA = """
  %s:
    source: demo:street?seed=%d
    loop: true
    model: motion
    time_zone: UTC
    lines: {door: [0.1, 0.6, 0.9, 0.6]}
    zones: {square: [0.05, 0.5, 0.95, 0.5, 0.95, 0.95, 0.05, 0.95]}
"""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Chromium without a window. For fixtures of a module: while it runs, `asyncio.run` cannot be used beside it."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser,
    url: str,
    size: tuple[int, int] = WIDE,
    *,
    theme: str = "light",
    language: str = "en-GB",
    forgiven: Sequence[str] = (),
    script: str = "",
) -> Iterator[Page]:
    """A page in a window of its own, shown and connected.

    Afterwards there must have been no error in its console, but for those that match a pattern of ``forgiven``, and
    no request to another host. ``script`` runs before anything of the page's own.
    """
    wrong: list[str] = []
    home = url.split("/")[2]

    def heard(message: ConsoleMessage) -> None:
        said = f"{message.type}: {message.text} {message.location.get('url', '')}".rstrip()
        if message.type == "error" and not any(re.search(pattern, said) for pattern in forgiven):
            wrong.append(said)

    def asked(request: Request) -> None:
        if request.url.split(":")[0] in ("http", "https", "ws", "wss") and request.url.split("/")[2] != home:
            wrong.append(f"asked {request.url}")

    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if theme == "dark" else "light",
        locale=language,
        accept_downloads=True,
    )
    try:
        page = context.new_page()
        page.add_init_script(script)
        page.on("console", heard)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("request", asked)
        page.goto(url)
        page.wait_for_selector("main")
        page.wait_for_function("window.did_handshake === true")
        yield page
    finally:
        context.close()
    assert not wrong, wrong


@contextmanager
def demo_server(home: Path, cameras: Sequence[str] = (CAMERA,), more: str = "", port: int = 0) -> Iterator[Served]:
    """`camcount serve` with the demo scene as cameras, counted by motion at one line and in one zone.

    Args:
        more: further settings, as lines of YAML.
    """
    home.mkdir(parents=True, exist_ok=True)
    config = home / "camcount.yaml"
    config.write_text(
        _SCENE
        + "".join(_CAMERA % (name, seed) for seed, name in enumerate(cameras, 1))
        + ("" if cameras else "  {}\n")
        + more
    )
    with camcount_serve(home, "--config", str(config), port=port) as served:
        yield served


def demo_clip(path: Path, seconds: int = 8, seed: int = 1) -> Path:
    """So much of the demo scene as a small video."""
    source = source_for(f"demo:street?seconds={seconds}&seed={seed}")
    info = source.open()
    writer = VideoWriter(path, info.fps or 15.0, 640, 360)
    while (frame := source.read()) is not None:
        writer.write(frame.image(640, 360), frame.time_s)
    writer.close()
    source.close()
    return path
