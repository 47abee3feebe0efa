"""When replicas are added and taken away, and when they are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camcount.errors import UsageError
from camcount.serving.scaling import Load, Scale, Scaling, ScalingSettings, Threshold

FOUR = ScalingSettings(minimum=1, maximum=4, up_s=5, down_s=60, cooldown_s=15)
HEAVY = Load(replicas=0, queued=100, busy=1.0, wait_s=1.0)
QUIET = Load(replicas=0)
MIDDLE = Load(replicas=0, queued=1, busy=0.7, wait_s=0.05)


def run(loads: Iterator[Load], start: int = 1, limits: ScalingSettings = FOUR) -> list[Scale]:
    """What is decided second by second, where each decision is carried out at once."""
    scaling, replicas, decided = Scaling(limits), start, []
    for now, load in enumerate(loads):
        decided.append(scaling.decide(replace(load, replicas=replicas), float(now)))
        replicas = decided[-1].replicas
    return decided


def seconds(*spans: tuple[Load, int]) -> Iterator[Load]:
    """Each load for so many seconds."""
    for load, count in spans:
        yield from [load] * count


def changes(decided: list[Scale], start: int = 1) -> dict[int, int]:
    """At which second the number became what."""
    before = [start] + [scale.replicas for scale in decided]
    return {now: after for now, after in enumerate(before[1:]) if after != before[now]}


def test_lasting_load_adds_one_replica_at_a_time() -> None:
    """After 5 s of load, then never sooner than 15 s after the last change, up to the most; each says why."""
    decided = run(seconds((HEAVY, 100)))
    assert changes(decided) == {5: 2, 20: 3, 35: 4}
    assert decided[5].reason == "queue per replica 100 >= 4, busy 1 >= 0.9, p95 wait 1 >= 0.1 for 5 s"
    assert decided[4].reason == "load that has not lasted yet"
    assert decided[10].reason == "changed less than 15 s ago"
    assert "4 is the most allowed" in decided[99].reason


def test_long_quiet_takes_one_away_at_a_time() -> None:
    """After a minute of quiet each, down to the least."""
    decided = run(seconds((QUIET, 300)), start=3)
    assert changes(decided, 3) == {60: 2, 121: 1}
    assert decided[60].reason == "quiet for 60 s"


@pytest.mark.parametrize("load", [replace(QUIET, queued=4), replace(QUIET, busy=0.9), replace(QUIET, wait_s=0.1)])
def test_each_sign_of_load_is_enough(load: Load) -> None:
    """A queue, busy replicas or waiting alone add a replica."""
    assert run(seconds((load, 6)))[-1].replicas == 2


@pytest.mark.parametrize("load", [replace(QUIET, queued=4), replace(QUIET, busy=0.5), replace(QUIET, wait_s=0.05)])
def test_quiet_means_quiet_in_every_sign(load: Load) -> None:
    """A few that wait, half-busy replicas or some waiting keep all replicas."""
    assert not changes(run(seconds((load, 300)), start=3), 3)


@pytest.mark.parametrize("period_s", [1, 2, 4])
def test_flapping_load_does_not_flap_replicas(period_s: int) -> None:
    """Load that comes and goes every few seconds for ten minutes changes nothing."""
    spans = [(load, period_s) for _ in range(600 // period_s // 2) for load in (HEAVY, QUIET)]
    assert not changes(run(seconds(*spans), start=2), 2)


def test_one_spike_resets_the_quiet() -> None:
    """A second of load at second 50 puts the taking away off by a minute from there."""
    assert changes(run(seconds((QUIET, 50), (HEAVY, 1), (QUIET, 100)), start=2), 2) == {111: 1}


def test_load_between_the_thresholds_changes_nothing() -> None:
    """That is the hysteresis: neither what came from above nor what came from below moves on."""
    for before in (HEAVY, QUIET):
        assert not changes(run(seconds((before, 4), (MIDDLE, 500)), start=2), 2)


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 4), st.integers(1, 4))
@example(1.8, 1)
def test_steady_work_never_sways(work: float, start: int) -> None:
    """Whatever constant work comes (in replicas kept busy), the number settles: it never turns around twice."""

    def load(replicas: int) -> Load:
        return Load(replicas=replicas, busy=min(1.0, work / replicas), queued=99 if work > replicas else 0)

    narrow = replace(FOUR, busy=Threshold(high=0.9, low=0.8))
    scaling, replicas, steps = Scaling(narrow), start, []
    for now in range(1000):
        after = scaling.decide(load(replicas), float(now)).replicas
        steps += [after - replicas] if after != replicas else []
        replicas = after
    assert len(set(steps)) <= 1
    assert all(abs(step) == 1 for step in steps)


LOADS = st.builds(
    Load, replicas=st.integers(0, 8), queued=st.integers(0, 50), busy=st.floats(0, 1), wait_s=st.floats(0, 1)
)


@settings(deadline=None)
@given(st.lists(st.tuples(LOADS, st.floats(0, 30)), max_size=60))
def test_it_stays_within_its_limits(looks: list[tuple[Load, float]]) -> None:
    """One step at most, never out of the range, always towards it, and within it never sooner than the cool-down."""
    scaling, now, changed = Scaling(FOUR), 0.0, -100.0
    for load, later in looks:
        now += later
        decided = scaling.decide(load, now)
        assert decided.reason
        assert abs(decided.replicas - load.replicas) <= 1
        if not 1 <= load.replicas <= 4:
            assert abs(decided.replicas - 2.5) < abs(load.replicas - 2.5)
        else:
            assert 1 <= decided.replicas <= 4
            assert decided.replicas == load.replicas or now >= changed + 15
        changed = now if decided.replicas != load.replicas else changed


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"minimum": 0}, "expected 1 <= minimum"),
        ({"minimum": 3, "maximum": 2}, "from 3 to 2 replicas"),
        ({"busy": Threshold(high=0.3, low=0.3)}, "busy from 0.3 to 0.3"),
        ({"queue": Threshold(high=float("nan"), low=0)}, "queue from 0 to nan"),
        ({"down_s": -1}, "down_s is -1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], says: str) -> None:
    """Thresholds without a gap, times below 0, a range that is none."""
    make: Callable[..., ScalingSettings] = ScalingSettings
    with pytest.raises(UsageError, match=says):
        make(**wrong)
