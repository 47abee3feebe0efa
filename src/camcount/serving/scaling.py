"""How many replicas the load calls for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What there is to do."""

    replicas: int
    queued: int
    busy: float


class Scaler:
    """Between a least and a most."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def update(self, load: Load, now: float) -> int:
        """+1, 0 or -1 replicas."""
        return int(load.queued > 2 * load.replicas and load.replicas < self._most)
