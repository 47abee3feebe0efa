"""The annotated picture: what is drawn, where, and what is forgotten again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from camcount.detections import Detections, Tracks
from camcount.errors import GeometryError
from camcount.events import Crossing, Direction, Event, ZoneEntered, ZoneLeft
from camcount.frame import Frame
from camcount.geometry import Line, Zone, side
from camcount.protocols import Step
from camcount.video.ink import Ink, luminance, palette, rounded
from camcount.video.overlay import Overlay

Pixels = NDArray[np.uint8]
_GREY = 90
_ACROSS = Line("gate", ((0.1, 0.5), (0.9, 0.5)))


def _tracks(*rows: tuple[int, float, float, float, float], confirmed: bool = True, label: str = "person") -> Tracks:
    n = len(rows)
    boxes = np.array([row[1:] for row in rows], np.float32).reshape(-1, 4)
    ids = np.array([row[0] for row in rows], np.int64)
    return Tracks(
        boxes, np.full(n, 0.9, np.float32), np.zeros(n, np.int32), ids, np.full(n, confirmed, np.bool_), (label,)
    )


def _step(
    time_s: float = 0.0,
    tracks: Tracks | None = None,
    events: Sequence[Event] = (),
    size: tuple[int, int] = (640, 360),
    wall_time: datetime | None = None,
) -> Step:
    def render(width: int, height: int) -> Pixels:
        return np.full((height, width, 3), _GREY, np.uint8)

    frame = Frame(
        index=round(time_s * 10), time_s=time_s, width=size[0], height=size[1], render=render, wall_time=wall_time
    )
    return Step(frame, Detections.empty(), tracks or Tracks.empty(), tuple(events))


def _crossing(direction: Direction, time_s: float, line: str = "gate", track: int = 1) -> Crossing:
    return Crossing(
        camera_id="cam", time_s=time_s, track_id=track, label="person", confidence=0.9, reason="walked over",
        point=(320.0, 180.0), line=line, direction=direction,
    )  # fmt: skip


def _zone_event(kind: type[ZoneEntered] | type[ZoneLeft], track: int, zone: str = "hall") -> Event:
    shared = {"camera_id": "cam", "time_s": 0.0, "track_id": track, "label": "person", "confidence": 0.9}
    extra = {"dwell_s": 1.0} if kind is ZoneLeft else {}
    return kind(**shared, **extra, reason="", point=(0.0, 0.0), zone=zone)  # type: ignore[arg-type] # mixed values


def _green(image: Pixels) -> NDArray[np.float64]:
    """Pixels ``(N, 2)`` of the arrows' green."""
    b, g, r = (image[..., i].astype(int) for i in range(3))
    rows, columns = np.nonzero((g > 190) & (b < 150) & (r < 130))
    return np.stack([columns, rows], axis=1).astype(np.float64)


def _changed(image: Pixels) -> NDArray[np.bool_]:
    return np.asarray((image != _GREY).any(axis=2))


@pytest.mark.parametrize(
    "points",
    [
        ((0.1, 0.5), (0.9, 0.5)),
        ((0.9, 0.5), (0.1, 0.5)),
        ((0.5, 0.1), (0.5, 0.9)),
        ((0.2, 0.8), (0.8, 0.3)),
        ((0.2, 0.2), (0.5, 0.6), (0.8, 0.2)),
    ],
)
def test_arrow_points_to_the_in_side(points: tuple[tuple[float, float], ...]) -> None:
    """The green arrow lies on the side of the line that counts as `in`."""
    line = Line("gate", points)
    corners = line.at(1280, 720)
    arrow = _green(Overlay([line], [], 1280, 720).draw(_step(size=(1280, 720))))
    assert len(arrow) > 100
    part = 1 if len(points) == 3 else 0
    distances = side(arrow, corners[part], corners[part + 1])
    assert (distances > -4).mean() > 0.98
    assert distances.max() > 25


