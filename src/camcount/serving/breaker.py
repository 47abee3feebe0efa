"""A circuit breaker: whoever fails again and again is left alone for a while."""

from __future__ import annotations


class Breaker:
    """Closed, open after ``threshold`` failures in a row, half-open after ``recovery_s``."""

    def __init__(self, threshold: int = 5, recovery_s: float = 60.0) -> None:
        self._threshold = threshold
        self._recovery_s = recovery_s
        self._failures = 0
        self._opened: float | None = None

    def state_at(self, now: float) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self._opened is None:
            return "closed"
        return "half-open" if now >= self._opened + self._recovery_s else "open"

    def allows(self, now: float) -> bool:
        """Whether it may be tried."""
        return self.state_at(now) != "open"

    def succeeded(self, now: float) -> None:
        """It worked."""
        self._failures, self._opened = 0, None

    def failed(self, now: float) -> None:
        """It did not."""
        self._failures += 1
        if self._failures >= self._threshold or self._opened is not None:
            self._opened = now
