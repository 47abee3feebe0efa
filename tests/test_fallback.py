"""Who answers instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.errors import UsageError
from camcount.serving.fallback import DEFAULT_CODES, FallbackChain, StandIn

CHAIN = FallbackChain(
    "large",
    (
        StandIn(target="small:1.0.0", codes=frozenset({"MODEL_003", "RES_001"})),
        StandIn(target="cloud", least_s=0.5),
        StandIn(target="motion"),
    ),
)


@pytest.mark.parametrize(
    ("failed", "code", "left_s", "target", "reason"),
    [
        ("large", "MODEL_003", 1, "small:1.0.0", "large failed with MODEL_003, small:1.0.0 stands in"),
        ("large", "SYS_001", 1, "cloud", "large failed with SYS_001, cloud stands in"),
        ("large", "SYS_001", 0.5, "cloud", "large failed with SYS_001, cloud stands in"),
        ("large", "SYS_001", 0.4, "motion", "large failed with SYS_001, motion stands in"),
        ("cloud", "MODEL_003", 1, "motion", "cloud failed with MODEL_003, motion stands in"),
        ("motion", "MODEL_003", 1, None, "motion failed with MODEL_003, nothing is left to try"),
        ("large", "INF_001", 1, None, "large failed with INF_001, nothing stands in for that"),
        ("large", "INF_004", 1, None, "large failed with INF_004, nothing stands in for that"),
        ("large", "MODEL_003", 0, None, "large failed with MODEL_003, no time is left"),
        ("large", "MODEL_003", -1, None, "large failed with MODEL_003, no time is left"),
    ],
)
def test_who_is_next(failed: str, code: str, left_s: float, target: str | None, reason: str) -> None:
    """In order, on the stated codes, in the time that is left; and it says why."""
    step = CHAIN.next(failed, code, left_s)
    assert (step.stand_in.target if step.stand_in else None, step.reason) == (target, reason)


def test_too_little_time_is_said() -> None:
    """Where somebody would stand in and could not make it, that is the reason."""
    chain = FallbackChain("large", (StandIn(target="cloud", least_s=0.5),))
    assert (
        chain.next("large", "SYS_004", 0.123).reason == "large failed with SYS_004, 0.123 s are too little for cloud"
    )


@given(
    st.lists(st.tuples(st.sampled_from([*sorted(DEFAULT_CODES), "INF_001", "INF_004"]), st.floats(0, 2)), min_size=4)
)
def test_a_chain_ends(faults: list[tuple[str, float]]) -> None:
    """Whatever fails how, nobody is asked twice, so after three stand-ins there is nobody left."""
    asked = ["large"]
    for code, left_s in faults[:4]:
        step = CHAIN.next(asked[-1], code, left_s)
        if step.stand_in is None:
            break
        asked.append(step.stand_in.target)
    else:
        pytest.fail("it went on")
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"target": ""}, "fallback '' for MODEL_002"),
        ({"target": "small", "codes": frozenset()}, "'small' for no errors"),
        ({"target": "small", "codes": frozenset({"MODEL_003", "CFG_001", "oops"})}, "'small' for CFG_001, oops"),
        ({"target": "small", "least_s": float("inf")}, "needs inf s"),
    ],
)
def test_stand_ins_that_cannot_be_are_refused(wrong: dict[str, Any], says: str) -> None:
    """Without a target, for nothing, or for what is no error of detection."""
    with pytest.raises(UsageError, match=says):
        StandIn(**wrong)


@pytest.mark.parametrize("names", [["large"], ["small", "small"]])
def test_nobody_stands_in_twice(names: list[str]) -> None:
    """Nor for himself."""
    with pytest.raises(UsageError, match=f"{names[0]} is in the fallback chain of large twice"):
        FallbackChain("large", tuple(StandIn(target=name) for name in names))


def test_a_stranger_is_not_of_the_chain() -> None:
    """Asking what follows somebody who was never asked is a mistake of the program."""
    with pytest.raises(ValueError, match="'stranger' is not in"):
        CHAIN.next("stranger", "MODEL_003", 1.0)
