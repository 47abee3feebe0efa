"""Pictures of every page, or of those named, in two widths and themes, from a server that counts the demo scene."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser
from tests.browsers import NARROW, WIDE, demo_server, opened, started_browser

from camcount.dashboard.addresses import ADDRESSES

OUT = Path(__file__).parents[1] / "docs" / "screenshots"
CAMERAS = ("high-street", "station", "arcade", "car-park")
_SETTLED_MS = 4000
_COUNTED_S = 40
_QUALITY = 82
_MOVING_MS = 90_000
_MOVING = """() => [...document.querySelectorAll("canvas[data-camera]")]
    .every((canvas) => canvas.getBoundingClientRect().top > innerHeight || Number(canvas.dataset.shown) > 2)"""
"""Whether every moving picture in sight moves."""


def main() -> None:
    """Writes ``<page>-<width>-<theme>.webp``."""
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        demo_server(Path(home), CAMERAS) as server,
        started_browser() as browser,
    ):
        with opened(browser, server.url) as page:
            page.wait_for_timeout(_COUNTED_S * 1000)
        for name in sys.argv[1:] or ADDRESSES:
            paths = ADDRESSES[name]
            for place, path in enumerate(paths):
                shown = name if place == 0 else "-".join([name, *path.strip("/").split("/")[:1]])
                _shoot(browser, server.url + path.format(camera=CAMERAS[0], name="street", video="gone"), shown)
    total = sum(path.stat().st_size for path in OUT.glob("*.webp"))
    print(f"{len(list(OUT.glob('*.webp')))} pictures in {OUT.name}, {total / 2**20:.1f} MiB")


def _shoot(browser: Browser, url: str, name: str) -> None:
    for theme in ("light", "dark"):
        for size in (WIDE, NARROW):
            with opened(browser, url, size, theme=theme) as page:
                page.wait_for_timeout(_SETTLED_MS)
                page.wait_for_function(_MOVING, timeout=_MOVING_MS)
                picture = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            assert picture is not None
            _, coded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
            (OUT / f"{name}-{size[0]}-{theme}.webp").write_bytes(coded.tobytes())


if __name__ == "__main__":
    main()
