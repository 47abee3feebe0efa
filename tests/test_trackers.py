"""One contract over every tracker, and what each does on its own."""

from __future__ import annotations

import numpy as np
import pytest

from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.protocols import Tracker
from camcount.tracking.select import TRACKERS, tracker_for

NAMES = sorted(TRACKERS)


def seen(*boxes: tuple[float, ...], confidence: float = 0.9, class_id: int = 0) -> Detections:
    """Detections of boxes given as left, top, right, bottom (and a confidence of their own as a fifth number)."""
    rows = np.array([box[:4] for box in boxes], np.float32).reshape(-1, 4)
    sure = np.array([box[4] if len(box) > 4 else confidence for box in boxes], np.float32)
    return Detections(rows, sure, np.full(len(boxes), class_id, np.int32), ("person", "car", "truck"))


def person(x: float, y: float = 300.0, height: float = 100.0) -> tuple[float, float, float, float]:
    """A box whose foot is at x, y."""
    return x - 0.2 * height, y - height, x + 0.2 * height, y


@pytest.fixture(params=NAMES)
def tracker(request: pytest.FixtureRequest) -> Tracker:
    """Each tracker in turn."""
    return tracker_for(request.param)


def ids(tracker: Tracker, frames: list[Detections], fps: float = 25.0, start: float = 0.0) -> list[list[int]]:
    """The ids given in each frame."""
    return [tracker.update(d, start + k / fps).track_id.tolist() for k, d in enumerate(frames)]


def test_a_walker_keeps_one_id(tracker: Tracker) -> None:
    """Somebody walking at an ordinary pace is one track."""
    given = ids(tracker, [seen(person(100 + 3 * k)) for k in range(50)])
    assert {tuple(g) for g in given} == {(1,)}


def test_two_walkers_who_meet_keep_their_ids(tracker: Tracker) -> None:
    """Two people who walk past each other are not mixed up."""
    frames = [seen(person(100 + 4 * k, 300), person(300 - 4 * k, 350)) for k in range(50)]
    given = ids(tracker, frames)
    assert all(g == given[0] for g in given)


def test_tracks_are_the_rows_that_were_detected(tracker: Tracker) -> None:
    """A row says where the detector saw the object, how surely, and as what."""
    for k in range(10):
        tracks = tracker.update(seen(person(100 + 2 * k), confidence=0.83), k / 25)
    np.testing.assert_allclose(tracks.xyxy, [person(118)], atol=1e-4)
    np.testing.assert_allclose(tracks.confidence, [0.83], rtol=1e-6)
    assert tracks.label(0) == "person"
    assert tracks.labels == ("person", "car", "truck")


def test_a_new_track_is_tentative_and_later_confirmed(tracker: Tracker) -> None:
    """One sight may be noise; after a few the track stands."""
    confirmed = [bool(tracker.update(seen(person(100)), k / 25).confirmed[0]) for k in range(10)]
    assert not confirmed[0]
    assert confirmed[-1]
    assert sorted(confirmed) == confirmed


def test_frames_without_detections_give_no_tracks(tracker: Tracker) -> None:
    """Nothing seen is nothing reported, before, between and after."""
    empty = Detections.empty(("person",))
    assert len(tracker.update(empty, 0.0)) == 0
    tracker.update(seen(person(100)), 0.04)
    tracks = tracker.update(empty, 0.08)
    assert len(tracks) == 0
    assert tracks.labels == ("person",)


def test_ids_are_positive_and_unique_in_a_frame(tracker: Tracker) -> None:
    """No two rows share an id, however crowded it is."""
    rng = np.random.default_rng(1)
    for k in range(60):
        boxes = [person(x, y) for x, y in rng.uniform((50, 150), (600, 450), (rng.integers(0, 25), 2))]
        tracks = tracker.update(seen(*boxes), k / 25)
        assert (tracks.track_id > 0).all()
        assert len(set(tracks.track_id.tolist())) == len(tracks)


def test_ids_are_never_used_again(tracker: Tracker) -> None:
    """A track that was let go takes its id with it, also over a reset."""
    first = {i for row in ids(tracker, [seen(person(100))] * 5) for i in row}
    second = {i for row in ids(tracker, [seen(person(100))] * 5, start=100.0) for i in row}
    tracker.reset()
    third = {i for row in ids(tracker, [seen(person(100))] * 5) for i in row}
    assert not first & second
    assert not (first | second) & third


def test_instances_share_nothing() -> None:
    """Two cameras of the same tracker number their tracks independently."""
    for name in NAMES:
        one, other = tracker_for(name), tracker_for(name)
        assert ids(one, [seen(person(100))] * 3) == ids(other, [seen(person(500))] * 3)


