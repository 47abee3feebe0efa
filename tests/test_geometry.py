"""Lines, zones and the plane geometry under them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.errors import GeometryError
from camcount.geometry import (
    Line,
    Zone,
    anchor_points,
    in_polygon,
    iou_matrix,
    parse_line,
    parse_zone,
    polygon_area,
    segment_intersection,
    side,
)


def test_in_is_below_a_line_drawn_left_to_right() -> None:
    """The right-hand side of someone who walks right on the screen is down."""
    a, b = Line("gate", ((0.1, 0.5), (0.9, 0.5))).at(100, 100)
    assert side(np.array([[50.0, 80.0]]), a, b)[0] > 0
    assert side(np.array([[50.0, 20.0]]), a, b)[0] < 0


def test_reverse_flips_the_in_side() -> None:
    """``:reverse`` is the same line walked the other way."""
    plain, flipped = parse_line("g=0.1,0.5,0.9,0.5"), parse_line("g=0.1,0.5,0.9,0.5:reverse")
    point = np.array([[50.0, 80.0]])
    assert side(point, *plain.at(100, 100))[0] == -side(point, *flipped.at(100, 100))[0]


def test_relative_and_pixel_points_name_the_same_line() -> None:
    """Numbers within 0..1 are relative, anything larger means pixels."""
    assert np.allclose(parse_line("g=0.1,0.5,0.9,0.5").at(200, 100), parse_line("g=20,50,180,50").at(200, 100))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gate", "not name=numbers"),
        ("gate=1,2,3", "at least 2 points"),
        ("gate=1,2", "at least 2 points"),
        ("gate=a,b,c,d", "not name=numbers"),
        ("=0,0,1,1", "needs a name"),
        ("gate=0,0,1,1:sideways", "only 'reverse'"),
    ],
)
def test_a_line_text_that_cannot_be_read_says_what_would_be_right(text: str, said: str) -> None:
    """The message names the fault on one line."""
    with pytest.raises(GeometryError, match=said) as error:
        parse_line(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("g=10,10,700,10", "outside the 640x360 picture"),
        ("g=-0.1,0.5,0.9,0.5", "outside the 640x360 picture"),
        ("g=0.5,0.5,0.5,0.5", "zero length"),
        ("g=nan,0.5,0.9,0.5", "not a number"),
        ("g=inf,0.5,0.9,0.5", "not a number"),
    ],
)
def test_a_line_that_cannot_count_is_refused(text: str, said: str) -> None:
    """Outside the picture, of no length, not a number."""
    with pytest.raises(GeometryError, match=said):
        parse_line(text).at(640, 360)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)), "crosses itself"),
        (((0.1, 0.1), (0.5, 0.5), (0.9, 0.9)), "no area"),
        (((0.1, 0.1), (0.9, 0.9)), "three corners"),
        (((10, 10), (700, 10), (10, 200)), "outside"),
    ],
)
def test_a_zone_that_cannot_count_is_refused(points: tuple[tuple[float, float], ...], said: str) -> None:
    """Self-crossing, flat, too few corners, outside."""
    with pytest.raises(GeometryError, match=said):
        Zone("hall", points).at(640, 360)


def test_a_zone_text_gives_its_corners() -> None:
    """``name=x1,y1,…`` in order around the edge."""
    assert parse_zone("hall=0.1,0.1,0.9,0.1,0.9,0.9").points == ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))


def test_the_foot_is_the_bottom_centre() -> None:
    """Foot and centre of a box from (10, 20) to (30, 60)."""
    box = np.array([[10, 20, 30, 60]], np.float32)
    assert anchor_points(box, "foot").tolist() == [[20.0, 60.0]]
    assert anchor_points(box, "centre").tolist() == [[20.0, 40.0]]


def test_a_point_in_the_notch_of_a_concave_zone_is_outside() -> None:
    """The even-odd rule handles polygons that are not convex."""
    notch = np.array([[0, 0], [10, 0], [10, 10], [5, 5], [0, 10]], float)
    assert in_polygon(np.array([[5.0, 8.0], [2.0, 5.0], [11.0, 5.0]]), notch).tolist() == [False, True, False]


def test_intersection_is_given_as_fractions_of_both_segments() -> None:
    """Where on the path and where on the line."""
    p, q = np.array([0.0, 0.0]), np.array([10.0, 0.0])
    assert segment_intersection(p, q, np.array([4.0, -1.0]), np.array([4.0, 3.0])) == (0.4, 0.25)
    assert segment_intersection(p, q, np.array([4.0, 1.0]), np.array([4.0, 3.0])) is None
    assert segment_intersection(p, q, np.array([0.0, 1.0]), np.array([10.0, 1.0])) is None


boxes = st.lists(
    st.tuples(*[st.floats(0, 100, width=32) for _ in range(2)], *[st.floats(1, 50, width=32) for _ in range(2)]),
    min_size=1,
    max_size=6,
).map(lambda rows: np.array([[x, y, x + w, y + h] for x, y, w, h in rows]))


@given(boxes, boxes)
def test_overlap_is_symmetric_within_0_and_1_and_1_with_itself(a: np.ndarray, b: np.ndarray) -> None:
    """The three properties that association relies on."""
    m = iou_matrix(a, b)
    assert ((m >= 0) & (m <= 1 + 1e-9)).all()
    assert np.allclose(m, iou_matrix(b, a).T)
    assert np.allclose(np.diag(iou_matrix(a, a)), 1)


@given(st.floats(-50, 150), st.floats(-50, 150), st.integers(3, 9))
def test_inside_a_regular_polygon_is_what_the_half_planes_say(x: float, y: float, k: int) -> None:
    """For a convex polygon, even-odd equals being on one side of every edge."""
    angle = np.arange(k) * 2 * np.pi / k + 0.1
    polygon = np.stack([50 + 40 * np.cos(angle), 50 + 40 * np.sin(angle)], axis=1)
    point = np.array([[x, y]])
    sides = [side(point, polygon[i], polygon[(i + 1) % k])[0] for i in range(k)]
    if min(abs(s) for s in sides) > 1e-6:
        assert in_polygon(point, polygon)[0] == all(s > 0 for s in sides)
    assert polygon_area(polygon) > 0
