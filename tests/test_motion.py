"""The motion engine: what moves is found, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from camcount.engines.motion import MotionEngine, MotionSettings
from camcount.errors import ModelError
from camcount.geometry import iou_matrix
from camcount.video.synthetic import StreetScene

Pixels = NDArray[np.uint8]


def _still(rng: np.random.Generator, noise: float, brightness: float = 1.0) -> Pixels:
    ramp = np.linspace(60, 170, 320)[None, :, None] + np.linspace(0, 30, 240)[:, None, None]
    return np.clip(ramp * brightness + rng.normal(0, noise, (240, 320, 3)), 0, 255).astype(np.uint8)


def _find(engine: MotionEngine, image: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    boxes, scores, labels = engine.run({"image": image[None]})
    assert labels.tolist() == [0] * len(boxes)
    return boxes, scores


def _with_square(image: Pixels, x: int, y: int, size: int) -> Pixels:
    image[y : y + size, x : x + size] = (40, 30, 220)
    return image


@pytest.mark.parametrize("noise", [0.0, 3.0, 8.0])
def test_still_noisy_picture_has_no_motion(noise: float) -> None:
    """A camera that sees nothing move finds nothing, however noisy its sensor."""
    rng, engine = np.random.default_rng(1), MotionEngine()
    found = [len(_find(engine, _still(rng, noise))[0]) for _ in range(80)]
    assert sum(found) == 0


def test_moving_square_is_found_where_it_is() -> None:
    """Something that moves is found with an overlap above 0.6 in nearly every frame, and scored well above 0.5."""
    rng, engine = np.random.default_rng(2), MotionEngine()
    for _ in range(20):
        _find(engine, _still(rng, 3))
    good = 0
    for step in range(40):
        x = 10 + 6 * step
        boxes, scores = _find(engine, _with_square(_still(rng, 3), x, 100, 30))
        truth = np.array([[x, 100, x + 30, 130]], np.float32)
        good += len(boxes) == 1 and iou_matrix(truth, boxes)[0, 0] > 0.6 and scores[0] > 0.5
    assert good >= 38


def test_boxes_are_in_pixels_of_the_picture_given() -> None:
    """A picture wider than the engine works at gives boxes in its own pixels."""
    engine = MotionEngine(MotionSettings(width=160))
    rng = np.random.default_rng(3)
    for _ in range(15):
        _find(engine, _still(rng, 2))
    boxes, _ = _find(engine, _with_square(_still(rng, 2), 200, 120, 40))
    assert iou_matrix(np.array([[200, 120, 240, 160]], np.float32), boxes).max() > 0.6


@pytest.mark.parametrize("after", [0.75, 1.3])
def test_sudden_light_change_is_no_flood(after: float) -> None:
    """When the whole picture brightens or darkens at once, no flood of boxes follows."""
    rng, engine = np.random.default_rng(4), MotionEngine()
    found = [len(_find(engine, _still(rng, 3, 1.0 if i < 40 else after))[0]) for i in range(80)]
    assert max(found) <= 1
    assert sum(found[45:]) == 0


def test_cut_to_another_picture_is_learnt_anew() -> None:
    """A camera that is turned elsewhere floods for a moment and then is quiet."""
    rng, engine = np.random.default_rng(5), MotionEngine()
    other = rng.integers(0, 255, (240, 320, 3)).astype(np.uint8)
    other = np.repeat(np.repeat(other[::16, ::16], 16, 0), 16, 1)
    for _ in range(40):
        _find(engine, _still(rng, 3))
    found = [len(_find(engine, other)[0]) for _ in range(12)]
    assert found == [0] * 12


def test_slow_light_change_is_followed() -> None:
    """A cloud that takes the light down by a fifth in three seconds is no motion."""
    rng, engine = np.random.default_rng(6), MotionEngine()
    for _ in range(30):
        _find(engine, _still(rng, 3))
    found = [len(_find(engine, _still(rng, 3, 1 - 0.2 * i / 45))[0]) for i in range(45)]
    assert sum(found) == 0


def test_waiting_object_stays_for_seconds() -> None:
    """Something that comes and stops is still seen for a while, and is background at last."""
    rng, engine = np.random.default_rng(7), MotionEngine(MotionSettings(memory=150))
    for _ in range(60):
        _find(engine, _still(rng, 3))
    seen = [len(_find(engine, _with_square(_still(rng, 3), 100, 100, 40))[0]) for _ in range(160)]
    assert seen[:12] == [1] * 12
    assert seen[-1] == 0


def test_flickering_patch_is_silenced() -> None:
    """A patch that goes on and off all the time, like leaves in the wind, stops being found."""
    rng, engine = np.random.default_rng(8), MotionEngine()
    for _ in range(30):
        _find(engine, _still(rng, 2))
    found = []
    for i in range(120):
        image = _still(rng, 2)
        found.append(len(_find(engine, _with_square(image, 60, 60, 30) if i % 3 == 0 else image)[0]))
    assert sum(found[60:]) == 0


def test_head_and_body_are_one_object() -> None:
    """Parts one above the other with a small gap are one box."""
    rng, engine = np.random.default_rng(9), MotionEngine()
    for _ in range(20):
        _find(engine, _still(rng, 2))
    image = _still(rng, 2)
    image[80:92, 100:116] = (20, 20, 230)
    image[96:150, 94:122] = (20, 20, 230)
    boxes, _ = _find(engine, image)
    assert len(boxes) == 1
    np.testing.assert_allclose(boxes[0], [94, 80, 122, 150], atol=4)


@pytest.mark.parametrize(
    "image",
    [
        None,
        np.zeros((2, 40, 40, 3), np.uint8),
        np.zeros((1, 40, 40, 3), np.float32),
        np.zeros((1, 3, 40, 40), np.uint8),
    ],
)
def test_wrong_input_is_named(image: NDArray[np.uint8] | None) -> None:
    """An input that is not one BGR picture is refused with what was given."""
    with pytest.raises(ModelError, match="uint8 \\(1, H, W, 3\\)"):
        MotionEngine().run({} if image is None else {"image": image})


def test_engine_says_what_it_takes_and_gives() -> None:
    """The tensors are named, and only one thread may call."""
    engine = MotionEngine()
    assert list(engine.inputs) == ["image"]
    assert list(engine.outputs) == ["boxes", "scores", "labels"]
    assert engine.concurrency == 1


def test_another_size_starts_afresh() -> None:
    """A stream that changes its size is learnt anew without an error, and so is one after close."""
    rng, engine = np.random.default_rng(10), MotionEngine()
    for _ in range(10):
        _find(engine, _still(rng, 2))
    assert len(_find(engine, np.ascontiguousarray(_still(rng, 2)[:120, :160]))[0]) == 0
    engine.close()
    assert len(_find(engine, _still(rng, 2))[0]) == 0


def test_finds_most_of_the_demo_street() -> None:
    """Of the larger actors that stand clear of the others, five in six are found."""
    scene, engine = StreetScene(seed=1, seconds=13), MotionEngine()
    found = total = 0
    while (frame := scene.read()) is not None:
        boxes, _ = _find(engine, frame.image(480, 270))
        if frame.index < 75 or frame.index % 6:
            continue
        seen = [s.xyxy for s in scene.boxes(frame.time_s) if s.xyxy[3] - s.xyxy[1] > 70]
        truth = np.array(seen, np.float32).reshape(-1, 4) * (480 / 1280)
        alone = ((iou_matrix(truth, truth) > 0).sum(axis=1) == 1) & (truth[:, 2] < 470) & (truth[:, 0] > 10)
        overlaps = iou_matrix(truth[alone], boxes)
        total += int(alone.sum())
        found += int((overlaps.max(axis=1, initial=0) > 0.4).sum())
    assert total > 40
    assert found / total > 0.84


def _pictures(path: Path) -> Iterator[Pixels]:
    import av

    with av.open(str(path)) as video:
        for frame in video.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def test_real_cars_are_found(data: Path) -> None:
    """On a real motorway there are boxes on the road in most frames and never a flood."""
    engine = MotionEngine()
    counts = [len(_find(engine, image)[0]) for image in _pictures(data / "videos" / "tfl" / "625_201708101116.mp4")]
    assert np.mean(np.array(counts[25:]) > 0) > 0.9
    assert max(counts) < 25
