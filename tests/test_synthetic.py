"""The demo street: the same bytes for the same seed, and a truth that follows from the actors' paths."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.frame import Image
from camcount.geometry import Line, anchor_points, iou_matrix, side
from camcount.protocols import Source
from camcount.video.actors import Actor, Looks, Path, Person
from camcount.video.synthetic import StreetScene, daylight, true_crossings
from camcount.video.vehicles import BUS, SALOON, Vehicle

_LOOKS = Looks(1.75, (140, 170, 212), (30, 32, 36), (60, 52, 146), (92, 66, 48), (36, 36, 40))


def _walker(*knots: tuple[float, float, float], number: int = 1) -> Person:
    """Someone who is at (x, y) at second t, for each of ``(t, x, y)``."""
    times, x, y = np.array(knots, np.float64).T
    return Person(number, Path(times, np.stack([x, y], axis=1)), _LOOKS)


def _scene(*actors: Actor, seconds: float = 20.0) -> StreetScene:
    scene = StreetScene(seconds=seconds)
    scene.actors = list(actors)
    return scene


def _gate(scene: StreetScene) -> Line:
    return next(line for line in scene.lines if line.name == "pavement")


def test_is_a_source_with_every_frame_once() -> None:
    """It reads as many frames as it promises, in step with its rate, and then None for ever."""
    scene = StreetScene(seconds=2.0, fps=10.0, width=320, height=180)
    assert isinstance(scene, Source)
    info = scene.open()
    frames = []
    while (frame := scene.read()) is not None:
        frames.append(frame)
    assert (info.width, info.height, info.frames, info.live) == (320, 180, 20, False)
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(20) / 10)
    assert scene.read() is None


def test_close_ends_it_from_another_thread() -> None:
    """After close, from any thread and more than once, there are no more frames."""
    scene = StreetScene(seconds=2.0)
    scene.open()
    assert scene.read() is not None
    thread = threading.Thread(target=scene.close)
    thread.start()
    thread.join()
    scene.close()
    assert scene.read() is None


def test_same_seed_same_bytes_other_seed_other_street() -> None:
    """A picture depends on seed and time alone."""
    one, again, other = (StreetScene(seed=seed) for seed in (5, 5, 6))
    assert (one.picture(7.3) == again.picture(7.3)).all()
    assert not (one.picture(7.3) == other.picture(7.3)).all()
    assert one.truth() == again.truth() != other.truth()


def test_threads_draw_the_same_pictures() -> None:
    """Frames may be rendered from several threads at once."""
    scene = StreetScene(width=480, height=270)
    alone = [scene.picture(t) for t in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(scene.picture, range(8)))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


def test_caller_may_write_on_the_picture() -> None:
    """Drawing on one picture does not show in the next one of the same moment."""
    scene = StreetScene(width=320, height=180)
    first = scene.picture(1.0)
    first[:] = 0
    assert scene.picture(1.0).mean() > 30


@pytest.mark.parametrize(("width", "height"), [(640, 360), (416, 416), (101, 57), (1600, 900)])
def test_renders_at_the_size_asked_for(width: int, height: int) -> None:
    """Any size can be asked for, and shows the same street."""
    scene = StreetScene()
    picture = scene.picture(3.0, width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    full = scene.picture(3.0)
    blocks = [p[: p.shape[0] // 2].mean() - p[p.shape[0] // 2 :].mean() for p in (picture, full)]
    assert abs(picture.mean() - full.mean()) < 6
    assert abs(blocks[0] - blocks[1]) < 8


def test_boxes_hold_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box is the box around the pixels that its actor has changed, shadow apart."""
    monkeypatch.setattr(Person, "cast", lambda *_: None)
    scene = _scene(_walker((0, -3, 10.5), (20, 17, 10.5)))
    empty = _scene()
    for time_s in (6.0, 9.5, 13.0):
        (seen,) = scene.boxes(time_s)
        changed = np.abs(scene.picture(time_s).astype(int) - empty.picture(time_s)).sum(axis=2) > 60
        rows, columns = np.nonzero(changed)
        x0, y0, x1, y1 = seen.xyxy
        drawn = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
        assert iou_matrix(np.array([seen.xyxy], np.float32), drawn)[0, 0] > 0.8
        assert (x1 - x0) < (y1 - y0)


def test_boxes_are_valid_detections() -> None:
    """Boxes lie inside the picture, have a size and a label that is counted."""
    scene = StreetScene(seed=2)
    for time_s in np.arange(0, 60, 7.0):
        for seen in scene.boxes(float(time_s)):
            x0, y0, x1, y1 = seen.xyxy
            assert 0 <= x0 < x1 <= 1280
            assert 0 <= y0 < y1 <= 720
            assert seen.label in {"person", "car", "bus", "truck", "bicycle"}
            Detections(
                np.array([seen.xyxy], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), (seen.label,)
            )


