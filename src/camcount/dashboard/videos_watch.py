"""What is kept of a video while it is counted: the last picture, and when it was crossed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from camcount.events import Crossing, Event
from camcount.geometry import Line
from camcount.protocols import Step
from camcount.video.encoded import jpeg
from camcount.video.overlay import Overlay

_WIDEST = 640
_MOST_BARS = 60
_WIDTHS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Watch:
    """A `Sink`. ``lines`` are those of the run, which may come to it later."""

    def __init__(self) -> None:
        self.lines: Sequence[Line] = ()
        self._last: Step | None = None
        self._seconds: Counter[tuple[str, str, int]] = Counter()
        self._totals: dict[str, Counter[str]] = {}

    def write(self, step: Step) -> None:
        """Takes a step."""
        self._last = step
        self._note(step.events)

    def close(self, last: Sequence[Event] = ()) -> None:
        """The last events."""
        self._note(last)

    def picture(self) -> bytes | None:
        """The last picture with boxes and counts, as a JPEG."""
        step = self._last
        if step is None or step.frame.render is None:
            return None
        scale = min(1.0, _WIDEST / step.frame.width)
        width, height = round(step.frame.width * scale), round(step.frame.height * scale)
        drawn = Overlay(list(self.lines), [], width, height)
        drawn.begin(self._totals)
        return jpeg(drawn.draw(replace(step, events=())))

    def bars(self, duration_s: float) -> dict[str, Any]:
        """Crossings per span of ``width_s`` seconds, at most sixty or so spans: line -> way -> counts."""
        width = next((w for w in _WIDTHS_S if duration_s <= w * _MOST_BARS), _WIDTHS_S[-1])
        count = max(1, int(max(0.0, duration_s - 1e-6) // width) + 1)
        lines = {line.name: {"in": [0] * count, "out": [0] * count} for line in self.lines}
        for (line, way, second), crossings in self._seconds.items():
            if line in lines:
                lines[line][way][min(count - 1, second // width)] += crossings
        return {"width_s": width, "lines": lines}

    def _note(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Crossing):
                self._seconds[event.line, event.direction, max(0, int(event.time_s))] += 1
                self._totals.setdefault(event.line, Counter())[event.direction] += 1
