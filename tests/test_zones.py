"""Zones: entering, leaving, dwell, occupancy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from camcount.counting.zones import ENDED, ZoneCounter, ZoneSettings
from camcount.detections import Tracks
from camcount.errors import GeometryError
from camcount.events import Event, ZoneEntered, ZoneLeft
from camcount.geometry import Zone
from tests.paths import count, tracks_at, walk

HALL = Zone("hall", ((100, 0), (200, 0), (200, 200), (100, 200)))
"""x from 100 to 200."""


def _counter(*zones: Zone, settings: ZoneSettings | None = None) -> ZoneCounter:
    return ZoneCounter(zones or (HALL,), 400, 200, camera_id="cam", settings=settings)


def _walking(*stops: tuple[float, float], fps: float = 10, until: float | None = None) -> list[tuple[float, Tracks]]:
    """One track, id 1, at height 100 through ``(time_s, x)``; empty frames follow ``until``."""
    frames = [(t, tracks_at({1: foot})) for t, foot in walk(*((t, x, 100.0) for t, x in stops), fps=fps)]
    last = frames[-1][0]
    while until is not None and last < until:
        last += 1 / fps
        frames.append((last, tracks_at({})))
    return frames


def _told(events: list[Event]) -> list[tuple[str, float]]:
    return [(event.type, round(event.time_s, 2)) for event in events]


def test_walking_through_is_one_entry_and_one_exit_dated_at_the_edges() -> None:
    """In at x=100 after 1 s, out at x=200 after 2 s, though both are understood later."""
    events = count(_counter(), _walking((0, 1), (4, 401)))
    assert _told(events) == [("zone_entered", 1.0), ("zone_left", 2.0)]
    entered, left = events
    assert isinstance(entered, ZoneEntered)
    assert entered.reason == "came in over the edge and stayed 0.3 s"
    assert entered.point == pytest.approx((101, 100))
    assert entered.confidence == pytest.approx(0.8)
    assert isinstance(left, ZoneLeft)
    assert left.dwell_s == pytest.approx(1.0)
    assert left.label == "person"


def test_jitter_at_the_edge_makes_no_events() -> None:
    """In and out every frame is standing on the edge."""
    frames = [(i / 10, tracks_at({1: (99.0 + 2 * (i % 2), 100.0)})) for i in range(40)]
    assert count(_counter(), frames) == []


def test_jitter_out_of_the_zone_does_not_end_a_visit() -> None:
    """An absence shorter than the hold is none."""
    events = count(_counter(), _walking((0, 50), (1, 150), (2, 150), (2.1, 205), (2.2, 150), (4, 150), (5, 50)))
    assert [event.type for event in events] == ["zone_entered", "zone_left"]


def test_first_seen_inside_is_an_entry_that_says_so() -> None:
    """Whoever appears inside has entered there and then."""
    events = count(_counter(), _walking((0, 150), (2, 150)), finish=False)
    assert _told(events) == [("zone_entered", 0.0)]
    assert events[0].reason == "was first seen inside and stayed 0.3 s"


def test_jumping_in_is_an_entry() -> None:
    """A track need not be seen on the edge."""
    events = count(_counter(), [*_walking((0, 20), (1, 20)), *_walking((1.1, 150), (2, 150))], finish=False)
    assert _told(events) == [("zone_entered", 1.1)]


def test_a_track_lost_inside_leaves_when_it_was_last_seen() -> None:
    """The exit comes after the grace and is dated before it."""
    events = count(_counter(), _walking((0, 50), (1, 150), (2, 150), until=5), finish=False)
    assert _told(events) == [("zone_entered", 0.5), ("zone_left", 2.0)]
    assert "lost inside" in events[1].reason


def test_a_track_lost_while_going_out_leaves_when_it_went() -> None:
    """Seen outside only once: it went all the same."""
    events = count(_counter(), _walking((0, 150), (1, 150), (1.1, 220), until=5), finish=False)
    assert _told(events) == [("zone_entered", 0.0), ("zone_left", 1.1)]
    assert events[1].reason == "went out and was not seen again"


def test_a_short_gap_does_not_end_a_visit() -> None:
    """Hidden for less than the grace: still inside."""
    frames = [*_walking((0, 150), (1, 150)), *_walking((2.5, 150), (4, 150))]
    assert [e.type for e in count(_counter(), frames, finish=False)] == ["zone_entered"]


def test_whoever_is_inside_at_the_end_leaves_with_that_reason() -> None:
    """The stream of events is closed, and tells this exit from a true one."""
    events = count(_counter(), _walking((0, 150), (2, 150)))
    assert events[-1].reason == ENDED
    assert isinstance(events[-1], ZoneLeft)
    assert events[-1].dwell_s == pytest.approx(2.0)


def test_unconfirmed_tracks_count_backwards_once_confirmed() -> None:
    """Nothing until it is confirmed; then what lies behind it."""
    counter = _counter()
    tentative = [(t, tracks_at({1: foot}, confirmed=False)) for t, foot in walk((0, 50, 9), (1, 150, 9), (2, 150, 9))]
    assert count(counter, tentative, finish=False) == []
    assert counter.occupancy() == {"hall": {}}
    assert _told(counter.update(tracks_at({1: (150, 9)}), 2.1)) == [("zone_entered", 0.5)]
    assert counter.occupancy() == {"hall": {"person": 1}}


def test_tracks_never_confirmed_count_nothing() -> None:
    """Noise leaves no trace, lost or at the end."""
    frames = [(i / 10, tracks_at({1: (150, 100)}, confirmed=False)) for i in range(20)]
    assert count(_counter(), [*frames, *((2 + i / 10, tracks_at({})) for i in range(30))]) == []
    assert count(_counter(), frames) == []


def test_occupancy_is_by_label_and_zone() -> None:
    """Two people and a dog in one zone, one of them in a second zone too."""
    corner = Zone("corner", ((180, 0), (399, 0), (399, 200), (180, 200)))
    counter = _counter(HALL, corner)
    feet = {1: (150.0, 50.0), 2: (190.0, 50.0), 3: (160.0, 50.0)}
    frames = [(i / 10, tracks_at(feet, labels={3: "dog"})) for i in range(10)]
    count(counter, frames, finish=False)
    assert counter.occupancy() == {"hall": {"person": 2, "dog": 1}, "corner": {"person": 1}}
    counter.reset()
    assert counter.occupancy() == {"hall": {}, "corner": {}}


def test_a_zones_own_labels_and_anchor_go_first() -> None:
    """Only dogs are counted, by the centre of the box, which lies 20 pixels above the foot."""
    upper = Zone("upper", ((0, 0), (400, 0), (400, 50), (0, 50)), anchor="centre", labels=("dog",))
    frames = [(i / 10, tracks_at({1: (50, 60), 2: (99, 60)}, labels={2: "dog"})) for i in range(10)]
    events = count(ZoneCounter([upper], 400, 200), frames, finish=False)
    assert [event.track_id for event in events] == [2]
    assert events[0].point == pytest.approx((99, 40))


def test_time_on_the_clock_and_ids_are_stable() -> None:
    """Same input, same id; the clock is the start plus the time."""
    start = datetime(2024, 3, 1, 8, tzinfo=UTC)
    runs = [
        count(ZoneCounter([HALL], 400, 200, camera_id="cam", start_time=start), _walking((0, 50), (2, 150)))
        for _ in range(2)
    ]
    assert [e.event_id for e in runs[0]] == [e.event_id for e in runs[1]]
    assert runs[0][0].time == datetime(2024, 3, 1, 8, 0, 1, tzinfo=UTC)
    assert runs[0][0].camera_id == "cam"


def test_one_frame_a_second_is_enough() -> None:
    """Times are seconds: at a low rate two looks inside hold longer than is asked."""
    events = count(_counter(), _walking((0, 0), (10, 400), fps=1), finish=False)
    assert _told(events) == [("zone_entered", 3.0), ("zone_left", 5.0)]


def test_state_of_lost_tracks_is_let_go() -> None:
    """A thousand short tracks leave nothing behind."""
    counter = _counter()
    for index in range(1000):
        counter.update(tracks_at({index + 1: (150, 100)}), index / 10)
        assert len(counter._tracks) <= 22
    counter.update(tracks_at({}), 200.0)
    assert not counter._tracks


def test_a_zone_that_cannot_count_is_refused() -> None:
    """Outside the picture, told at once."""
    with pytest.raises(GeometryError, match="outside the 400x200 picture"):
        _counter(Zone("far", ((0, 0), (900, 0), (900, 100))))