def test_counts_run_from_the_events() -> None:
    """The plate changes with each crossing of its line and not with those of another line."""
    overlay = Overlay([_ACROSS], [], 640, 360)
    calm = overlay.draw(_step(0.0))
    overlay.draw(_step(1.0, events=[_crossing("in", 1.0, line="elsewhere")]))
    still = overlay.draw(_step(2.0))
    overlay.draw(_step(3.0, events=[_crossing("in", 3.0), _crossing("out", 3.0)]))
    counted = overlay.draw(_step(6.0))
    plate = np.s_[:330]
    assert (calm[plate] == still[plate]).all()
    assert not (calm[plate] == counted[plate]).all()


def test_line_flashes_when_crossed_and_calms_down() -> None:
    """A crossing lights the line up in its direction's colour for about half a second."""
    overlay = Overlay([_ACROSS], [], 640, 360)
    before = len(_green(overlay.draw(_step(0.0))))
    flash = len(_green(overlay.draw(_step(1.0, events=[_crossing("in", 1.0)]))))
    after = len(_green(overlay.draw(_step(2.0))))
    assert flash > before + 500
    assert abs(after - before) < 40


def test_box_is_drawn_round_the_track() -> None:
    """A confirmed track has its colour along its box, and nothing inside the box."""
    image = Overlay([], [], 640, 360).draw(_step(tracks=_tracks((3, 200, 100, 300, 260))))
    colour = np.array(palette(3))
    for x, y in ((200, 180), (300, 180), (260, 260)):
        near = image[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).astype(int)
        assert np.abs(near - colour).sum(axis=1).min() < 60
    assert not _changed(image)[140:240, 215:285].any()


def test_tentative_tracks_are_not_drawn() -> None:
    """A track that is not confirmed leaves no mark."""
    overlay = Overlay([], [], 640, 360)
    tentative = overlay.draw(_step(tracks=_tracks((3, 200, 100, 300, 260), confirmed=False)))
    assert (tentative == Overlay([], [], 640, 360).draw(_step())).all()


@pytest.mark.parametrize(("anchor", "row"), [("foot", 260), ("centre", 180)])
def test_trail_follows_the_counted_point(anchor: str, row: int) -> None:
    """The trail is drawn through the counted point of the boxes, and is gone when the track has been away."""
    overlay = Overlay([], [], 640, 360, anchor=anchor)  # type: ignore[arg-type] # one of the two
    for i in range(15):
        overlay.draw(_step(i / 10, _tracks((1, 100 + 20 * i, 100, 140 + 20 * i, 260))))
    trail = _changed(overlay.draw(_step(1.6)))
    assert trail[row - 3 : row + 4, 180:380].any(axis=0).mean() > 0.95
    assert not _changed(overlay.draw(_step(9.0)))[: 360 - 50].any()


def test_state_of_what_has_left_is_forgotten() -> None:
    """After thousands of tracks only those of the last moments are remembered."""
    overlay = Overlay([_ACROSS], [], 64, 36)
    for i in range(600):
        overlay.draw(_step(i / 10, _tracks((i + 1, 10, 10, 20, 30)), [_crossing("in", i / 10, track=i)], (64, 36)))
    assert len(overlay._trails) <= 22
    assert len(overlay._lines[0].flashes) <= 7


def test_zone_shows_who_is_inside() -> None:
    """A zone is tinted, and its plate changes with who has entered and not left."""
    zone = Zone("hall", ((0.3, 0.3), (0.7, 0.3), (0.7, 0.8), (0.3, 0.8)))
    overlay = Overlay([], [zone], 640, 360)
    empty = overlay.draw(_step(0.0))
    assert _changed(empty)[200, 300]
    assert not _changed(empty)[200, 100]
    one = overlay.draw(_step(0.0, events=[_zone_event(ZoneEntered, 1), _zone_event(ZoneEntered, 9, "yard")]))
    again = overlay.draw(_step(0.0, events=[_zone_event(ZoneEntered, 1)]))
    left = overlay.draw(_step(0.0, events=[_zone_event(ZoneLeft, 1)]))
    assert not (one == empty).all()
    assert (one == again).all()
    assert (left == empty).all()


