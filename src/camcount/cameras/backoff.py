"""How long to wait before a camera is tried again."""

from __future__ import annotations

from dataclasses import dataclass

from camcount.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential, with jitter, so that cameras that went together do not come back together.

    Attributes:
        first_s: after the first failure.
        factor: how much longer after each further one.
        most_s: never longer; a camera is back so soon after its return, and the time that connecting takes.
        jitter: share of the wait, 0 to 1, that is left to chance.

    Raises:
        UsageError: a wait that is not above 0, or shrinks.
    """

    first_s: float = 0.5
    factor: float = 2.0
    most_s: float = 5.0
    jitter: float = 0.3

    def __post_init__(self) -> None:
        if not (0 < self.first_s <= self.most_s and self.factor >= 1 and 0 <= self.jitter <= 1):
            raise UsageError(f"{self} is no back-off: 0 < first_s <= most_s, factor >= 1, jitter 0 to 1")

    def delay_s(self, failures: int, chance: float) -> float:
        """Seconds to wait after so many failures in a row; ``chance`` is a random number from 0 to 1.

        >>> [Backoff().delay_s(n, 0.0) for n in (1, 2, 3, 4, 5, 1000)]
        [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
        """
        whole = self.most_s
        if self.factor == 1 or failures < 64:
            whole = min(self.most_s, self.first_s * self.factor ** (max(1, failures) - 1))
        return whole * (1 - self.jitter * chance)