@pytest.mark.parametrize(
    ("knots", "expected"),
    [
        (((0, 0, 10), (10, 10, 10)), ["in"]),
        (((0, 10, 10), (10, 0, 10)), ["out"]),
        (((0, 0, 10), (5, 8, 10), (8, 8, 10), (13, 0, 10)), ["in", "out"]),
        (((0, 0, 10), (5, 3.0, 10), (8, 3.0, 10), (12, 0, 10)), []),
        (((0, 0, 10), (4, 4.6, 10), (4.1, 5.0, 10), (4.2, 4.4, 10), (8, 0, 10)), []),
        (((0, 2, 15), (10, 12, 15)), []),
    ],
    ids=["over", "back", "over and back", "turns before", "over for a moment", "on the road"],
)
def test_truth_of_one_walker(knots: tuple[tuple[float, float, float], ...], expected: list[str]) -> None:
    """Each way over the pavement line is one crossing with the right direction, and nothing else is."""
    scene = _scene(_walker(*knots, number=7))
    found = scene.truth([_gate(scene)])
    assert [crossing.direction for crossing in found] == expected
    assert all(c.track_id == 7 and c.label == "person" and c.camera_id == "demo" for c in found)


def test_in_is_to_the_right_of_a_to_b() -> None:
    """A crossing `in` ends on the positive side of the line, also for a line that somebody else drew."""
    scene = StreetScene(seed=3)
    line = Line("diagonal", ((0.9, 0.95), (0.2, 0.3)))
    a, b = line.at(1280, 720)
    found = scene.truth([line])
    assert len(found) > 10
    for crossing in found:
        later = [s for s in scene.boxes(crossing.time_s + 0.2) if s.number == crossing.track_id]
        for seen in later:
            where = side(anchor_points(np.array([seen.xyxy], np.float32), "foot"), a, b)[0]
            assert (where > -1) == (crossing.direction == "in")


def test_reversed_line_swaps_directions() -> None:
    """Turning a line round turns every direction round and changes nothing else."""
    scene = StreetScene(seed=4, seconds=30)
    line = scene.lines[1]
    there, back = scene.truth([line]), scene.truth([line.reversed])
    assert [c.time_s for c in there] == [c.time_s for c in back]
    assert all(a.direction != b.direction for a, b in zip(there, back, strict=True))


def test_labels_limit_what_a_line_counts() -> None:
    """A line for buses has no cars in its truth."""
    points = StreetScene().lines[1].points
    everything = StreetScene(seed=3).truth([Line("road", points)])
    buses = StreetScene(seed=3).truth([Line("road", points, labels=("bus",))])
    assert [c.event_id for c in buses] == [c.event_id for c in everything if c.label == "bus"]
    assert len(buses) < len(everything)


def test_someone_behind_a_bus_is_not_seen() -> None:
    """An actor whom a nearer one hides completely is not among the boxes."""
    still = Path(np.array([0.0, 20.0]), np.array([[6.0, 15.0], [6.01, 15.0]]))
    bus = Vehicle(1, still, BUS, (40, 40, 190), 1)
    person = _walker((0, 6.4, 17.2), (20, 6.41, 17.2), number=2)
    assert [seen.number for seen in _scene(person).boxes(5.0)] == [2]
    assert [seen.number for seen in _scene(bus, person).boxes(5.0)] == [1]


