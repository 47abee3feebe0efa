"""Styles and scripts of the pages' own, at addresses that change with their content."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import camcount

STATIC = Path(__file__).with_name("static")
PLACE = "/_dashboard"
"""Under which address `STATIC` is."""


@cache
def linked(*names: str) -> str:
    """What goes into the head of a page for these files, as far as they exist.

    Scripts run once the page has been read, in this order.
    """
    return "\n".join(_link(name) for name in names if (STATIC / name).exists())


def _link(name: str) -> str:
    address = f"{PLACE}/{name}?v={camcount.__version__}-{int((STATIC / name).stat().st_mtime)}"
    if name.endswith(".css"):
        return f'<link rel="stylesheet" href="{address}">'
    return f'<script defer src="{address}"></script>'
