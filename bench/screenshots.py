"""Pictures of every page, or of those named, in two widths and themes, from a server that counts the demo scene.

It has a year of counts, a model in two versions that is asked for detections, and a counted video, so that no page is
empty. Its cameras are clips of the scene: drawing four of them live is more than two cores do beside a browser.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser
from tests.browsers import NARROW, WIDE, demo_clip, opened, started_browser
from tests.counts_of_a_year import LINES, year_at
from tests.registries import PHOTO, two_versions
from tests.serving import Served, asking, serve_with

from camcount.dashboard.addresses import ADDRESSES

OUT = Path(__file__).parents[1] / "docs" / "screenshots"
CAMERAS = ("high-street", "station", "arcade", "car-park")
_SETTLED_MS = 4000
_COUNTED_S = 90
_CLIP_S, _PACE_S = 40, 0.4
_PLACES = dict(zip(LINES, ([0.3, 0.97, 0.36, 0.69], [0.36, 0.66, 0.52, 0.42]), strict=True))
_TERRACE = [0.45, 0.72, 0.8, 0.66, 0.95, 0.9, 0.5, 0.97]
_QUALITY = 82
_MOVING_MS = 90_000
_MOVING = """() => [...document.querySelectorAll("canvas[data-camera]")]
    .every((canvas) => canvas.getBoundingClientRect().top > innerHeight || Number(canvas.dataset.shown) > 2)
    && !document.querySelector("main .q-spinner")"""
"""Whether every moving picture in sight moves, and nothing is waited for."""
_SHOWN = {"/counts": "/counts?period=7d"}
"""Where a page's first view would say less."""


def main() -> None:
    """Writes ``<page>-<width>-<theme>.webp``."""
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ["CAMCOUNT_USER"] = "ann@desk"
    with (
        tempfile.TemporaryDirectory() as home,
        chdir(home),  # sources are shown as they were given
        _furnished(Path(home)) as server,
        started_browser() as browser,
    ):
        with opened(browser, server.url + "/add") as page:
            page.locator("input[type=file]").set_input_files(demo_clip(Path(home) / "market.mp4", 20))
            page.wait_for_url("**/results/*", timeout=_MOVING_MS)
            video = page.url.rsplit("/", 1)[1]
            page.wait_for_selector("table", timeout=2 * _MOVING_MS)
            page.wait_for_timeout(_COUNTED_S * 1000)
        for name in sys.argv[1:] or ADDRESSES:
            paths = ADDRESSES[name]
            for place, path in enumerate(paths):
                shown = name if place == 0 else "-".join([name, *path.strip("/").split("/")[:1]])
                path = _SHOWN.get(path, path)
                _shoot(browser, server.url + path.format(camera=CAMERAS[0], name="street", video=video), shown)
    total = sum(path.stat().st_size for path in OUT.glob("*.webp"))
    print(f"{len(list(OUT.glob('*.webp')))} pictures in {OUT.name}, {total / 2**20:.1f} MiB")


@contextmanager
def _furnished(home: Path) -> Iterator[Served]:
    """A server with a year of counts, and a model in two versions that is asked all the time."""
    two_versions(home)
    cameras = {}
    for seed, name in enumerate(CAMERAS, 1):
        year_at(home, name)
        cameras[name] = {
            "source": demo_clip(home / f"{name}.mp4", _CLIP_S, seed).name,
            "loop": True,
            "model": "motion",
            "time_zone": "UTC",
            "lines": _PLACES,
            "zones": {"terrace": _TERRACE},
        }
    settings = {"models": {}, "registry": True, "cache": {"enabled": False}, "cameras": cameras}
    with serve_with(home, settings) as server, asking(server, "street", PHOTO.read_bytes(), pause_s=_PACE_S):
        yield server


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
