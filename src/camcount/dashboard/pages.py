"""All pages, in the order of the navigation."""

from __future__ import annotations

from camcount.dashboard import add, camera, counts, draw, health, live, models, results, verify
from camcount.dashboard.page import Page

PAGES: tuple[Page, ...] = (
    live.PAGE,
    camera.PAGE,
    draw.PAGE,
    counts.PAGE,
    add.PAGE,
    results.PAGE,
    verify.PAGE,
    models.PAGE,
    health.PAGE,
)
