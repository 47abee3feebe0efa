"""All pages, in the order of the navigation."""

from __future__ import annotations

from camcount.dashboard import add, camera, counts, health, live, models, verify
from camcount.dashboard.page import Page

PAGES: tuple[Page, ...] = (live.PAGE, camera.PAGE, counts.PAGE, add.PAGE, verify.PAGE, models.PAGE, health.PAGE)
