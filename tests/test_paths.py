"""Speed, heat and the proposed line: what the paths of tracks tell."""

from __future__ import annotations

import numpy as np
import pytest

from camcount.counting.paths import HeatMap, SpeedMeter, colours, ground_plane
from camcount.counting.proposal import propose_line
from camcount.detections import Tracks
from camcount.errors import GeometryError, UsageError
from camcount.geometry import anchor_points, side
from tests.paths import tracks_at, walk


def _measure(meter: SpeedMeter, *stops: tuple[float, float, float], track: int = 1, fps: float = 10) -> None:
    for time_s, foot in walk(*stops, fps=fps):
        meter.update(tracks_at({track: foot}), time_s)


def test_speed_in_pixels_without_a_scale() -> None:
    """300 pixels in 3 s are 100 px/s, whichever way."""
    meter = SpeedMeter()
    _measure(meter, (0, 10, 10), (3, 190, 250))
    assert meter.as_dict() == {
        "person": {"unit": "px/s", "mean": 100.0, "median": 100.0, "p85": 100.0, "max": 100.0, "tracks": 1}
    }
    assert meter.speed(1) == pytest.approx(100)
    assert meter.speed(2) is None
    assert meter.tracks == 1


def test_speed_with_a_scale_and_a_unit() -> None:
    """100 px/s at 0.1 m per pixel are 10 m/s, 36 km/h."""
    meter = SpeedMeter(metres_per_pixel=0.1)
    _measure(meter, (0, 0, 10), (2, 200, 10))
    assert (meter.as_dict()["person"]["median"], meter.unit) == (pytest.approx(36), "km/h")
    meter = SpeedMeter(metres_per_pixel=0.1, unit="m/s")
    _measure(meter, (0, 0, 10), (2, 200, 10))
    assert meter.as_dict()["person"]["median"] == pytest.approx(10)


def test_speed_on_a_ground_plane_ignores_perspective() -> None:
    """Equal ways on the ground are unequal in the picture; the speed is that on the ground."""
    plane = ground_plane([(100, 400), (300, 400), (250, 200), (150, 200)], [(0, 0), (4, 0), (4, 20), (0, 20)])
    back = np.linalg.inv(plane)
    meter = SpeedMeter(ground=plane, unit="m/s")
    for index in range(41):
        x, y, w = back @ (2.0, index * 0.5, 1.0)
        meter.update(tracks_at({1: (x / w, y / w)}), index / 10)
    assert meter.as_dict()["person"]["median"] == pytest.approx(5.0, rel=1e-3)


def test_ground_plane_takes_each_point_to_its_own() -> None:
    """The four pairs it was solved from."""
    pixels, metres = [(10, 90), (80, 95), (60, 20), (30, 25)], [(0, 0), (3, 0), (3, 9), (0, 9)]
    plane = ground_plane(pixels, metres)
    for (x, y), target in zip(pixels, metres, strict=True):
        u, v, w = plane @ (x, y, 1)
        assert (u / w, v / w) == pytest.approx(target, abs=1e-9)


@pytest.mark.parametrize(
    "pixels",
    [
        [(0, 0), (1, 0), (1, 1)],
        [(0, 0), (5, 5), (10, 10), (0, 9)],
        [(0, 0), (0, 0), (10, 10), (0, 9)],
        [(0, 0), (float("nan"), 5), (10, 10), (0, 9)],
    ],
)
def test_ground_points_that_span_no_plane_are_refused(pixels: list[tuple[float, float]]) -> None:
    """Three points, three on one line, twice the same, no number."""
    with pytest.raises(GeometryError):
        ground_plane(pixels, [(0, 0), (1, 0), (1, 1), (0, 1)])


def test_contradictory_or_empty_scales_are_refused() -> None:
    """Two scales, and a scale of nothing."""
    with pytest.raises(UsageError):
        SpeedMeter(metres_per_pixel=0.0)
    with pytest.raises(UsageError):
        SpeedMeter(metres_per_pixel=1.0, ground=np.eye(3))


def test_trembling_boxes_hardly_move() -> None:
    """A pixel of jitter each frame is 25 px/s taken literally; over half seconds it is little."""
    meter = SpeedMeter()
    for index in range(100):
        meter.update(tracks_at({1: (100 + index % 2, 100)}), index / 25)
    assert meter.as_dict()["person"]["median"] < 3


def test_speeds_are_spread_per_label_and_short_or_unconfirmed_tracks_left_out() -> None:
    """Ten cars at 10 to 100 px/s; a glimpse and a ghost do not count."""
    meter = SpeedMeter()
    for index in range(40):
        now = index / 10
        feet = {n: (10.0 * n * now, 50.0 * n) for n in range(1, 11)}
        if index < 5:
            feet[99] = (500 * now, 10)
        meter.update(tracks_at(feet, labels=dict.fromkeys(feet, "car")), now)
        meter.update(tracks_at({77: (900 * now, 10)}, confirmed=False), now)
    figures = meter.as_dict()
    assert list(figures) == ["car"]
    assert figures["car"]["tracks"] == 10
    assert figures["car"]["median"] == pytest.approx(55)
    assert figures["car"]["p85"] == pytest.approx(86.5)
    assert meter.tracks == 11


