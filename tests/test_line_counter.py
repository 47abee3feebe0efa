"""The line counter as a part: what its events carry, what it forgets, and its geometry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.counting.bodies import Bodies, BodySettings
from camcount.counting.crossing import CrossingSettings, Open, kept, kept_at_end
from camcount.counting.lines import LineCounter
from camcount.counting.sides import Sides
from camcount.detections import Tracks
from camcount.errors import GeometryError
from camcount.events import Crossing
from camcount.geometry import Line, side

GATE = Line("gate", ((0.1, 0.5), (0.9, 0.5)))


def tracks(*rows: tuple[float, ...], confirmed: bool = True) -> Tracks:
    """People 100 high, each given as id, foot x, foot y."""
    boxes = np.array([(x - 20, y - 100, x + 20, y) for _, x, y in rows], np.float32).reshape(-1, 4)
    n = len(rows)
    ids = np.array([r[0] for r in rows], np.int64)
    sure = np.full(n, 0.9, np.float32)
    return Tracks(boxes, sure, np.zeros(n, np.int32), ids, np.full(n, confirmed), ("person",))


def walk(counter: LineCounter, start: float = 0.0, number: int = 1, fps: float = 25.0) -> list[Crossing]:
    """Somebody walks down over the gate in two seconds; what is reported on the way."""
    found = []
    for k in range(int(2 * fps)):
        found += counter.update(tracks((number, 320, 160 + 160 * k / (2 * fps))), start + k / fps)
    return [e for e in found if isinstance(e, Crossing)]


def test_an_event_says_everything() -> None:
    """Who, where, when on both clocks, which way, how sure, and why."""
    start = datetime(2024, 6, 7, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    counter = LineCounter([GATE], 640, 480, camera_id="door", start_time=start)
    (event,) = walk(counter, number=7)
    assert (event.camera_id, event.line, event.direction, event.track_id) == ("door", "gate", "in", 7)
    assert event.label == "person"
    assert event.time_s == pytest.approx(1.0, abs=0.01)
    assert event.time is not None
    assert event.time.tzinfo is UTC
    assert event.time == datetime(2024, 6, 7, 10, 0, tzinfo=UTC) + timedelta(seconds=event.time_s)
    assert event.point == pytest.approx((320, 240), abs=1)
    assert event.confidence == pytest.approx(0.9)


def test_the_same_input_gives_the_same_event_ids() -> None:
    """Storing a recount twice counts once."""
    first, second = (walk(LineCounter([GATE], 640, 480)) for _ in range(2))
    assert [e.event_id for e in first] == [e.event_id for e in second]


def test_an_event_comes_within_half_a_second() -> None:
    """It is reported as soon as the side is kept, not at the end of the track."""
    counter = LineCounter([GATE], 640, 480)
    for k in range(50):
        if counter.update(tracks((1, 320, 160 + 3.2 * k)), k / 25):
            break
    assert k / 25 - 1.0 <= 0.5


def test_finish_decides_what_is_open() -> None:
    """Somebody who is just beyond the line in the last frame is counted then."""
    counter = LineCounter([GATE], 640, 480)
    for k in range(30):
        assert not counter.update(tracks((1, 320, 160 + 3.2 * k)), k / 25)
    (event,) = counter.finish(1.2)
    assert "last seen" in event.reason
    assert counter.finish(1.3) == []


def test_what_is_lost_just_beyond_the_line_is_decided_within_a_second_or_so() -> None:
    """No later track and no end of the video is needed for it."""
    counter = LineCounter([GATE], 640, 480)
    for k in range(30):
        counter.update(tracks((1, 320, 160 + 3.2 * k)), k / 25)
    events = [(k / 25, e) for k in range(30, 90) for e in counter.update(tracks(), k / 25)]
    assert len(events) == 1
    assert events[0][0] <= 30 / 25 + 1.1


def test_reset_forgets_the_tracks() -> None:
    """After a reset nobody has come from anywhere."""
    counter = LineCounter([GATE], 640, 480)
    counter.update(tracks((1, 320, 160)), 0.0)
    counter.reset()
    assert not [e for k in range(20) for e in counter.update(tracks((1, 320, 320)), 0.04 * k)]
    assert counter.finish(2.0) == []


def test_state_is_let_go() -> None:
    """Ten thousand people leave no more behind than the last few."""
    counter = LineCounter([GATE], 640, 480)
    total = 0
    for number in range(1, 2001):
        for k in range(5):
            total += len(counter.update(tracks((number, 320, 200 + 20 * k)), number * 0.5 + 0.1 * k))
    assert counter._bodies.capacity == 64
    assert len(counter._bodies.slot_of) < 64
    assert len(counter._open) + len(counter._unconfirmed) < 64
    assert total > 0


def test_many_tracks_at_once_find_room() -> None:
    """More tracks than there are slots make more slots, and all are counted."""
    counter = LineCounter([GATE], 6400, 480)
    events = []
    for k in range(50):
        rows = [(n + 1, 700.0 + 25 * n, 160 + 3.2 * k) for n in range(200)]
        events += counter.update(tracks(*rows), k / 25)
    assert len(events) == 200


def test_a_line_that_cannot_count_is_refused_at_once() -> None:
    """A line outside the picture is a mistake of whoever drew it."""
    with pytest.raises(GeometryError, match="outside"):
        LineCounter([Line("gate", ((10, 10), (9000, 10)))], 640, 480)


def test_no_lines_count_nothing() -> None:
    """A camera may have zones only."""
    assert walk(LineCounter([], 640, 480)) == []


def test_anchor_of_the_camera_holds_where_the_line_has_none() -> None:
    """The counted point is the box centre if the camera says so."""
    (event,) = walk(LineCounter([Line("gate", ((0.1, 0.4), (0.9, 0.4)))], 640, 480, anchor="centre"))
    assert event.point == pytest.approx((320, 192), abs=1)


@given(
    st.tuples(*[st.floats(-50, 700)] * 4),
    st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480)), min_size=2, max_size=2, unique=True),
)
@settings(max_examples=60, deadline=None)
def test_sides_agree_with_the_geometry(place: tuple[float, ...], ends: list[tuple[float, float]]) -> None:
    """One matrix product for all lines says what `geometry.side` says for one."""
    if np.hypot(*np.subtract(ends[0], ends[1])) < 2 or max(max(e) for e in ends) <= 1:
        return
    sides = Sides([Line("l", tuple(ends))], 640, 480, "foot")
    point = np.array([place])
    expected = side(point[:, :2], np.array(ends[0]), np.array(ends[1]))
    np.testing.assert_allclose(sides.signed(point)[:, 0], expected, atol=1e-6)


def test_a_polyline_has_two_sides_along_its_whole_length() -> None:
    """Next to every part, and in its corners, the nearest part says the side."""
    sides = Sides([Line("l", ((100, 200), (320, 260), (540, 200)))], 640, 480, "foot")
    above = [(100, 150), (210, 180), (320, 200), (430, 180), (540, 150)]
    below = [(100, 250), (210, 290), (320, 330), (430, 290), (540, 250)]
    signed = sides.signed(np.array([(*p, 0, 0) for p in above + below], np.float64))[:, 0]
    assert (signed[:5] < 0).all()
    assert (signed[5:] > 0).all()


def test_hidden_legs_are_put_where_they_would_be() -> None:
    """The foot of a box that is suddenly half as high stays where it was."""
    bodies = Bodies(BodySettings())
    slot = np.array([bodies.take_slot(1)])
    for k in range(25):
        bodies.measure(slot, tracks((1, 320, 240)), k / 25, 0.04)
    half = Tracks(np.array([[300, 140, 340, 190]]), [0.9], [0], [1], [True], ("person",))  # type: ignore[arg-type]
    places = bodies.measure(slot, half, 1.0, 0.04)
    assert places[0, 1] == pytest.approx(240)


def test_usual_height_follows_whoever_walks_away() -> None:
    """Getting smaller slowly is distance, not hidden legs."""
    bodies = Bodies(BodySettings())
    slot = np.array([bodies.take_slot(1)])
    for k in range(100):
        height = 100.0 - 0.6 * k
        box = Tracks(np.array([[300, 240 - height, 340, 240]]), [0.9], [0], [1], [True])  # type: ignore[arg-type]
        places = bodies.measure(slot, box, k / 25, 0.04)
    assert places[0, 1] == pytest.approx(240, abs=1)


@pytest.mark.parametrize(
    ("held_s", "depth", "counts"),
    [(0.1, 0.1, False), (0.3, 0.1, True), (0.1, 0.4, True), (0.3, 0.0, False)],
)
def test_a_side_counts_when_kept_or_when_clear(held_s: float, depth: float, counts: bool) -> None:
    """Long enough or far enough, and in all more than trembling."""
    change = Open(home=-1, home_depth=0.03)
    assert (kept(CrossingSettings(), change, held_s, depth) is not None) == counts


def test_a_track_that_ends_needs_less() -> None:
    """What is lost beyond the line was on its way."""
    assert kept_at_end(CrossingSettings(), Open(home=-1), 0.1, 0.2)
    assert not kept_at_end(CrossingSettings(), Open(home=-1), 0.1, 0.04)
    assert not kept_at_end(CrossingSettings(u_turn_s=1.0), Open(home=-1), 0.1, 0.2)
