"""Flows between lines."""

from __future__ import annotations

from datetime import UTC, datetime

from camcount.counting.flows import FlowCounter, FlowSettings
from camcount.events import Crossing, Direction


def _crossing(
    line: str, time_s: float, track: int = 1, direction: Direction = "in", confidence: float = 0.9
) -> Crossing:
    return Crossing(
        camera_id="cam",
        time_s=time_s,
        time=datetime(2024, 1, 1, tzinfo=UTC),
        track_id=track,
        label="car",
        confidence=confidence,
        reason="",
        point=(time_s, 2.0),
        line=line,
        direction=direction,
    )


def _flows(*crossings: Crossing, settings: FlowSettings | None = None) -> list[tuple[str, str, int, float]]:
    counter = FlowCounter(settings)
    flows = [f for c in crossings for f in counter.update([c], c.time_s)] + counter.finish(crossings[-1].time_s)
    return [(f.origin, f.destination, f.track_id, f.travel_s) for f in flows]


def test_two_lines_of_one_track_are_a_flow() -> None:
    """From the first line to the second, with the time between, dated at the second."""
    counter = FlowCounter()
    assert counter.update([_crossing("north", 1, confidence=0.4)], 1) == []
    assert counter.update([_crossing("south", 5, direction="out")], 5) == []
    (flow,) = counter.update([], 7)
    assert (flow.origin, flow.destination, flow.travel_s, flow.time_s) == ("north", "south", 4, 5)
    assert (flow.label, flow.track_id, flow.confidence, flow.point) == ("car", 1, 0.4, (5, 2.0))
    assert flow.reason == "crossed north (in) and then south (out)"
    assert flow.time == datetime(2024, 1, 1, tzinfo=UTC)
    assert counter.finish(7) == []


def test_tracks_do_not_mix() -> None:
    """Two tracks on two lines are no flow."""
    assert _flows(_crossing("north", 1, track=1), _crossing("south", 2, track=2)) == []


def test_a_third_line_goes_on_from_the_second() -> None:
    """North to south, south to east, but not north to east."""
    flows = _flows(_crossing("north", 1), _crossing("south", 2), _crossing("east", 4))
    assert flows == [("north", "south", 1, 1), ("south", "east", 1, 2)]


def test_the_same_line_again_starts_anew() -> None:
    """Turning back is no flow; the way is timed from the last crossing of the origin."""
    assert _flows(_crossing("north", 1), _crossing("north", 5), _crossing("south", 6)) == [("north", "south", 1, 1)]


def test_too_late_is_another_movement() -> None:
    """Beyond the window the first crossing is forgotten."""
    settings = FlowSettings(window_s=10)
    assert _flows(_crossing("north", 1), _crossing("south", 11.5), settings=settings) == []
    assert len(_flows(_crossing("north", 1), _crossing("south", 11), settings=settings)) == 1


def test_crossings_told_out_of_order_are_put_in_order() -> None:
    """A line may decide later than another about something earlier."""
    counter = FlowCounter()
    counter.update([_crossing("south", 3)], 3.1)
    counter.update([_crossing("north", 2.5)], 3.6)
    (flow,) = counter.finish(4)
    assert (flow.origin, flow.destination) == ("north", "south")


def test_memory_is_bounded_by_the_window() -> None:
    """Thousands of tracks that cross one line only are forgotten, and `reset` forgets all."""
    counter = FlowCounter(FlowSettings(window_s=10))
    for track in range(3000):
        counter.update([_crossing("north", track / 10, track=track)], track / 10)
        assert len(counter._origins) + len(counter._recent) <= 120
    counter.reset()
    assert counter.finish(301) == []
    assert not counter._origins