def test_near_actor_covers_far_actor_in_the_picture() -> None:
    """The order of drawing is by distance, whatever the order of the list."""
    still = Path(np.array([0.0, 20.0]), np.array([[6.0, 15.0], [6.01, 15.0]]))
    car = Vehicle(1, still, SALOON, (40, 40, 190), 1)
    person = _walker((0, 6.0, 13.6), (20, 6.01, 13.6), number=2)
    one, other = _scene(car, person).picture(5.0), _scene(person, car).picture(5.0)
    assert (one == other).all()
    (x0, y0, x1, y1) = next(s.xyxy for s in _scene(person).boxes(5.0))
    middle = np.s_[int(y0 + y1) // 2 - 8 : int(y0 + y1) // 2 + 8, int(x0 + x1) // 2 - 3 : int(x0 + x1) // 2 + 3]
    assert np.abs(one[middle].astype(int) - _scene(person).picture(5.0)[middle]).mean() < 12


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_default_lines_see_traffic_both_ways(seed: int) -> None:
    """In a minute people and vehicles of several kinds cross both default lines in both directions."""
    scene = StreetScene(seed=seed)
    found = scene.truth()
    assert {(c.line, c.direction) for c in found} == {
        (line, way) for line in ("pavement", "road") for way in ("in", "out")
    }
    assert len(found) > 25
    assert {c.label for c in found} >= {"person", "car"}
    assert all(0 <= c.time_s <= 60 for c in found)
    assert [c.time_s for c in found] == sorted(c.time_s for c in found)


def test_longer_scene_begins_like_the_shorter() -> None:
    """A longer scene of the same seed has the same beginning."""
    short, long = StreetScene(seed=9, seconds=20), StreetScene(seed=9, seconds=40)
    assert (short.picture(10.0, 480, 270) == long.picture(10.0, 480, 270)).all()


def test_vehicles_of_a_lane_never_run_into_each_other() -> None:
    """Two motor vehicles of one lane are always at least a little apart, also at the red light."""
    scene = StreetScene(seed=1, seconds=60)
    cars = [actor for actor in scene.actors if isinstance(actor, Vehicle)]
    for now in np.arange(0, 60, 1.5):
        for towards in (1, -1):
            lane = [a for a in cars if a.towards == towards and a.path.start <= now <= a.path.end]
            places = sorted((float(a.path.at(np.array([now]))[0, 0]), a.model.length * a.size) for a in lane)
            gaps = [b - a - (m + n) / 2 for (a, m), (b, n) in pairwise(places)]
            assert all(gap > 0.2 for gap in gaps)


def test_some_people_wait_and_turn_round() -> None:
    """The street has people who stand for seconds and people who go back the way they came."""
    waited = turned = 0
    for person in (a for a in StreetScene(seed=1).actors if isinstance(a, Person)):
        moves = np.hypot(*np.diff(person.path.xy, axis=0).T)
        waited += bool(((moves < 0.05) & (np.diff(person.path.times) > 2)).any())
        turned += bool(np.ptp(person.path.heading(person.path.times)) > 3)
    assert waited >= 3
    assert turned >= 2


def test_light_changes_slowly() -> None:
    """The light varies by a tenth or more, and never by more than two in a hundred from frame to frame."""
    light = np.array([daylight(t / 15)[0] for t in range(1800)])
    assert np.ptp(light) > 0.1
    assert np.abs(np.diff(light)).max() < 0.02


@pytest.mark.parametrize(
    "options", [{"fps": 0}, {"seconds": -1}, {"width": 10}, {"height": 9000}, {"fps": float("nan")}]
)
def test_impossible_cameras_are_refused(options: dict[str, float]) -> None:
    """A size, rate or duration that no camera has is refused in one line that says what is allowed."""
    with pytest.raises(UsageError, match="64x64 to 7680x4320") as caught:
        StreetScene(**options)  # type: ignore[arg-type] # the parametrised numbers are of both kinds
    assert "\n" not in str(caught.value)


def test_short_side_is_dropped_in_true_crossings() -> None:
    """A side held for less than 0.3 s counts neither for leaving nor for coming back."""
    times = np.arange(0, 4, 0.02)
    line = np.array([[0.0, 0.0], [10.0, 0.0]])

    def ways(depth: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
        points = np.stack([np.full_like(depth, 5.0), depth], axis=1)
        return [way for _, way in true_crossings(times, points, line)]

    assert ways(times - 2) == ["in"]
    assert ways(np.where((times > 2) & (times < 2.2), 1.0, -1.0)) == []
    assert ways(np.where((times > 2) & (times < 2.4), 1.0, -1.0)) == ["in", "out"]
    assert ways(np.where(times < 2, -1.0, np.where((times > 2.4) & (times < 2.5), -1.0, 1.0))) == ["in"]


def test_a_frame_is_drawn_once_however_often_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """At one size and a little above it; whoever gets the picture may write on it, and smaller ones are exact."""
    scene = StreetScene(seconds=1)
    scene.open()
    frame = scene.read()
    assert frame is not None
    first = frame.image(480, 270)
    exact = first.copy()
    drawn: list[int] = []
    draw = scene.picture

    def noted(time_s: float, width: int, height: int) -> Image:
        drawn.append(width)
        return draw(time_s, width, height)

    monkeypatch.setattr(scene, "picture", noted)
    first[:] = 0
    assert (frame.image(480, 270) == exact).all()
    assert frame.image(640, 360).shape == (360, 640, 3)
    assert drawn == []
    assert (frame.image(320, 180) == draw(frame.time_s, 320, 180)).all()
    frame.image(960, 540)
    assert drawn == [320, 960]
