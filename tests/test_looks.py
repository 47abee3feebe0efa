"""Who is who where motion leaves it open: scripted walks, and looks that a fake appearance makes up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from camcount.counting.lines import LineCounter
from camcount.detections import Detections
from camcount.events import Crossing
from camcount.frame import Frame
from camcount.geometry import Line
from camcount.tracking.camcount import CamcountTracker
from camcount.tracking.looked import Looked
from camcount.tracking.looks import Looks
from tests.paths import count, tracks_at

Scene = Sequence[dict[str, float]]
"""Per frame who is where: the foot's x by name."""


def box(x: float) -> tuple[float, float, float, float]:
    """A person 100 pixels tall whose foot is at x, 300."""
    return x - 20, 200, x + 20, 300


class Script:
    """An `Appearance` that knows who stands where; all look unlike each other, and a little unlike themselves."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.asked: list[tuple[int, str]] = []
        self._rng = np.random.default_rng(3)
        self._looks: dict[str, NDArray[np.float64]] = {}

    def embed(self, frame: Frame, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """The looks of whoever stands in the middle of each box."""
        found = []
        for left, _, right, _ in xyxy.tolist():
            here = self.scene[frame.index]
            name = min(here, key=lambda n: abs(here[n] - (left + right) / 2))
            self.asked.append((frame.index, name))
            plain = self._looks.setdefault(name, self._rng.normal(size=64))
            found.append(plain + 0.2 * self._rng.normal(size=64))
        rows = np.array(found)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def close(self) -> None:
        """Nothing is open."""


def followed(scene: Scene, looks: Looks | None, fps: float = 10.0) -> list[dict[str, int]]:
    """The id that each person has in each frame."""
    tracker = CamcountTracker(looks=looks)
    given = []
    for k, people in enumerate(scene):
        if looks is not None:
            looks.show(Frame(index=k, time_s=k / fps, width=640, height=360))
        boxes = np.array([box(x) for x in people.values()], np.float32).reshape(-1, 4)
        count = len(boxes)
        detections = Detections(boxes, np.full(count, 0.9), np.zeros(count, np.int32), ("person",))
        tracks = tracker.update(detections, k / fps)
        given.append(dict(zip(people, tracks.track_id.tolist(), strict=True)))
    return given


def met_and_turned_back() -> Scene:
    """Two people walk up to each other, are hidden for some moments, and each goes back where it came from."""
    there = [{"ann": 100 + 4.0 * k, "ben": 300 - 4.0 * k} for k in range(24)]
    return [*there, *[{}] * 4, *reversed(there)]


def test_two_who_meet_and_turn_back_keep_their_ids_only_if_they_are_looked_at() -> None:
    """By motion alone they have walked through each other; by their looks they have not."""
    scene = met_and_turned_back()
    by_motion, by_looks = followed(scene, None), followed(scene, Looks(Script(scene)))
    assert by_motion[-1] == {"ann": by_motion[0]["ben"], "ben": by_motion[0]["ann"]}
    assert by_looks[-1] == by_looks[0]


def test_looks_alike_leave_the_verdict_to_motion() -> None:
    """Two people in the same uniform who walk through each other are followed as without looks."""
    scene = [{"ann": 100 + 8.0 * k, "ben": 300 - 8.0 * k} if not 10 < k < 15 else {} for k in range(25)]
    uniform = Script(scene)
    uniform._looks = dict.fromkeys(("ann", "ben"), np.ones(64))
    assert followed(scene, Looks(uniform)) == followed(scene, None)


def test_somebody_alone_is_looked_at_every_few_seconds_only() -> None:
    """Where nothing is open a look is a matter of keeping up to date: once in two seconds."""
    scene = [{"ann": 100 + 2.0 * k} for k in range(200)]
    looks = Looks(Script(scene))
    followed(scene, looks)
    assert looks.embedded <= 200 / 10 / 2 + 1
    assert looks.as_dict() == {"embeddings": looks.embedded, "per_frame": round(looks.embedded / 200, 3)}


def test_whoever_comes_near_is_looked_at_before_the_crossing() -> None:
    """What somebody looks like must be known before he is hidden."""
    scene = met_and_turned_back()
    script = Script(scene)
    followed(scene, Looks(script))
    assert {name for frame, name in script.asked if frame < 24} == {"ann", "ben"}


def test_a_box_is_asked_about_once_a_frame() -> None:
    """Weighing and learning share what was seen."""
    scene = met_and_turned_back()
    script = Script(scene)
    followed(scene, Looks(script))
    assert len(script.asked) == len(set(script.asked))


def test_memory_stays_flat() -> None:
    """What thousands of people looked like is forgotten soon after they went."""
    scene = [{f"{k // 40}-{n}": 60.0 + 130 * n + k % 40 for n in range(4)} for k in range(1200)]
    looks = Looks(Script(scene))
    followed(scene, looks)
    assert looks.embedded > 120
    assert len(looks._known) <= 16
    looks.reset()
    assert len(looks._known) == 0


def test_ids_are_found_in_whatever_order_they_are_first_looked_at() -> None:
    """The table is searched, so it must stay sorted."""
    known = Looked()
    for number in (7, 3, 9):
        known.take(np.array([number]), np.full((1, 4), 0.5, np.float32), 0.3, 1.0)
    assert known.slots(np.array([9, 4, 3, 7])).tolist() == [2, -1, 0, 1]
    known.see(known.slots(np.array([3])), np.array([[1.0, 2, 3, 4]]), 5.0)
    known.forget(2.0)
    assert known.id.tolist() == [3]


@pytest.mark.parametrize(
    ("start", "strange", "counted"), [(141, None, 2), (141, -1.0, 1), (145, None, 1), (145, 1.0, 2)]
)
def test_looks_stretch_or_shorten_what_a_new_track_may_carry_on(
    start: float, strange: float | None, counted: int
) -> None:
    """One is lost beyond the line, one begins before it: the same one has crossed once, two have twice."""
    frames = [(k / 10, tracks_at({1: (min(60.0 + 10 * k, 160.0), 300.0)})) for k in range(21)]
    frames += [(2.1 + k / 10, tracks_at({2: (start + 10.0 * k, 300.0)})) for k in range(12)]
    counter = LineCounter([Line("gate", ((0.5, 0.0), (0.5, 1.0)))], 300, 360, unlike=lambda one, other: strange)
    assert len([event for event in count(counter, frames) if isinstance(event, Crossing)]) == counted
