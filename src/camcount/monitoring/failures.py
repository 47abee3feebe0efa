"""The last requests that failed, for people who look."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from camcount.stats import RequestStats


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One request that ended with an error: when, at which model, through which door, with which code."""

    ended: datetime
    model: str
    door: str
    code: str
    request_id: str


class Failures:
    """Keeps the last ``most`` of them; a recorder. Requests whose client went away have not failed."""

    def __init__(self, most: int = 50) -> None:
        self._kept: deque[FailedRequest] = deque(maxlen=most)

    def record(self, stats: RequestStats) -> None:
        """Keeps it, if it has failed."""
        if stats.outcome in ("ok", "cancelled"):
            return
        ended = stats.ended or datetime.now(UTC)
        self._kept.append(FailedRequest(ended, stats.model, stats.door, stats.outcome, stats.request_id))

    def close(self) -> None:
        """What was kept stays readable."""

    def latest(self) -> list[FailedRequest]:
        """The last one first."""
        return list(reversed(self._kept.copy()))
