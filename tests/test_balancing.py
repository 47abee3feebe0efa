"""Which lane gets the next request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.errors import ServiceError
from camcount.serving.balancing import POLICIES, Lane, LeastConnections, Policy, RoundRobin, Weighted

EVERY: dict[str, Callable[[], Policy]] = dict(POLICIES)


def three(**more: object) -> list[Lane]:
    """Three open lanes of one weight."""
    return [replace(Lane(name=name), **more) for name in "abc"]  # type: ignore[arg-type]


def turns(policy: Policy, lanes: Sequence[Lane], count: int) -> str:
    """The names chosen."""
    return "".join(lanes[policy.choose(lanes)].name for _ in range(count))


LANES = st.lists(
    st.builds(
        Lane,
        name=st.just(""),
        weight=st.integers(1, 9),
        in_flight=st.integers(0, 5),
        open=st.booleans(),
    ),
    min_size=1,
    max_size=6,
).map(lambda lanes: [replace(lane, name=f"lane {at}") for at, lane in enumerate(lanes)])


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())
@settings(deadline=None)
@given(st.lists(LANES, max_size=20))
def test_a_closed_lane_is_never_chosen(make: Callable[[], Policy], rounds: list[list[Lane]]) -> None:
    """However lanes come, go, open and close between two requests; where none is open, that is said."""
    policy = make()
    for lanes in rounds:
        if any(lane.open for lane in lanes):
            assert lanes[policy.choose(lanes)].open
        else:
            with pytest.raises(ServiceError, match=f"none of {len(lanes)} replicas"):
                policy.choose(lanes)


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())
def test_without_lanes_nothing_can_be_chosen(make: Callable[[], Policy]) -> None:
    """An empty list is an outage, not a crash."""
    with pytest.raises(ServiceError, match="none of 0"):
        make().choose([])


def test_round_robin_passes_over_what_is_closed() -> None:
    """In order, and whoever comes back has a turn again."""
    policy, lanes = RoundRobin(), three()
    assert turns(policy, lanes, 5) == "abcab"
    lanes[2] = replace(lanes[2], open=False)
    assert turns(policy, lanes, 4) == "abab"
    lanes[2] = replace(lanes[2], open=True)
    assert turns(policy, lanes, 3) == "cab"


def test_weighted_turns_are_spread() -> None:
    """Five, one, one: the heavy lane does not have its five turns in one run (the example of its inventors)."""
    lanes = [replace(lane, weight=weight) for lane, weight in zip(three(), (5, 1, 1), strict=True)]
    assert turns(Weighted(), lanes, 14) == "aabacaa" * 2


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(1, 300))
def test_weighted_shares_converge(weights: list[int], count: int) -> None:
    """At any moment each lane is within two turns of its share; after every full round it has it exactly."""
    lanes = [Lane(name=str(at), weight=weight) for at, weight in enumerate(weights)]
    policy, had = Weighted(), Counter[int]()
    for turn in range(1, count + 1):
        had[policy.choose(lanes)] += 1
        for at, weight in enumerate(weights):
            assert abs(had[at] - turn * weight / sum(weights)) < 2
            assert turn % sum(weights) or had[at] == turn // sum(weights) * weight


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), max_size=30))
def test_a_lane_that_returns_does_not_catch_up(spans: list[int]) -> None:
    """However often one of three equal lanes came and went before: in any six turns with it, it has one to three."""
    policy, lanes = Weighted(), three()
    for at, span in enumerate(spans):
        turns(policy, lanes[: 2 + at % 2], span)
    turns(policy, lanes[:2], 50)
    assert 1 <= turns(policy, lanes, 6).count("c") <= 3


def test_least_connections_weighs_the_load() -> None:
    """The idlest lane; one of double weight may have about double; equals take turns."""
    lanes = [replace(lane, in_flight=count) for lane, count in zip(three(), (2, 1, 3), strict=True)]
    assert turns(LeastConnections(), lanes, 2) == "bb"
    assert turns(LeastConnections(), three(in_flight=1), 6) == "abcabc"
    heavy = [Lane(name="a", weight=2, in_flight=2), Lane(name="b", in_flight=1)]
    assert turns(LeastConnections(), heavy, 2) == "aa"


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 60))
def test_least_connections_fills_by_weight(weights: list[int], count: int) -> None:
    """Requests that never end are spread so that no lane falls a whole request short of its share, and moving one to
    another lane would not lower the highest load."""
    lanes = [Lane(name=str(at), weight=weight) for at, weight in enumerate(weights)]
    policy = LeastConnections()
    for _ in range(count):
        at = policy.choose(lanes)
        lanes[at] = replace(lanes[at], in_flight=lanes[at].in_flight + 1)
    assert all(lane.in_flight > count * lane.weight / sum(weights) - 1 for lane in lanes)
    highest = max(lane.in_flight / lane.weight for lane in lanes)
    assert all((lane.in_flight + 1) / lane.weight >= highest for lane in lanes)
