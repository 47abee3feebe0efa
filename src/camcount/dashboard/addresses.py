"""Where the pages are, in the order of the navigation; known without importing NiceGUI."""

from __future__ import annotations

ADDRESSES: dict[str, tuple[str, ...]] = {
    "live": ("/",),
    "camera": ("/cameras/{camera}",),
    "counts": ("/counts",),
    "add": ("/add",),
    "verify": ("/verify",),
    "models": ("/models", "/models/{name}"),
    "health": ("/health",),
}
"""The first address of a page is the one in the navigation."""