@pytest.mark.parametrize("size", [(160, 90), (352, 288), (1280, 720), (1919, 1081), (3840, 2160)])
def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    """Small and huge pictures are drawn, with boxes scaled from the frame to the picture."""
    overlay = Overlay([_ACROSS], [], *size)
    image = overlay.draw(_step(tracks=_tracks((1, 300, 20, 340, 90))))
    assert image.shape == (size[1], size[0], 3)
    x, y = round(300 * size[0] / 640), round(55 * size[1] / 360)
    assert _changed(image)[y, max(0, x - 3) : x + 4].any()


@pytest.mark.parametrize("label", ["person", "Straßenbahn", "自転車", "🚲", "", "a" * 200])
def test_any_label_is_drawn(label: str) -> None:
    """Labels in any script, empty ones and very long ones do no harm."""
    image = Overlay([], [], 640, 360).draw(_step(tracks=_tracks((1, 600, 0, 640, 40), label=label)))
    assert _changed(image).any()


def test_frame_without_picture_gets_a_plain_one() -> None:
    """Given detections without video are drawn on grey."""
    frame = Frame(index=0, time_s=0.0, width=640, height=360)
    step = Step(frame, Detections.empty(), _tracks((1, 100, 100, 200, 300)), ())
    image = Overlay([_ACROSS], [], 640, 360).draw(step)
    assert image.shape == (360, 640, 3)
    assert image.max() > 150


def test_clock_is_drawn() -> None:
    """The time stamp changes with the presentation time, or with the clock where the source knows it."""
    overlay = Overlay([], [], 640, 360)
    pictures = [
        overlay.draw(_step(3.2)),
        overlay.draw(_step(3.3)),
        overlay.draw(_step(7000.0)),
        overlay.draw(_step(3.2, wall_time=datetime(2024, 5, 1, 12, tzinfo=UTC))),
    ]
    assert all(not (a == b).all() for i, a in enumerate(pictures) for b in pictures[i + 1 :])


def test_line_outside_the_picture_is_refused() -> None:
    """A line that does not fit is named when the overlay is made."""
    with pytest.raises(GeometryError, match="gate"):
        Overlay([Line("gate", ((10, 10), (900, 10)))], [], 640, 360)


def test_plates_stay_inside_the_picture() -> None:
    """A plate that would hang over the edge is moved in."""
    image = np.full((100, 200, 3), _GREY, np.uint8)
    Ink(image).plate("in 5 · out 3", np.array([500.0, -80.0]), 16, (0, 0, 0))
    assert (image[5:20, 100:190] != _GREY).any()


def test_colours_of_neighbouring_tracks_differ() -> None:
    """Ten consecutive ids have ten clearly different bright colours."""
    colours = np.array([palette(i) for i in range(10)])
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 999 * np.eye(10)
    assert apart.min() > 40
    assert colours.max(axis=1).min() > 180


def test_rounded_outline_touches_all_four_sides() -> None:
    """The outline of a rounded box stays within the box and reaches each side, however large the radius."""
    for radius in (0.0, 5.0, 500.0):
        outline = rounded(np.array([10.0, 20.0, 50.0, 90.0]), radius)
        np.testing.assert_allclose(outline.min(axis=0), [10, 20], atol=1e-9)
        np.testing.assert_allclose(outline.max(axis=0), [50, 90], atol=1e-9)


def test_luminance_of_white_and_black() -> None:
    """White is 255, black is 0, and green looks brighter than blue."""
    assert round(luminance((255, 255, 255))) == 255
    assert luminance((0, 0, 0)) == 0
    assert luminance((0, 255, 0)) > luminance((255, 0, 0))
