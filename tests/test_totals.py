"""Events to totals."""

from __future__ import annotations

import pytest

from camcount.counting.samples import Sample
from camcount.counting.totals import Totals
from camcount.counting.zones import ENDED
from camcount.events import Crossing, Direction, Event, FlowCompleted, ZoneEntered, ZoneLeft
from camcount.geometry import Line, Zone

GATE = Line("gate", ((0, 0.5), (1, 0.5)))
DOOR = Line("door", ((0, 0.2), (1, 0.2)))
HALL = Zone("hall", ((0, 0), (1, 0), (1, 1)))


def _common(label: str) -> dict[str, object]:
    return {
        "camera_id": "cam",
        "time_s": 1.0,
        "track_id": 1,
        "label": label,
        "confidence": 0.5,
        "reason": "",
        "point": (0.0, 0.0),
    }


def _crossing(line: str, direction: Direction, label: str = "person") -> Crossing:
    return Crossing(**_common(label), line=line, direction=direction)  # type: ignore[arg-type]


def _entered(label: str = "person") -> ZoneEntered:
    return ZoneEntered(**_common(label), zone="hall")  # type: ignore[arg-type]


def _left(dwell_s: float, label: str = "person", reason: str = "") -> ZoneLeft:
    return ZoneLeft(**_common(label) | {"reason": reason}, zone="hall", dwell_s=dwell_s)  # type: ignore[arg-type]


def _flow(origin: str, destination: str, label: str = "person") -> FlowCompleted:
    return FlowCompleted(**_common(label), origin=origin, destination=destination, travel_s=1.0)  # type: ignore[arg-type]


def _totals(*events: Event) -> Totals:
    totals = Totals([GATE, DOOR], [HALL])
    for event in events:
        totals.add(event)
    return totals


def test_lines_add_up_by_label_and_idle_ones_are_there() -> None:
    """Sums are over labels; a line that nobody crossed has zeros."""
    lines = _totals(
        _crossing("gate", "in"), _crossing("gate", "in", "car"), _crossing("gate", "out"), _crossing("gate", "in")
    ).as_dict()["lines"]
    assert lines == {
        "gate": {"in": 3, "out": 1, "by_label": {"person": {"in": 2, "out": 1}, "car": {"in": 1, "out": 0}}},
        "door": {"in": 0, "out": 0, "by_label": {}},
    }


def test_a_line_may_come_later() -> None:
    """A proposed line joins at zero, and joining twice loses nothing."""
    totals = _totals()
    totals.add_line(Line("proposed", ((0, 0.5), (1, 0.5))))
    totals.add(_crossing("proposed", "in"))
    totals.add_line(Line("proposed", ((0, 0.5), (1, 0.5))))
    assert totals.as_dict()["lines"]["proposed"]["in"] == 1


def test_zones_tell_entries_exits_occupancy_and_dwell() -> None:
    """Three came, two left after 2 s and 6 s."""
    zone = _totals(_entered(), _entered(), _entered("dog"), _left(2.0), _left(6.0, "dog")).as_dict()["zones"]["hall"]
    assert zone == {
        "entries": 3,
        "exits": 2,
        "occupancy": 1,
        "dwell_s": {"mean": 4.0, "median": 4.0, "max": 6.0},
        "by_label": {
            "person": {"entries": 2, "exits": 1, "occupancy": 1},
            "dog": {"entries": 1, "exits": 1, "occupancy": 0},
        },
    }


def test_still_inside_at_the_end_is_occupancy_not_exit() -> None:
    """Nobody left, but the time counts as dwell."""
    zone = _totals(_entered(), _left(9.0, reason=ENDED)).as_dict()["zones"]["hall"]
    assert (zone["entries"], zone["exits"], zone["occupancy"]) == (1, 0, 1)
    assert zone["dwell_s"]["max"] == 9.0


def test_an_empty_zone_has_no_dwell() -> None:
    """None, not zero: nobody stayed for zero seconds."""
    zone = _totals().as_dict()["zones"]["hall"]
    assert zone["dwell_s"] == {"mean": None, "median": None, "max": None}
    assert (zone["entries"], zone["by_label"]) == (0, {})


def test_flows_are_listed_and_make_a_matrix() -> None:
    """By origin, destination and label."""
    totals = _totals(_flow("gate", "door"), _flow("gate", "door", "car"), _flow("door", "gate"))
    assert totals.as_dict()["flows"] == [
        {"from": "door", "to": "gate", "count": 1, "by_label": {"person": 1}},
        {"from": "gate", "to": "door", "count": 2, "by_label": {"person": 1, "car": 1}},
    ]
    assert totals.matrix() == {"gate": {"gate": 0, "door": 2}, "door": {"gate": 1, "door": 0}}
    assert totals.matrix("car") == {"gate": {"gate": 0, "door": 1}, "door": {"gate": 0, "door": 0}}


def test_events_of_other_kinds_change_nothing() -> None:
    """A new kind of event does not break old totals."""
    totals = _totals(Event(**_common("person")))  # type: ignore[arg-type]
    assert totals.as_dict() == _totals().as_dict()


def test_sample_stays_small_and_near_the_truth() -> None:
    """Of 50,000 numbers it keeps 4,096: mean and highest exact, the median within 2 %."""
    sample = Sample()
    for number in range(50_001):
        sample.add(float(number))
    assert len(sample._kept) == 4096
    assert (sample.count, sample.mean, sample.highest) == (50_001, 25_000.0, 50_000.0)
    assert sample.quantile(0.5) == pytest.approx(25_000, rel=0.02)
    other = sample.copy()
    other.add(1e9)
    assert sample.highest == 50_000.0