def test_speed_memory_is_bounded() -> None:
    """Tracks that are gone leave one number."""
    meter = SpeedMeter()
    for track in range(1, 200):
        _measure(meter, (track * 2.0, 0, 0), (track * 2.0 + 1.5, 15, 0), track=track)
        assert len(meter._motions) <= 4
    assert meter.as_dict()["person"]["tracks"] == 199


def test_heat_is_seconds_where_somebody_was() -> None:
    """Standing for 2 s and then for 1 s elsewhere; the empty second in between is nobody's."""
    heat = HeatMap(64, 32, cell=8)
    for index in range(21):
        heat.update(tracks_at({1: (20, 12)}), index / 10)
    heat.update(tracks_at({}), 3.0)
    for index in range(1, 11):
        heat.update(tracks_at({1: (64, 32)}), 3 + index / 10)
    assert heat.values.shape == (4, 8)
    assert heat.values[1, 2] == pytest.approx(2.0)
    assert heat.values[3, 7] == pytest.approx(1.0)
    assert heat.values.sum() == pytest.approx(3.0)


def test_heat_leaves_out_gaps_ghosts_and_what_is_outside() -> None:
    """A minute without frames is a second at most."""
    heat = HeatMap(64, 32)
    heat.update(tracks_at({1: (20, 12)}), 0.0)
    heat.update(tracks_at({1: (20, 12)}), 60.0)
    heat.update(tracks_at({1: (-5, 12)}), 60.1)
    heat.update(tracks_at({1: (20, 12)}, confirmed=False), 60.2)
    assert heat.values.sum() == pytest.approx(1.0)


def test_heat_picture_is_hot_where_somebody_was_and_background_elsewhere() -> None:
    """Red in the middle of the warmth, untouched far from it."""
    heat = HeatMap(160, 90, cell=8)
    for index in range(11):
        heat.update(tracks_at({1: (36, 36)}), index / 10)
    background = np.full((90, 160, 3), 200, np.uint8)
    picture = heat.picture(background)
    assert picture.shape == (90, 160, 3)
    assert picture.dtype == np.uint8
    blue, _, red = picture[36, 36]
    assert red > blue + 50
    assert picture[80, 150].tolist() == [200, 200, 200]
    assert HeatMap(50, 30).picture().max() == 0
    with pytest.raises(UsageError, match="10x10, not 160x90"):
        heat.picture(np.zeros((10, 10, 3), np.uint8))


def test_colours_go_from_blue_to_red() -> None:
    """Cold and hot, BGR."""
    cold, hot = colours(np.array([0.0, 1.0]))
    assert cold[0] > cold[2]
    assert hot[2] > hot[0]


def _crowd(ways: list[tuple[tuple[float, float], tuple[float, float]]]) -> list[Tracks]:
    """Everybody walks at once, straight, in twenty frames."""
    shares = np.linspace(0, 1, 20)
    return [
        tracks_at({n: (a[0] + s * (b[0] - a[0]), a[1] + s * (b[1] - a[1])) for n, (a, b) in enumerate(ways, 1)})
        for s in shares
    ]


def _crossed(tracks: list[Tracks], width: int, height: int) -> int:
    """How many tracks end on the other side of the proposed line than they began."""
    a, b = propose_line(tracks, width, height).at(width, height)
    first, last = (anchor_points(t.xyxy, "foot") for t in (tracks[0], tracks[-1]))
    return int(np.sum((side(first, a, b) > 0) != (side(last, a, b) > 0)))


def test_people_going_up_and_down_get_a_horizontal_line() -> None:
    """Both directions of one way add up; the line runs to the right, so that `in` is down."""
    tracks = _crowd([((100, 50), (100, 430)), ((300, 430), (300, 50)), ((500, 40), (500, 400))])
    line = propose_line(tracks, 640, 480)
    assert line.name == "proposed"
    (ax, ay), (bx, by) = line.points
    assert (ax, bx) == (0.0, 1.0)
    assert ay == by == pytest.approx(0.5, abs=0.08)
    assert _crossed(tracks, 640, 480) == 3


def test_people_going_across_get_a_vertical_line_where_they_pass() -> None:
    """All walk in the left half only: the line lies there too."""
    tracks = _crowd([((10, 100), (300, 100)), ((300, 200), (20, 200)), ((20, 300), (310, 300))])
    (ax, ay), (bx, by) = propose_line(tracks, 640, 480).points
    assert (ay, by) == (0.0, 1.0)
    assert ax == bx
    assert 0.15 < ax < 0.35
    assert _crossed(tracks, 640, 480) == 3


def test_a_slanting_way_gets_a_line_that_all_cross() -> None:
    """Parallel slanting ways, set apart so far that no upright or level line meets all of them."""
    ways = [((20 + 90 * n, 240 - 60 * n + 60), (200 + 90 * n, 420 - 60 * n)) for n in range(5)]
    tracks = _crowd([*ways])
    assert _crossed(tracks, 640, 480) == 5


def test_standing_and_unconfirmed_tracks_do_not_draw_the_line() -> None:
    """Where nothing moves it is the horizontal through the middle."""
    middle = ((0.0, 0.5), (1.0, 0.5))
    assert propose_line([], 640, 480).points == middle
    still = [tracks_at({1: (300.0 + i % 2, 100.0)}) for i in range(50)]
    assert propose_line(still, 640, 480).points == middle
    ghosts = [tracks_at({1: (30.0 * i, 100.0)}, confirmed=False) for i in range(20)]
    assert propose_line(ghosts, 640, 480).points == middle
