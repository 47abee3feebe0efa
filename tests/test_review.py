"""Samples, answers and what follows from them."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from camcount.commands.review_page import page, serve
from camcount.errors import UsageError
from camcount.evaluation.review import Answer, Review, answers_from_truth, plan, read_answers, write_answers
from camcount.evaluation.review_report import report
from camcount.evaluation.truth import load_truth
from camcount.events import Crossing, Direction
from tests.test_values import crossing


def crossings(count: int, every_s: float = 2.0) -> list[Crossing]:
    """In and out by turns, one every so many seconds."""
    ways: tuple[Direction, Direction] = ("in", "out")
    return [crossing(time_s=1 + i * every_s, direction=ways[i % 2], track_id=i) for i in range(count)]


def look(review: Review, wrong: int = 0, missed: int = 0) -> list[Answer]:
    """Everything is right but the first so many crossings; so many are missed in the first quiet moment."""
    answers = []
    for item in review.items:
        if item.crossing:
            answers.append(Answer(number=item.number, verdict="no" if wrong > 0 else "yes"))
            wrong -= 1
        else:
            answers.append(Answer(number=item.number, missed={"in": missed, "out": 0}))
            missed = 0
    return answers


def test_the_same_seed_draws_the_same_sample_and_another_one_another() -> None:
    """A review can be made again from its seed."""
    drawn = [plan(crossings(100), ["gate"], 300.0, seed=seed).items for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_events_are_drawn_evenly_over_lines_and_directions() -> None:
    """A direction with few crossings is looked at as closely as one with many."""
    many = [crossing(time_s=float(i), track_id=i) for i in range(90)]
    few = [crossing(time_s=100.0 + i, track_id=100 + i, direction="out") for i in range(10)]
    items = [i.crossing for i in plan(many + few, ["gate"], 120.0, events=20).items if i.crossing]
    assert [sum(c.direction == d for c in items) for d in ("in", "out")] == [10, 10]


def test_quiet_moments_hold_no_crossing_and_busy_ones_do() -> None:
    """The kinds are what they are called."""
    review = plan(crossings(10), ["gate"], 120.0)
    for item in review.items:
        inside = [c for c in review.crossings if item.start_s <= c.time_s < item.end_s]
        assert item.kind == "event" or bool(inside) == (item.kind == "busy")


def test_everything_looked_at_and_right_leaves_no_doubt() -> None:
    """Accuracy 1, bounds 1 to 1."""
    review = plan(crossings(8), ["gate"], 16.0, events=8, moments=4)
    result = report(review, look(review))
    assert result["total"]["accuracy"] == {"estimate": 1.0, "low": 1.0, "high": 1.0}
    assert result["total"]["true"]["estimate"] == 8


def test_wrong_and_missed_crossings_are_told_apart_though_they_cancel_out() -> None:
    """One too many and one too few: the total is right, precision and recall are not."""
    review = plan(crossings(8), ["gate"], 20.0, events=8, moments=5)
    figures = report(review, look(review, wrong=1, missed=1))["total"]
    assert figures["true"]["estimate"] == 8
    assert figures["accuracy"]["estimate"] == 1.0
    assert figures["precision"]["estimate"] == pytest.approx(7 / 8)
    assert figures["recall"]["estimate"] == pytest.approx(7 / 8)


def test_the_other_way_counts_for_the_other_direction() -> None:
    """Ten in of which five went out are five in and five out."""
    review = plan([crossing(time_s=float(i), track_id=i) for i in range(10)], ["gate"], 12.0, events=10, moments=3)
    verdicts = iter(["yes", "other"] * 5)
    answers = [
        Answer(number=i.number, verdict=next(verdicts)) if i.crossing else Answer(number=i.number, missed={"in": 0})  # type: ignore[arg-type]
        for i in review.items
    ]
    directions = report(review, answers)["directions"]
    assert [directions[d]["true"]["estimate"] for d in ("in", "out")] == [5, 5]


def test_a_larger_sample_is_surer() -> None:
    """The interval narrows."""
    widths = []
    for events in (10, 100):
        review = plan(crossings(400), ["gate"], 1000.0, events=events, moments=events)
        bounds = report(review, look(review))["total"]["precision"]
        widths.append(bounds["high"] - bounds["low"])
    assert widths[1] < widths[0] / 2


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    """Simulated reviews of counts of which 80 % are right: the bounds cover that in about 95 %."""
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(100):
        truth = rng.random(200) < 0.8
        review = plan(crossings(200), ["gate"], 420.0, events=40, moments=10, seed=seed)
        answers = [
            Answer(number=i.number, verdict="yes" if truth[i.crossing.track_id] else "no")
            if i.crossing
            else Answer(number=i.number, missed={"in": 0})
            for i in review.items
        ]
        bounds = report(review, answers, seed=seed)["total"]["precision"]
        held += bounds["low"] <= truth.mean() <= bounds["high"]
    assert 88 <= held <= 100


def test_a_truth_file_answers_like_a_person_who_knows(data: Path) -> None:
    """The six who leave, of whom one was missed, one counted the other way and one invented."""
    truth = load_truth(data / "truth/one-by-one-person-detection.yaml")
    times = [e.time_s for e in truth.events]
    counted = [crossing(line="exit", direction="out", time_s=t, track_id=i) for i, t in enumerate(times[1:])]
    counted[0] = crossing(line="exit", direction="in", time_s=times[1], track_id=0)
    counted.append(crossing(line="exit", direction="out", time_s=100.0, track_id=9))
    review = plan(counted, ["exit"], 139.4, events=10, moments=100)
    result = report(review, answers_from_truth(review, truth))
    assert result["total"]["true"]["estimate"] == pytest.approx(6, abs=0.01)
    assert result["directions"]["in"]["precision"]["estimate"] == 0.0
    assert result["directions"]["out"]["precision"]["estimate"] == pytest.approx(4 / 5)


def test_answers_survive_being_written_and_read(tmp_path: Path) -> None:
    """The form keeps what was said, and what was not said stays open."""
    review = plan(crossings(10), ["gate"], 60.0)
    given = look(review)[:7]
    write_answers(review, tmp_path / "answers.csv", given)
    back = read_answers(review, tmp_path / "answers.csv")
    assert [(a.number, a.verdict) for a in back] == [(a.number, a.verdict) for a in given]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",yes,", ",perhaps,", "yes, no or other"),
        ("event,gate", "event,door", "another review"),
        (",0,0", ",x,0", "how many"),
    ],
)
def test_a_form_that_says_something_else_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    """With the row and what would be right."""
    review = plan(crossings(10), ["gate"], 60.0)
    path = tmp_path / "answers.csv"
    write_answers(review, path, look(review))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UsageError, match=said):
        read_answers(review, path)


def test_nothing_counted_and_no_line_cannot_be_verified() -> None:
    """There is nothing to draw from."""
    with pytest.raises(UsageError, match="nothing to verify"):
        plan([], [], 10.0)


def test_the_page_asks_of_every_item_and_keeps_answers_over_http(tmp_path: Path) -> None:
    """One article an item; a posted form is kept whole, a wrong request is refused."""
    review = plan(crossings(6), ["gate & <door>"], 30.0)
    text = page(review.items)
    assert text.count("<article ") == len(review.items)
    assert "<door>" not in text
    saved: list[bool] = []
    server, address = serve(tmp_path, 0, lambda: saved.append(True))
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address + "answers", b"number\n", method="POST")
        ) as answer:
            assert answer.status == 204
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(address + "other", b"x", method="POST"))
    finally:
        server.shutdown()
        server.server_close()
    assert (tmp_path / "answers.csv").read_text() == "number\n"
    assert saved == [True]