def test_the_same_input_gives_the_same_tracks() -> None:
    """There is no chance and no clock in a tracker."""
    rng = np.random.default_rng(2)
    frames = [seen(*[person(x, y) for x, y in rng.uniform((50, 150), (600, 450), (9, 2))]) for _ in range(40)]
    for name in NAMES:
        assert ids(tracker_for(name), frames) == ids(tracker_for(name), frames)


def test_equal_time_stamps_are_borne(tracker: Tracker) -> None:
    """Two frames with one time stamp (a stuttering camera) neither fail nor split a track."""
    times = [0.0, 0.04, 0.04, 0.08, 0.12, 0.12, 0.16]
    given = [tracker.update(seen(person(100 + 30 * t)), t).track_id.tolist() for t in times]
    assert given == [[1]] * len(times)


def test_a_time_stamp_that_goes_back_is_borne(tracker: Tracker) -> None:
    """A clock set back does not raise, and tracks go on."""
    for k in range(10):
        tracker.update(seen(person(100)), 100 + k / 25)
    assert len(tracker.update(seen(person(100)), 3.0)) == 1


def test_a_jump_in_time_ends_the_tracks(tracker: Tracker) -> None:
    """After an hour without frames whoever stands there is somebody else."""
    before = ids(tracker, [seen(person(100))] * 10)[-1]
    after = ids(tracker, [seen(person(100))] * 10, start=3600.0)[-1]
    assert before != after


def test_boxes_without_area_are_borne(tracker: Tracker) -> None:
    """A degenerate box is no reason to fail."""
    for k in range(5):
        tracker.update(seen((10, 10, 10, 10), (20, 20, 5, 5), person(100)), k / 25)


def test_memory_stays_bounded(tracker: Tracker) -> None:
    """The state of thousands of people who came and went is let go."""
    for k in range(1500):
        tracker.update(seen(person(50 + 200 * (k % 4), 150 + (k % 7) * 60)), k * 1.0)
    table = tracker._all.table  # type: ignore[attr-defined]
    assert len(table._ints) <= 256
    assert table.n <= 64


@pytest.mark.parametrize("fps", [1, 2, 5, 10, 30, 60])
def test_camcount_follows_a_walker_at_any_rate(fps: int) -> None:
    """At 1 to 60 frames a second, walking 0.8 heights a second, it is one track."""
    frames = [seen(person(50 + 80 * k / fps)) for k in range(8 * fps)]
    assert {tuple(g) for g in ids(tracker_for(), frames, fps)} == {(1,)}


def test_camcount_bridges_an_occlusion() -> None:
    """Somebody hidden for a second by a bus comes out as who went in."""
    frames = [seen(person(50 + 4 * k)) if not 30 <= k < 55 else seen() for k in range(80)]
    assert ids(tracker_for(), frames)[-1] == [1]


@pytest.mark.parametrize("name", ["camcount", "bytetrack"])
def test_doubtful_boxes_continue_a_track_and_start_none(name: str) -> None:
    """A box of low confidence is good enough to go on, not to begin."""
    tracker = tracker_for(name)
    frames = [seen(person(100 + 2 * k), confidence=0.9 if k < 10 else 0.2) for k in range(30)]
    assert ids(tracker, frames)[-1] == [1]
    assert ids(tracker_for(name), [seen(person(100), confidence=0.2)] * 10) == [[]] * 10


@pytest.mark.parametrize("name", NAMES)
def test_a_flicker_of_the_class_neither_splits_nor_relabels(name: str) -> None:
    """A car that is a truck for two frames stays one track, and a car."""
    tracker = tracker_for(name)
    labels = set()
    for k in range(40):
        tracks = tracker.update(seen(person(100 + k), class_id=2 if k in (20, 21) else 1), k / 25)
        labels.add((int(tracks.track_id[0]), tracks.label(0)))
    assert labels == {(1, "car")}


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_was_wrong_at_first_is_put_right(name: str) -> None:
    """The class that the detector sees most of the time wins."""
    tracker = tracker_for(name)
    for k in range(40):
        tracks = tracker.update(seen(person(100 + k), class_id=2 if k < 4 else 1), k / 25)
    assert tracks.label(0) == "car"


def test_an_unknown_tracker_is_named_with_the_known_ones() -> None:
    """The message says what would be right."""
    with pytest.raises(UsageError, match="bytetrack"):
        tracker_for("deepsort")


def test_an_unknown_option_is_refused() -> None:
    """A misspelt option does not pass silently."""
    with pytest.raises(UsageError, match="treshold"):
        tracker_for("sort", treshold=1)
