"""A circuit breaker: leaves alone what fails time after time, and tries it again after a while.

The state is a table, time is an argument, and nothing here waits, locks or calls anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from types import MappingProxyType

from camcount.errors import UsageError


class State(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    """One call at a time goes through, on trial."""


class Event(StrEnum):
    """What changes the state."""

    TRIPPED = "tripped"
    """Too many failures, one after the other."""
    RESTED = "rested"
    """The time to recover is over, and somebody calls."""
    PASSED = "passed"
    RELAPSED = "relapsed"


TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.CLOSED: {Event.TRIPPED: State.OPEN},
        State.OPEN: {Event.RESTED: State.HALF_OPEN},
        State.HALF_OPEN: {Event.PASSED: State.CLOSED, Event.RELAPSED: State.OPEN},
    }
)


def after(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        ValueError: the event cannot happen in this state.

    >>> after(State.OPEN, Event.RESTED)
    <State.HALF_OPEN: 'half-open'>
    """
    following = TRANSITIONS[state].get(event)
    if following is None:
        raise ValueError(f"a breaker that is {state} cannot be {event!s}: only {', '.join(TRANSITIONS[state])}")
    return following


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker opens, and for how long.

    Attributes:
        threshold: failures one after the other that open it.
        recovery_s: seconds until a call is tried; also how long a call on trial may take before another is tried.

    Raises:
        UsageError: a number that cannot be.
    """

    threshold: int = 5
    recovery_s: float = 60.0

    def __post_init__(self) -> None:
        if self.threshold < 1 or not 0 < self.recovery_s < inf:
            raise UsageError(
                f"a breaker with threshold {self.threshold} and recovery_s {self.recovery_s}: expected both above 0"
            )


class Breaker:
    """Every call asks `admit` first and says afterwards how it ended, with the pass that it was given.

    A pass that is older than the last change of state says nothing any more: a call that began before the breaker
    opened is no verdict on whoever is on trial now. Not safe from threads: its owner locks.

    >>> breaker = Breaker(BreakerSettings(threshold=1, recovery_s=60))
    >>> breaker.failed(breaker.admit(now=0.0), now=1.0)
    >>> breaker.state, breaker.admit(now=2.0), breaker.lets_through(now=61.0)
    (<State.OPEN: 'open'>, None, True)

    Attributes:
        state: as it stands; `lets_through` says what that means at a moment.
        failures: one after the other, up to now.
        transitions: how often each state was entered.
    """

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self.settings = settings or BreakerSettings()
        self.state = State.CLOSED
        self.failures = 0
        self.transitions = dict.fromkeys(State, 0)
        self._pass = 0
        self._since = -inf
        self._on_trial = False

    def lets_through(self, now: float) -> bool:
        """Whether a call would be admitted; changes nothing."""
        if self.state is State.CLOSED or (self.state is State.HALF_OPEN and not self._on_trial):
            return True
        return now >= self._since + self.settings.recovery_s

    def admit(self, now: float) -> int | None:
        """A pass for one call, or ``None`` where it is not to be made."""
        if not self.lets_through(now):
            return None
        if self.state is State.OPEN:
            self._change(Event.RESTED, now)
        if self.state is State.HALF_OPEN:
            self._on_trial, self._since = True, now
            self._pass += 1  # a call on trial that took too long has no say over the next one
        return self._pass

    def succeeded(self, admitted: int, now: float) -> None:
        """The call was answered.

        Raises:
            ValueError: no such pass was given.
        """
        if self._speaks(admitted):
            self.failures = 0
            if self.state is State.HALF_OPEN:
                self._change(Event.PASSED, now)

    def failed(self, admitted: int, now: float) -> None:
        """The call failed, and whoever was called is to blame.

        Raises:
            ValueError: no such pass was given.
        """
        if self._speaks(admitted):
            self.failures += 1
            if self.state is State.HALF_OPEN:
                self._change(Event.RELAPSED, now)
            elif self.failures >= self.settings.threshold:
                self._change(Event.TRIPPED, now)

    def abandoned(self, admitted: int) -> None:
        """The call ended without a verdict: cancelled, or failed by the fault of who asked.

        Raises:
            ValueError: no such pass was given.
        """
        if self._speaks(admitted):
            self._on_trial = False

    def _speaks(self, admitted: int) -> bool:
        if not 0 <= admitted <= self._pass:
            raise ValueError(f"pass {admitted} was never given: the latest is {self._pass}")
        return admitted == self._pass and (self.state is State.CLOSED or self._on_trial)

    def _change(self, event: Event, now: float) -> None:
        self.state = after(self.state, event)
        self.transitions[self.state] += 1
        self._pass += 1
        self._since = now
        self._on_trial = False
