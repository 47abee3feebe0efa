"""Who may ask the model how often, when the machine cannot do it all."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass

_STEP_S = 1.0
_MORE = 1.1
"""While nobody is short, the machine is taken to manage a tenth more each second."""
_PLENTY = 1e6
_TRIED = 1.0
"""Frames per second and camera that it is taken to manage at least: asked for none, it could not show more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one camera wanted and got in the last second.

    Attributes:
        wanted: frames per second that it would have liked to ask about.
        served: that came back.
        short: it had to let frames go.
        least: frames per second below which crossings would be missed.
        priority: its weight.
    """

    wanted: float
    served: float
    short: bool
    least: float
    priority: float = 1.0


def shared(capacity: float, needs: Mapping[str, Need]) -> dict[str, float]:
    """Frames per second for each: first everyone's least, then the rest by priority, nobody more than wanted.

    Where there is not even enough for the least, all get less than it in proportion to priority.

    >>> busy = Need(wanted=25, served=9, short=True, least=5)
    >>> quiet = Need(wanted=2, served=2, short=False, least=5)
    >>> shared(20, {"busy": busy, "quiet": quiet})
    {'busy': 18.0, 'quiet': 2.0}
    """
    least = _filled(capacity, {name: (min(n.least, n.wanted), n.priority) for name, n in needs.items()})
    left = capacity - sum(least.values())
    more = _filled(left, {name: (n.wanted - least[name], n.priority) for name, n in needs.items()})
    return {name: least[name] + more[name] for name in needs}


def _filled(capacity: float, wants: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Weighted max-min fairness: who wants less than its share leaves the rest to the others."""
    given = dict.fromkeys(wants, 0.0)
    left, open_ = max(0.0, capacity), {name for name, (want, _) in wants.items() if want > 0}
    while open_ and left > 1e-9:
        weight = sum(wants[name][1] for name in open_)
        full = {n for n in open_ if wants[n][0] - given[n] <= left * wants[n][1] / weight}
        for name in full or open_:
            given[name] = wants[name][0] if full else given[name] + left * wants[name][1] / weight
        if not full:
            break
        open_ -= full
        left = capacity - sum(given.values())
    return given


class Governor:
    """Shares what the machine manages among the cameras of one server, anew each second.

    Nobody is held back while nobody is short. What the machine manages is what came back while somebody was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needs: dict[str, Need] = {}
        self._rates: dict[str, float] = {}
        self._capacity = _PLENTY
        self._next = float("-inf")

    def tell(self, name: str, need: Need, now: float) -> float:
        """What a camera needs, told once a second; returns how many frames per second it may ask about."""
        with self._lock:
            self._needs[name] = need
            if now >= self._next:
                self._next = now + _STEP_S
                self._share()
            return self._rates.get(name, math.inf)

    def forget(self, name: str) -> None:
        """The camera is gone."""
        with self._lock:
            self._needs.pop(name, None)
            self._rates.pop(name, None)

    def _share(self) -> None:
        if any(need.short for need in self._needs.values()):
            served = sum(need.served for need in self._needs.values())
            self._capacity = max(served, _TRIED * len(self._needs))
        else:
            self._capacity = min(_PLENTY, self._capacity * _MORE)
        wanted = sum(need.wanted for need in self._needs.values())
        if wanted <= self._capacity:
            self._rates = {}
        else:
            self._rates = shared(self._capacity, self._needs)


class Thinning:
    """Lets at most so many frames per second through, evenly by time stamp."""

    def __init__(self) -> None:
        self.rate = math.inf
        self._due_s = float("-inf")

    def passes(self, time_s: float) -> bool:
        """Whether the frame of this moment may pass."""
        if math.isinf(self.rate):
            return True
        if self.rate <= 0 or time_s < self._due_s - 1e-6:
            return False
        # a frame that comes late does not make all later ones late
        self._due_s = max(self._due_s + 1 / self.rate, time_s + 0.5 / self.rate)
        return True
