"""Where the pages are, in the order of the navigation; known without importing NiceGUI."""

from __future__ import annotations

ADDRESSES: dict[str, tuple[str, ...]] = {
    "live": ("/",),
    "camera": ("/cameras/{camera}",),
    "draw": ("/cameras/{camera}/draw",),
    "counts": ("/counts",),
    "add": ("/add",),
    "results": ("/results/{video}",),
    "verify": ("/verify",),
    "models": ("/models", "/models/{name}"),
    "health": ("/health",),
}
"""The first address of a page is the one in the navigation."""
