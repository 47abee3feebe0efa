"""What a camera promises not to miss at a rate of frames, tried on objects of every pace and moment."""

from __future__ import annotations

import numpy as np
import pytest

from camcount.cameras.promise import SIGHTS, STEP, promised
from camcount.counting.scene import SceneCounter
from camcount.detections import Detections
from camcount.geometry import Line
from camcount.tracking.select import tracker_for

WIDTH, HEIGHT, MIDDLE = 1280, 720, Line("middle", ((0.5, 0.0), (0.5, 1.0)))
PERSON, CAR = (60.0, 150.0), (200.0, 100.0)


def counted(fps: float, size: tuple[float, float], speed: float, view_s: float, late: float) -> int:
    """Crossings of one object: ``speed`` in heights a second, in view ``view_s`` seconds on either side of the line.

    The first frame comes ``late`` of an interval after the object.
    """
    tracker, scene, found = tracker_for("camcount"), SceneCounter([MIDDLE], [], WIDTH, HEIGHT), 0
    width, height = size
    for number in range(int((2 * view_s + 3) * fps)):
        time_s = (number + late) / fps
        foot = WIDTH / 2 + (time_s - view_s) * speed * height
        box = np.array([[foot - width / 2, 400 - height, foot + width / 2, 400]], np.float32)
        seen = Detections(box, np.array([0.8], np.float32), np.zeros(1, np.int32), ("person",))
        tracks = tracker.update(seen if time_s <= 2 * view_s else Detections.empty(("person",)), time_s)
        found += len(scene.update(tracks, time_s))
    return found + len(scene.finish(2 * view_s + 3))


@pytest.mark.parametrize("size", [PERSON, CAR], ids=["person", "car"])
@pytest.mark.parametrize("fps", [2.0, 3.0, 5.0, 8.0, 12.0, 25.0])
def test_what_is_promised_is_counted_however_the_frames_fall(fps: float, size: tuple[float, float]) -> None:
    """From the promised speed down to a quarter of it, in view as briefly as promised."""
    promise = promised(fps)
    assert promise is not None
    for speed in (promise.speed, promise.speed / 2, promise.speed / 4):
        found = [counted(fps, size, speed, promise.view_s, late) for late in (0.02, 0.35, 0.65, 0.98)]
        assert found == [1] * 4, speed


def test_the_promise_is_no_wider_than_it_must_be() -> None:
    """What is in view for half as long, or a person twice as fast, is missed."""
    promise = promised(5.0)
    assert promise is not None
    assert (promise.view_s, promise.speed) == (SIGHTS / 5.0, STEP * 5.0)
    assert counted(5.0, PERSON, promise.speed / 2, promise.view_s / 2, 0.5) == 0
    assert counted(5.0, PERSON, 2 * promise.speed, promise.view_s, 0.5) == 0


def test_nothing_is_promised_where_no_frame_is_asked_about() -> None:
    """A camera that gets nothing of the machine can say nothing."""
    assert promised(0.0) is None
