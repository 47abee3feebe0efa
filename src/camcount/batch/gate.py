"""Lets work through, holds it up, or sends it home: how a batch is paused and stopped."""

from __future__ import annotations

import threading


class Gate:
    """Workers ask `passes` before each frame; safe from all threads and from signals' functions."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._stopped = False

    @property
    def paused(self) -> bool:
        """Whether work waits."""
        return not self._open.is_set()

    @property
    def stopped(self) -> bool:
        """Whether nothing passes any more."""
        return self._stopped

    def pause(self) -> None:
        """Work waits from now on; what is stopped stays so."""
        if not self._stopped:
            self._open.clear()

    def go_on(self) -> None:
        """Work goes on."""
        self._open.set()

    def stop(self) -> None:
        """Nothing passes from now on."""
        self._stopped = True
        self._open.set()

    def passes(self) -> bool:
        """Waits while paused; False once stopped."""
        self._open.wait()
        return not self._stopped
