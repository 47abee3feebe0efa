"""The parts of a camera that tell states and time: what may happen, how long to wait, which second it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.cameras.axis import FileAxis, LiveAxis
from camcount.cameras.backoff import Backoff
from camcount.cameras.reading import Burst
from camcount.cameras.states import TABLE, Happening, Standing, State, after
from camcount.errors import UsageError

# ------------------------------------------------------------------------------------------------------------- states


def test_every_state_can_be_stopped_and_left_again() -> None:
    """No state is a trap: each can be stopped, and each that is at rest can be started."""
    for state in State:
        assert after(state, Happening.STOP) is State.STOPPED
    for state in (State.STOPPED, State.ENDED, State.ERROR):
        assert after(state, Happening.START) is State.CONNECTING
    assert {state for state, _ in TABLE} == set(State)


def test_what_cannot_happen_changes_nothing() -> None:
    """A stopped camera cannot freeze; the pure table raises, the shared state only says no."""
    with pytest.raises(ValueError, match="a camera that is stopped cannot have froze"):
        after(State.STOPPED, Happening.FROZE)
    standing = Standing()
    before = standing.get()
    assert not standing.happen(Happening.FROZE)
    assert standing.get() == before


# -------------------------------------------------------------------------------------------------------------- waits


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_a_bound_and_keep_some_chance(failures: int, chance: float) -> None:
    """No wait is longer than the most or shorter than what jitter leaves of the first one."""
    backoff = Backoff()
    assert backoff.first_s * (1 - backoff.jitter) <= backoff.delay_s(failures, chance) <= backoff.most_s


def test_a_wait_that_cannot_be_is_refused() -> None:
    """Zero, shrinking, or more than all left to chance."""
    for wrong in ({"first_s": 0.0}, {"factor": 0.5}, {"jitter": 1.5}, {"first_s": 9.0}):
        with pytest.raises(UsageError, match="is no back-off"):
            Backoff(**wrong)


# --------------------------------------------------------------------------------------------------------------- time


@given(
    st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0.0, 5.0), st.booleans()), min_size=2, max_size=100),
    st.floats(-1e5, 1e5),
)
def test_the_axis_never_goes_back(steps: list[tuple[float, float, bool]], set_by: float) -> None:
    """Whatever stamps, delays, reconnects and clock changes come: time only rises."""
    axis, stamp, wall, times = LiveAxis(), 0.0, 100.0, []
    for number, (step, late, again) in enumerate(steps):
        stamp, wall = stamp + step, wall + step
        if number == len(steps) // 2:
            wall += set_by
        if again:
            stamp = 0.0
            axis.connected()
        times.append(axis.at(stamp, wall + late))
    assert times == sorted(times)


def test_the_axis_is_as_smooth_as_the_stamps_and_follows_the_wall() -> None:
    """Delays of up to half a second do not show; a clock that is 1 % slow is at the wall's time after an hour."""
    chance = np.random.default_rng(4)
    axis, times, walls = LiveAxis(), [], []
    for number in range(36_000):
        wall = number / 10
        times.append(axis.at(wall * 0.99, wall + 0.5 * chance.random() ** 4))
        walls.append(wall)
    assert np.diff(times).max() < 0.35
    assert abs(times[-1] - walls[-1]) < 0.5


@pytest.mark.parametrize("by", [3600.0, -3600.0])
def test_a_clock_that_is_set_is_noticed(by: float) -> None:
    """An hour ahead becomes a gap within ten seconds; an hour back makes the axis run slower, never back."""
    axis = LiveAxis()
    for number in range(600):
        wall = number / 10
        axis.at(wall, wall)
    for number in range(600, 1200):
        wall = number / 10
        last = axis.at(wall, wall + by)
    assert axis.jumps == 1
    assert last == pytest.approx(119.9 + by if by > 0 else 59.9 + 0.9 * 60, abs=0.5)


def test_a_file_goes_on_where_its_last_pass_ended() -> None:
    """The second pass begins one frame after the first."""
    axis = FileAxis()
    assert [axis.at(0.0), axis.at(0.9)] == [0.0, 0.9]
    axis.next_pass(0.1)
    assert (axis.at(0.0), axis.passes) == (1.0, 1)


def test_what_piled_up_before_a_connection_is_passed_over() -> None:
    """A burst of old pictures ends with the first that comes at its own pace, at the latest after three seconds."""
    burst = Burst(0.0)
    held = [burst.holds(n / 10, 0.001 * n) for n in range(10)]
    assert held == [False] + [True] * 9
    assert not burst.holds(1.0, 0.11)
    assert not burst.holds(1.1, 0.1101)
    late = Burst(0.0)
    assert [late.holds(n / 10, 0.04 * n) for n in range(100)].index(False, 1) == 76
