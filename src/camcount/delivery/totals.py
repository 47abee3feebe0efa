"""What all events that were delivered add up to, per line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from camcount.delivery.log import StoredEvent
from camcount.events import Crossing

LineTotal = dict[str, Any]
"""``{"in": n, "out": n, "by_label": {label: {"in": n, "out": n}}}``."""


class Totals:
    """Crossings per camera and line since the beginning of the log; used from one thread.

    >>> totals = Totals()
    >>> totals.of("gate", "street")
    {'in': 0, 'out': 0, 'by_label': {}}
    """

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, LineTotal]] = {}

    def add(self, events: Iterable[StoredEvent]) -> None:
        """Counts those that are crossings."""
        self._count(events, 1)

    def take_back(self, events: Iterable[StoredEvent]) -> None:
        """Undoes `add`."""
        self._count(events, -1)

    def of(self, camera: str, line: str) -> LineTotal:
        """The totals of one line, zeros where nothing has crossed it."""
        return self._lines.get(camera, {}).get(line) or _nothing()

    def lines(self) -> list[tuple[str, str]]:
        """Camera and line of all that was crossed."""
        return [(camera, line) for camera, lines in self._lines.items() for line in lines]

    def state(self) -> dict[str, Any]:
        """All of it, for `restore`."""
        return self._lines

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self._lines = dict(state)

    def _count(self, events: Iterable[StoredEvent], by: int) -> None:
        for stored in events:
            if isinstance(crossing := stored.event, Crossing):
                total = self._lines.setdefault(crossing.camera_id, {}).setdefault(crossing.line, _nothing())
                total[crossing.direction] += by
                label = total["by_label"].setdefault(crossing.label, {"in": 0, "out": 0})
                label[crossing.direction] += by


def _nothing() -> LineTotal:
    return {"in": 0, "out": 0, "by_label": {}}
