"""Lines, zones and flows of one camera together."""

from __future__ import annotations

from pathlib import Path

import pytest

from camcount.counting.proposal import propose_line
from camcount.counting.scene import SceneCounter
from camcount.counting.totals import Totals
from camcount.detections import Detections, Tracks
from camcount.evaluation.counting import evaluate_counting
from camcount.evaluation.truth import load_truth
from camcount.events import Crossing, FlowCompleted
from camcount.geometry import Line, Zone
from camcount.tracking.motchallenge import GivenFrames, GivenTracks
from tests.paths import count, tracks_at, walk

LEFT = Line("left", ((100, 0), (100, 200)))
RIGHT = Line("right", ((300, 0), (300, 200)))
MIDDLE = Zone("middle", ((150, 0), (250, 0), (250, 200), (150, 200)))


def _across(labels: dict[int, str] | None = None) -> list[tuple[float, Tracks]]:
    """From left to right through both lines and the zone in 4 s, and back later, another track."""
    there = [(t, tracks_at({1: foot}, labels=labels)) for t, foot in walk((0, 10, 100), (4, 390, 100))]
    back = [(t, tracks_at({2: foot}, labels=labels)) for t, foot in walk((6, 390, 120), (10, 10, 120))]
    return [*there, (5.0, tracks_at({})), *back]


def test_one_walk_gives_crossings_a_visit_and_a_flow() -> None:
    """What three counters see of two walks, in totals."""
    events = count(SceneCounter([LEFT, RIGHT], [MIDDLE], 400, 200, camera_id="cam"), _across())
    totals = Totals([LEFT, RIGHT], [MIDDLE])
    for event in events:
        totals.add(event)
    result = totals.as_dict()
    assert {name: (line["in"], line["out"]) for name, line in result["lines"].items()} == {
        "left": (1, 1),
        "right": (1, 1),
    }
    assert (result["zones"]["middle"]["entries"], result["zones"]["middle"]["exits"]) == (2, 2)
    assert [(f["from"], f["to"], f["count"]) for f in result["flows"]] == [("left", "right", 1), ("right", "left", 1)]
    assert {event.camera_id for event in events} == {"cam"}


def test_with_one_line_there_are_no_flows() -> None:
    """A flow needs two ends."""
    events = count(SceneCounter([LEFT], [], 400, 200), _across())
    assert [event.type for event in events] == ["crossing", "crossing"]


def test_labels_limit_lines_and_zones_that_do_not_say() -> None:
    """The scene counts dogs only, the right line says that it counts people."""
    right = Line("right", RIGHT.points, labels=("person",))
    scene = SceneCounter([LEFT, right], [MIDDLE], 400, 200, labels=("dog",))
    events = count(scene, _across(labels={2: "dog"}))
    by_track = {(type(event).__name__, event.track_id, getattr(event, "line", "")) for event in events}
    assert by_track == {
        ("Crossing", 1, "right"),
        ("Crossing", 2, "left"),
        ("ZoneEntered", 2, ""),
        ("ZoneLeft", 2, ""),
    }


def test_reset_forgets_all_three() -> None:
    """Half a walk, a reset, the other half: nothing is pieced together."""
    scene = SceneCounter([LEFT, RIGHT], [MIDDLE], 400, 200)
    frames = _across()
    count(scene, frames[:21], finish=False)
    assert scene.occupancy() == {"middle": {"person": 1}}
    scene.reset()
    assert scene.occupancy() == {"middle": {}}
    assert not [e for e in count(scene, frames[22:41]) if isinstance(e, FlowCompleted)]


# in TUD-Campus the truth leaves out one who crossed both lines unseen for 1.5 s, and one 0.26 s before the end
@pytest.mark.parametrize(("sequence", "wrong"), [("TUD-Campus", 3), ("TUD-Stadtmitte", 1), ("MOT17-09", 2)])
def test_true_tracks_count_the_true_crossings(data: Path, sequence: str, wrong: int) -> None:
    """Ground-truth tracks through the counter, against the computed crossings, which see none before a birth."""
    truth = load_truth(data / "truth" / f"{sequence}.yaml")
    assert truth.size is not None
    assert truth.fps is not None
    given = GivenTracks(data / "mot" / sequence / "gt" / "gt.txt", truth.fps)
    source = GivenFrames(given.frames, truth.fps, *truth.size)
    source.open()
    frames = []
    while (frame := source.read()) is not None:
        frames.append((frame.time_s, given.update(Detections.empty(), frame.time_s)))
    scene = SceneCounter(truth.lines, [], *truth.size, anchor=truth.anchor)
    crossings = [event for event in count(scene, frames) if isinstance(event, Crossing)]
    overall = evaluate_counting(crossings, truth).as_dict()["overall"]
    assert overall["false_positives"] + overall["false_negatives"] <= wrong
    proposed = propose_line([tracks for _, tracks in frames], *truth.size)
    assert len(count(SceneCounter([proposed], [], *truth.size), frames)) >= 2
