"""Flows: from which line to which line the same track went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camcount.events import Crossing, Event, FlowCompleted


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """Which two crossings are one movement.

    Attributes:
        window_s: the longest time from the first to the second line, in seconds.
        settle_s: how much later a crossing may still become known than one after it, in seconds.
    """

    window_s: float = 300.0
    settle_s: float = 1.5


class FlowCounter:
    """Crossings of one camera to origin-destination movements.

    A track that crosses line A and then another line B completes the flow A -> B, and may go on from B to a
    third. Crossing the same line again only starts anew from there. Memory: the crossings of the last
    ``settle_s`` seconds and one crossing per track of the last ``window_s``.
    """

    def __init__(self, settings: FlowSettings | None = None) -> None:
        self._settings = settings or FlowSettings()
        self.reset()

    def update(self, events: Sequence[Event], time_s: float) -> list[FlowCompleted]:
        """Takes what the line counter found by ``time_s``; only crossings matter."""
        self._recent += [event for event in events if isinstance(event, Crossing)]
        return self._pair(time_s - self._settings.settle_s)

    def finish(self, time_s: float) -> list[FlowCompleted]:
        """Pairs what has not settled yet."""
        return self._pair(float("inf"))

    def reset(self) -> None:
        """Forgets all crossings."""
        self._recent: list[Crossing] = []
        self._origins: dict[int, Crossing] = {}

    def _pair(self, until: float) -> list[FlowCompleted]:
        settled = sorted((c for c in self._recent if c.time_s <= until), key=lambda c: c.time_s)
        if settled:
            self._recent = [c for c in self._recent if c.time_s > until]
        flows = []
        for crossing in settled:
            origin = self._origins.get(crossing.track_id)
            if origin is not None and origin.line != crossing.line and self._near(origin, crossing.time_s):
                flows.append(_flow(origin, crossing))
            self._origins[crossing.track_id] = crossing
        self._origins = {track: c for track, c in self._origins.items() if self._near(c, until)}
        return flows

    def _near(self, origin: Crossing, time_s: float) -> bool:
        return time_s - origin.time_s <= self._settings.window_s


def _flow(origin: Crossing, destination: Crossing) -> FlowCompleted:
    return FlowCompleted(
        camera_id=destination.camera_id,
        time_s=destination.time_s,
        time=destination.time,
        track_id=destination.track_id,
        label=destination.label,
        confidence=min(origin.confidence, destination.confidence),
        reason=f"crossed {origin.line} ({origin.direction}) and then {destination.line} ({destination.direction})",
        point=destination.point,
        origin=origin.line,
        destination=destination.line,
        travel_s=destination.time_s - origin.time_s,
    )
