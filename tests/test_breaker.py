"""The circuit breaker: when it opens, when it tries again, and what it does not listen to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.errors import UsageError
from camcount.serving.breaker import TRANSITIONS, Breaker, BreakerSettings, Event, State, after

THREE = BreakerSettings(threshold=3, recovery_s=60)

SCENARIOS = {
    # each step: seconds, how the call made then ends at once (. success, x failure, ? no verdict, - refused), state
    "opens after three in a row": [(0, "x", "closed"), (1, "x", "closed"), (2, "x", "open"), (3, "-", "open")],
    "a success between starts anew": [(0, "xx.xx", "closed"), (1, "x", "open")],
    "no verdict neither helps nor harms": [(0, "x?x?", "closed"), (1, "x", "open")],
    "recovers": [(0, "xxx", "open"), (59.9, "-", "open"), (60, ".", "closed"), (61, "xx", "closed")],
    "relapses at the first failure": [
        (0, "xxx", "open"),
        (60, "x", "open"),
        (119, "-", "open"),
        (120, ".", "closed"),
    ],
    "a trial without a verdict lets the next try": [(0, "xxx", "open"), (60, "?", "half-open"), (60, ".", "closed")],
}


@pytest.mark.parametrize("steps", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_scenarios(steps: Sequence[tuple[float, str, str]]) -> None:
    """What each row says happens, step by step."""
    breaker = Breaker(THREE)
    for now, calls, state in steps:
        for call in calls:
            expected = breaker.lets_through(now)
            admitted = breaker.admit(now)
            assert (admitted is not None) == expected == (call != "-")
            if admitted is not None:
                end(breaker, admitted, call, now)
        assert breaker.state == state


def end(breaker: Breaker, admitted: int, call: str, now: float) -> None:
    """Ends a call as its sign says."""
    if call == "?":
        breaker.abandoned(admitted)
    else:
        {".": breaker.succeeded, "x": breaker.failed}[call](admitted, now)


def opened(now: float = 0) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker(THREE)
    for _ in range(3):
        breaker.failed(breaker.admit(now) or 0, now)
    assert str(breaker.state) == "open"
    return breaker


def test_one_call_at_a_time_is_on_trial() -> None:
    """Half-open lets a single call through, until it has ended."""
    breaker = opened()
    trial = breaker.admit(60)
    assert trial is not None
    assert [breaker.admit(60 + second) for second in (0, 1, 59)] == [None] * 3
    breaker.succeeded(trial, 60)
    assert breaker.admit(60) is not None


def test_a_trial_that_never_ends_does_not_close_it_for_ever() -> None:
    """After another time of recovery the next call is tried, and the lost one has no say any more."""
    breaker = opened()
    lost = breaker.admit(60)
    second = breaker.admit(120)
    assert lost is not None
    assert second is not None
    breaker.failed(lost, 121)
    assert str(breaker.state) == "half-open"
    breaker.succeeded(second, 122)
    assert str(breaker.state) == "closed"


def test_calls_from_before_it_opened_have_no_say() -> None:
    """Ten calls at once fail, and some succeed late: the first three decide, the trial alone decides the rest."""
    breaker = Breaker(THREE)
    passes = [breaker.admit(0) or 0 for _ in range(10)]
    for admitted in passes[:7]:
        breaker.failed(admitted, 1)
    assert breaker.transitions[State.OPEN] == 1
    breaker.succeeded(passes[7], 2)
    assert str(breaker.state) == "open"
    trial = breaker.admit(61)
    assert trial is not None
    breaker.succeeded(passes[8], 62)
    assert str(breaker.state) == "half-open"
    breaker.succeeded(trial, 63)
    breaker.failed(passes[9], 64)
    assert (breaker.state, breaker.failures) == (State.CLOSED, 0)


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_the_table_is_the_whole_life(state: State, event: Event) -> None:
    """What is in the table happens; anything else raises and says what could."""
    if event in TRANSITIONS[state]:
        assert after(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(ValueError, match=f"that is {state} cannot be {event}: only"):
            after(state, event)


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"recovery_s": 0}, {"recovery_s": float("nan")}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    """A breaker that never closes, or opens without a failure, is none."""
    with pytest.raises(UsageError, match="expected both above 0"):
        BreakerSettings(**wrong)  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(st.sampled_from(["call", ".", "x", "?"]), st.floats(0, 70), st.integers(0, 5)), max_size=60
)


@settings(deadline=None)
@given(STEPS)
def test_it_never_does_what_it_must_not(steps: list[tuple[str, float, int]]) -> None:
    """Whatever ends when: it changes only along the table, opens for no fewer failures than the threshold, tries one
    at a time, counts each change, and a pass that was never given raises and changes nothing."""
    breaker, now, passes = Breaker(THREE), 0.0, [0]
    changes, row = 0, 0
    for what, seconds, which in steps:
        now += seconds
        before = breaker.state
        if what == "call":
            admitted = breaker.admit(now)
            passes += [] if admitted is None else [admitted]
        else:
            admitted = passes[-1 - which % len(passes)]
            current = admitted == passes[-1] and before is State.CLOSED
            end(breaker, admitted, what, now)
            row = {".": 0, "x": row + 1, "?": row}[what] if current else row
        if breaker.state is not before:
            changes += 1
            assert breaker.state in TRANSITIONS[before].values()
            assert before is not State.CLOSED or row >= THREE.threshold
            row = 0
        assert sum(breaker.transitions.values()) == changes
        shown = vars(breaker).copy()
        for call in ".x?":
            with pytest.raises(ValueError, match="was never given"):
                end(breaker, max(passes) + 100, call, now)
        assert vars(breaker) == shown
        assert breaker.lets_through(now + THREE.recovery_s), "it always recovers"
