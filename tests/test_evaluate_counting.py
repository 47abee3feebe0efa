"""Counted crossings against true ones."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.evaluation.counting import evaluate_counting
from camcount.evaluation.truth import TrueCrossing, Truth, load_truth
from camcount.events import Crossing, Direction
from camcount.geometry import Line

GATE = Line("gate", ((0, 0.5), (1, 0.5)))
DOOR = Line("door", ((0, 0.2), (1, 0.2)))


def _crossing(time_s: float, direction: Direction = "in", line: str = "gate", label: str = "person") -> Crossing:
    return Crossing(
        camera_id="cam",
        time_s=time_s,
        track_id=1,
        label=label,
        confidence=0.9,
        reason="",
        point=(0, 0),
        line=line,
        direction=direction,
    )


def _true(
    time_s: float,
    direction: Direction = "in",
    line: str = "gate",
    label: str = "person",
    certain: bool = True,
    tolerance_s: float = 1.0,
) -> TrueCrossing:
    return TrueCrossing(
        line=line, time_s=time_s, direction=direction, label=label, certain=certain, tolerance_s=tolerance_s
    )


def _truth(*events: TrueCrossing, labels: tuple[str, ...] = ("person",)) -> Truth:
    return Truth(path=Path("truth.yaml"), lines=(GATE, DOOR), events=events, labels=labels)


def test_hand_computed_case() -> None:
    """Four true, five counted, three of them right; worked out on paper.

    Gate in: true 1, 5; counted 1.4, 4.2, 9: two hits, one false. Gate out: true 3; counted 7: missed, false.
    Door out: true 2; counted 2: one hit. Hits 3, false 2, missed 1: precision 3/5, recall 3/4, F1 6/9; the
    counts are off by one in gate in only: error 1/4.
    """
    truth = _truth(_true(1), _true(5), _true(3, "out"), _true(2, "out", "door"))
    counted = [
        _crossing(1.4),
        _crossing(4.2),
        _crossing(9),
        _crossing(7, "out"),
        _crossing(2, "out", "door"),
    ]
    score = evaluate_counting(counted, truth).as_dict()
    gate = score["lines"]["gate"]
    assert gate["counted"] == {"in": 3, "out": 1}
    assert gate["true"] == {"in": 2, "out": 1}
    assert (gate["precision"], gate["recall"], gate["f1"]) == pytest.approx((2 / 4, 2 / 3, 4 / 7))
    assert score["lines"]["door"]["f1"] == 1.0
    overall = score["overall"]
    assert (overall["precision"], overall["recall"]) == pytest.approx((3 / 5, 3 / 4))
    assert (overall["f1"], overall["weighted_error"]) == pytest.approx((6 / 9, 1 / 4))
    assert (overall["true_positives"], overall["false_positives"], overall["false_negatives"]) == (3, 2, 1)


def test_matching_is_one_to_one_and_as_many_as_can_be() -> None:
    """Taking the nearest first would match 2.0 to 2.4 and leave 1.5 and 3.3 alone."""
    score = evaluate_counting([_crossing(2.0), _crossing(3.3)], _truth(_true(1.5), _true(2.4)))
    assert score.lines["gate"]["in"].hit == 2
    twice = evaluate_counting([_crossing(1.0), _crossing(1.1)], _truth(_true(1.0)))
    assert (twice.lines["gate"]["in"].hit, twice.lines["gate"]["in"].false) == (1, 1)


def test_direction_line_and_tolerance_must_fit() -> None:
    """The right moment in the wrong direction, on the wrong line, or too late is wrong."""
    truth = _truth(_true(1.0, tolerance_s=0.5))
    assert evaluate_counting([_crossing(1.5)], truth).lines["gate"]["in"].hit == 1
    for wrong in (_crossing(1.6), _crossing(1.0, "out"), _crossing(1.0, line="door")):
        assert evaluate_counting([wrong], truth).as_dict()["overall"]["true_positives"] == 0


def test_tolerance_is_not_lost_in_floating_point() -> None:
    """1.58 - 0.58 is exactly the tolerance to a person."""
    assert evaluate_counting([_crossing(0.58)], _truth(_true(1.58))).lines["gate"]["in"].hit == 1


def test_uncertain_crossings_may_be_counted_or_not() -> None:
    """Counting one is neither right nor wrong, leaving it out is no miss, and the error allows for both."""
    truth = _truth(_true(1), _true(5, certain=False))
    with_it = evaluate_counting([_crossing(1), _crossing(5)], truth).as_dict()
    without = evaluate_counting([_crossing(1)], truth).as_dict()
    for score in (with_it, without):
        overall = score["overall"]
        assert (overall["precision"], overall["recall"], overall["weighted_error"]) == (1.0, 1.0, 0.0)
        assert (overall["true_positives"], score["lines"]["gate"]["true"]["in"]) == (1, 1)
    three = evaluate_counting([_crossing(1), _crossing(5), _crossing(5.1)], truth).as_dict()["overall"]
    assert (three["precision"], three["weighted_error"]) == (0.5, 1.0)


def test_a_certain_crossing_goes_before_a_nearer_uncertain_one() -> None:
    """One counted between the two belongs to the one that must be counted."""
    score = evaluate_counting([_crossing(1.9)], _truth(_true(1), _true(2, certain=False)))
    assert (score.lines["gate"]["in"].hit, score.lines["gate"]["in"].free) == (1, 0)


@pytest.mark.parametrize(
    ("counted", "true", "hit"),
    [
        ("car", "vehicle", 1),
        ("bicycle", "vehicle", 1),
        ("vehicle", "vehicle", 1),
        ("object", "vehicle", 1),
        ("object", "person", 1),
        ("person", "vehicle", 0),
        ("car", "truck", 0),
    ],
)
def test_labels_match_as_the_truth_means_them(counted: str, true: str, hit: int) -> None:
    """A vehicle is any of five; an object of unknown kind is anything."""
    truth = _truth(_true(1, label=true), labels=(true,))
    assert evaluate_counting([_crossing(1, label=counted)], truth).lines["gate"]["in"].hit == hit


def test_labels_that_were_not_looked_for_are_left_out() -> None:
    """A dog is no false person; but a person is a false one where people were looked for too."""
    only_cars = _truth(_true(1, label="vehicle"), labels=("vehicle",))
    assert evaluate_counting([_crossing(9, label="dog")], only_cars).lines["gate"]["in"].counted == 0
    both = _truth(_true(1, label="vehicle"), labels=("vehicle", "person"))
    assert evaluate_counting([_crossing(1)], both).lines["gate"]["in"].false == 1


def test_a_negative_clip_is_perfect_when_nothing_is_counted() -> None:
    """No division by zero: all ratios are 1, the error 0; each false one is an error of 1."""
    empty = _truth()
    overall = evaluate_counting([], empty).as_dict()["overall"]
    assert (overall["precision"], overall["recall"], overall["f1"], overall["weighted_error"]) == (1, 1, 1, 0)
    wrong = evaluate_counting([_crossing(1), _crossing(2)], empty).as_dict()["overall"]
    assert (wrong["precision"], wrong["recall"], wrong["f1"], wrong["weighted_error"]) == (0, 1, 0, 2)


def test_lines_that_the_truth_does_not_have_are_left_out() -> None:
    """Only what was looked at can be judged."""
    assert list(evaluate_counting([_crossing(1, line="back")], _truth()).lines) == ["gate", "door"]


def test_the_truth_itself_scores_perfectly(data: Path) -> None:
    """Every real truth file, its own certain events given as counted, with and without the uncertain ones."""
    for path in sorted((data / "truth").glob("*.yaml")):
        truth = load_truth(path)
        for events in (truth.events, [e for e in truth.events if e.certain]):
            counted = [_crossing(e.time_s, e.direction, e.line, e.label) for e in events]
            overall = evaluate_counting(counted, truth).as_dict()["overall"]
            assert (overall["precision"], overall["recall"], overall["weighted_error"]) == (1, 1, 0), path


TIMES = st.lists(st.integers(0, 40).map(lambda n: n / 4), max_size=5)


@given(TIMES, st.lists(st.tuples(st.integers(0, 40).map(lambda n: n / 4), st.booleans()), max_size=5))
def test_no_other_matching_is_better(counted: list[float], true: list[tuple[float, bool]]) -> None:
    """Against trying every assignment: most certain hits, then most uncertain ones."""
    score = evaluate_counting(
        [_crossing(t) for t in counted], _truth(*[_true(t, certain=certain) for t, certain in true])
    ).lines["gate"]["in"]
    slots: list[float | None] = [*counted, *([None] * len(true))]
    best = (0, 0)
    for chosen in itertools.permutations(slots, len(true)):
        near = [c for t, (e, c) in zip(chosen, true, strict=True) if t is not None and abs(t - e) <= 1]
        best = max(best, (sum(near), len(near) - sum(near)))
    assert (score.hit, score.free) == best
    assert score.hit + score.free + score.false == len(counted)
    assert score.hit + score.missed == sum(certain for _, certain in true)
