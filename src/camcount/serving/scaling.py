"""How many replicas a model should have: more under load that lasts, fewer when it has long been quiet.

A policy and nothing else: what is measured and the time come in, a decision with its reason comes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from camcount.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """``high`` and above is load, ``low`` and below is quiet, between the two nothing changes."""

    high: float
    low: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSettings:
    """Between how many replicas, at which load, and how soon.

    Attributes:
        minimum, maximum: replicas; equal: nothing is ever changed.
        queue: requests that wait, per replica.
        busy: share of the replicas that are at work, 0 to 1.
        wait_s: the 95th percentile of the seconds that requests wait.
        up_s, down_s: load, and quiet, must last so long without a break.
        cooldown_s: the least time between two changes.

    Raises:
        UsageError: a number that cannot be.
    """

    minimum: int = 1
    maximum: int = 1
    queue: Threshold = Threshold(high=4.0, low=0.5)
    busy: Threshold = Threshold(high=0.9, low=0.4)
    wait_s: Threshold = Threshold(high=0.1, low=0.02)
    up_s: float = 5.0
    down_s: float = 60.0
    cooldown_s: float = 15.0

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise UsageError(f"from {self.minimum} to {self.maximum} replicas: expected 1 <= minimum <= maximum")
        for name in ("queue", "busy", "wait_s"):
            sign: Threshold = getattr(self, name)
            if not 0 <= sign.low < sign.high < inf:
                raise UsageError(f"scaling by {name} from {sign.low} to {sign.high}: expected 0 <= low < high")
        for name in ("up_s", "down_s", "cooldown_s"):
            if not 0 <= getattr(self, name) < inf:
                raise UsageError(f"scaling's {name} is {getattr(self, name)}, expected seconds from 0 on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is measured of one model at a moment.

    Attributes:
        replicas: how many there are, those that are just starting included.
        queued: requests that wait.
        busy: share of the replicas that were at work since the last look, 0 to 1.
        wait_s: the 95th percentile of the seconds waited since the last look; 0 where nobody asked.
    """

    replicas: int
    queued: int = 0
    busy: float = 0.0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas there should be, and why."""

    replicas: int
    reason: str


class Scaling:
    """Decides for one model, one replica at a time. Not safe from threads: one thread asks.

    It goes down only where the replicas that stay would not be under load at once, so that the same load never
    makes it go down and up in turns.

    >>> scaling = Scaling(ScalingSettings(minimum=1, maximum=3, up_s=5))
    >>> [scaling.decide(Load(replicas=1, queued=9), now).replicas for now in (0.0, 4.0, 5.0)]
    [1, 1, 2]
    """

    def __init__(self, settings: ScalingSettings) -> None:
        self._settings = settings
        self._loaded_since: float | None = None
        self._quiet_since: float | None = None
        self._changed = -inf

    def decide(self, load: Load, now: float) -> Scale:
        """To be asked every second or so; ``now`` never goes back."""
        limits, replicas = self._settings, load.replicas
        signs = self._signs(load)
        heavy = [f"{name} {value:.3g} >= {limit.high:g}" for name, value, limit in signs if value >= limit.high]
        quiet = all(value <= limit.low for _, value, limit in signs) and self._could_spare_one(load)
        self._loaded_since = _since(self._loaded_since, bool(heavy), now)
        self._quiet_since = _since(self._quiet_since, quiet, now)
        if not limits.minimum <= replicas <= limits.maximum:
            step = 1 if replicas < limits.minimum else -1
            return self._change(replicas + step, now, f"{limits.minimum} to {limits.maximum} replicas are wanted")
        if now < self._changed + limits.cooldown_s:
            return Scale(replicas, f"changed less than {limits.cooldown_s:g} s ago")
        if self._loaded_since is not None and now >= self._loaded_since + limits.up_s:
            if replicas == limits.maximum:
                return Scale(replicas, f"{', '.join(heavy)}: under load, and {replicas} is the most allowed")
            return self._change(replicas + 1, now, f"{', '.join(heavy)} for {limits.up_s:g} s")
        if self._quiet_since is not None and now >= self._quiet_since + limits.down_s and replicas > limits.minimum:
            return self._change(replicas - 1, now, f"quiet for {limits.down_s:g} s")
        return Scale(replicas, "load that has not lasted yet" if heavy else "neither load nor long quiet")

    def _signs(self, load: Load) -> tuple[tuple[str, float, Threshold], ...]:
        limits, replicas = self._settings, max(1, load.replicas)
        return (
            ("queue per replica", load.queued / replicas, limits.queue),
            ("busy", load.busy, limits.busy),
            ("p95 wait", load.wait_s, limits.wait_s),
        )

    def _could_spare_one(self, load: Load) -> bool:
        fewer = load.replicas - 1
        # what comes to the threshold itself must not fall below it by rounding
        return fewer > 0 and load.busy * load.replicas / fewer < self._settings.busy.high * (1 - 1e-9)

    def _change(self, replicas: int, now: float, reason: str) -> Scale:
        self._changed = now
        self._loaded_since = self._quiet_since = None
        return Scale(replicas, reason)


def _since(before: float | None, is_so: bool, now: float) -> float | None:
    if not is_so:
        return None
    return now if before is None else before
