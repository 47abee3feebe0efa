"""Truth files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from camcount.errors import UsageError
from camcount.evaluation.truth import load_truth

GOOD = """
video: gate.mp4
fps: 25
size: [640, 480]
anchor: centre
lines:
  gate:
    a: [0.1, 0.5]
    b: [0.9, 0.5]
    totals: {in: 1, out: 1}
    events:
    - {time_s: 1.5, direction: in, label: person, certain: true, tolerance_s: 0.5}
    - {time_s: 2, direction: out, label: vehicle}
    - {time_s: 9.5, direction: in, label: person, certain: false}
"""


def _truth(folder: Path, text: str) -> Path:
    path = folder / "truth.yaml"
    path.write_text(text)
    return path


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    """Every key arrives; what an event does not say is certain and within a second."""
    truth = load_truth(_truth(tmp_path, GOOD))
    assert (truth.video, truth.sequence, truth.fps, truth.size, truth.anchor) == (
        "gate.mp4",
        None,
        25.0,
        (640, 480),
        "centre",
    )
    assert truth.lines[0].points == ((0.1, 0.5), (0.9, 0.5))
    assert truth.labels == ("person", "vehicle")
    first, second, third = truth.events
    assert (first.time_s, first.direction, first.label, first.certain, first.tolerance_s, first.line) == (
        1.5,
        "in",
        "person",
        True,
        0.5,
        "gate",
    )
    assert (second.certain, second.tolerance_s) == (True, 1.0)
    assert not third.certain


def test_real_truths_agree_with_their_totals(data: Path) -> None:
    """All nine files load, and certain events add up to the totals written beside them."""
    paths = sorted((data / "truth").glob("*.yaml"))
    assert len(paths) >= 9
    for path in paths:
        truth = load_truth(path)
        written = yaml.safe_load(path.read_text())["lines"]
        for name, line in written.items():
            for direction in ("in", "out"):
                certain = [e for e in truth.events if (e.line, e.direction, e.certain) == (name, direction, True)]
                assert len(certain) == line["totals"][direction], (path, name)


def test_a_negative_clip_looks_for_people_and_vehicles(data: Path) -> None:
    """No event names a label, and a bottle on the conveyor is no mistake."""
    truth = load_truth(data / "truth" / "bottle-detection.yaml")
    assert truth.labels == ("person", "vehicle")
    assert truth.events == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("lines:", "roads:", "lacks 'lines'"),
        ("lines:", "line:", "has no key 'line': did you mean 'lines'?"),
        ("anchor: centre", "anchor: head", "has anchor 'head', which is not one of foot, centre"),
        ("size: [640, 480]", "size: [640]", "has size [640], which is not a point"),
        ("size: [640, 480]", "size: [0, 480]", "whole pixels"),
        ("fps: 25", "fps: .nan", "has fps nan, which is not a finite number"),
        ("fps: 25", "fps: -3", "is below"),
        ("    a: [0.1, 0.5]\n", "", "lines: gate lacks 'a'"),
        ("a: [0.1, 0.5]", "a: [left, 0.5]", "which is not a point"),
        ("a: [0.1, 0.5]", "a: [900, 0.5]", "outside the 640x480 picture"),
        ("a: [0.1, 0.5]", "a: [0.9, 0.5]", "zero length"),
        ("direction: in", "direction: inn", "event 1 has direction 'inn', which is not one of in, out"),
        ("direction: in", "dirction: in", "did you mean 'direction'?"),
        ("time_s: 1.5", "time_s: early", "event 1 has time_s 'early'"),
        ("time_s: 1.5", "time_s: -1", "is below 0"),
        ("time_s: 1.5, ", "", "event 1 lacks 'time_s'"),
        ("tolerance_s: 0.5", "tolerance_s: .inf", "has tolerance_s inf"),
        ("certain: true", "certain: perhaps", "which is not true or false"),
        ("label: person, certain: true", "certain: true", "lacks 'label'"),
        ("totals: {in: 1", "totals: {in: 3", "has 3 in, and the events make 1 to 2"),
        (GOOD, "lines: [", "not a readable YAML file"),
        (GOOD, "just words", "needs keys such as"),
        (GOOD, "lines: {}", "needs 'lines' as a mapping"),
    ],
)
def test_what_is_wrong_is_named_on_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Path, place, fault."""
    path = _truth(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(UsageError) as error:
        load_truth(path)
    message = str(error.value)
    assert says in message
    assert str(path) in message
    assert "\n" not in message


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    """No traceback for a typo."""
    with pytest.raises(UsageError, match="no truth file"):
        load_truth(tmp_path / "nothing.yaml")


def test_totals_may_count_uncertain_events(tmp_path: Path) -> None:
    """Whoever wrote the totals may have counted them or not."""
    assert load_truth(_truth(tmp_path, GOOD.replace("{in: 1", "{in: 2"))).lines
