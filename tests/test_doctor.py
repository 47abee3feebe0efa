"""The line doctor: what a line will lose, why, and a better one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from bench.doctor import recorded, sequence_rows
from bench.peers_data import Sequence, load

from camcount.commands.doctor_words import sentences
from camcount.counting.doctor import Diagnosis, Ledger, Recording, diagnose
from camcount.counting.doctor_evidence import find_signs
from camcount.counting.doctor_paths import paths_of
from camcount.counting.doctor_proposal import better_line
from camcount.counting.lines import LineCounter
from camcount.detections import Detections, Tracks
from camcount.events import Crossing
from camcount.geometry import Anchor, Line
from camcount.video.doctor_picture import GRADES, Judged, doctor_picture
from tests.paths import Point, tracks_at
from tests.test_commands import Terminal, camcount  # noqa: F401 - a fixture

SIZE = 400, 300
MIDDLE = Line("gate", ((0.5, 0.0), (0.5, 1.0)))

Walks = Mapping[int, tuple[float, float, Point, Point]]
"""By track id: from when to when, from where to where."""


def recording(walks: Walks, *, fps: float = 20, seconds: float = 20, **more: object) -> Recording:
    """What a perfect tracker makes of people who walk so."""
    made = Recording(*SIZE)
    for k in range(round(seconds * fps)):
        t = k / fps
        feet = {
            number: (a[0] + (t - t0) / (t1 - t0) * (b[0] - a[0]), a[1] + (t - t0) / (t1 - t0) * (b[1] - a[1]))
            for number, (t0, t1, a, b) in walks.items()
            if t0 <= t <= t1
        }
        made.add(tracks_at(feet, **more) if feet else Tracks.empty(("person",)), t)  # type: ignore[arg-type]
    return made


def people(start: float, stop: float, *, count: int = 8, y: float = 200.0) -> Walks:
    """One after the other from x = ``start`` to ``stop`` at 80 pixels a second, two seconds apart."""
    long = abs(stop - start) / 80
    return {k + 1: (1 + 2 * k, 1 + 2 * k + long, (start, y), (stop, y)) for k in range(count)}


def kinds(diagnosis: Diagnosis) -> list[str]:
    """What it says is wrong, in its order."""
    return [cause.kind for cause in diagnosis.causes]


def test_a_line_that_all_pass_fully_loses_next_to_nothing() -> None:
    """The base rate remains: those whom no detector finds leave no sign."""
    found = diagnose(MIDDLE, recording(people(40, 360), fps=30))
    assert (found.counted_in, found.counted_out) == (0, 8)
    assert found.loss is not None
    assert found.loss < 0.09
    assert (found.grade, found.causes) == ("good", ())


def test_a_line_at_the_edge_loses_those_who_vanish_there() -> None:
    """Seen beyond it for two frames only: a counter that wants to see a side held counts none of the eight."""
    edge = Line("gate", ((0.965, 0.0), (0.965, 1.0)))
    found = Ledger(recording(people(100, 389))).judge(edge, [])
    assert found.loss is not None
    assert found.loss > 0.6
    assert kinds(found)[0] == "edge"
    assert found.grade == "poor"


def test_the_edge_is_named_with_its_distance_and_side() -> None:
    """An operator reads where the line is and where to go."""
    made = recording(people(100, 388), fps=20)
    line = Line("gate", ((0.965, 0.0), (0.965, 1.0)))
    signs = [sign for sign in find_signs(paths_of(made), line.at(*SIZE), [], 0.0, 20.0) if sign.cut]
    assert len(signs) == 8
    ledger = Ledger(made)
    text = " ".join(cause.text for cause in ledger.judge(line, []).causes)
    assert "4 % of the picture from the right edge" in text


def broken(gap_s: float) -> Walks:
    """Every second person is lost just before the line, and another id goes on beyond."""
    walks: dict[int, tuple[float, float, Point, Point]] = {}
    for k, (t0, t1, a, b) in people(40, 360).items():
        if k % 2:
            walks[k] = t0, t1, a, b
            continue
        t = t0 + (190 - 40) / 80
        after = 190 + 80 * gap_s
        walks[k] = t0, t, a, (190.0, 200.0)
        walks[100 + k] = t + gap_s, t1, (after, 200.0), b
    return walks


def test_tracks_that_break_at_the_line_are_one_loss_each() -> None:
    """End and beginning of the same person are one missed crossing, not two."""
    made = recording(broken(0.5))
    signs = find_signs(paths_of(made), MIDDLE.at(*SIZE), [], 0.0, 20.0)
    assert sum(sign.broken for sign in signs) == 4
    found = Ledger(made).judge(MIDDLE, [])
    assert kinds(found).count("broken") == 1


def test_a_break_that_the_counter_bridged_is_no_loss() -> None:
    """Where the rest of the track was counted, the end before it is explained."""
    made = recording(broken(0.1))
    paths = paths_of(made)
    counted = [
        Crossing(
            camera_id="",
            time_s=float(paths[number].time[0]),
            track_id=number,
            label="person",
            confidence=0.8,
            reason="",
            point=(200.0, 200.0),
            line="gate",
            direction="out",
        )
        for number in paths
        if number > 100
    ]
    signs = find_signs(paths, MIDDLE.at(*SIZE), counted, 0.0, 20.0)
    assert {sign.path.track_id for sign in signs} <= {1, 3, 5, 7}


def test_a_track_that_turns_back_before_the_line_is_no_sign() -> None:
    """It is thought on with the speed that it had at its end, away from the line."""
    walks: Walks = {1: (1, 3, (40, 200), (180, 200))}
    made = recording(walks)
    back = recording({1: (3.05, 6, (178, 200), (40, 200))})
    made.frames = [*made.frames[:61], *back.frames[61:]]
    assert not find_signs(paths_of(made), MIDDLE.at(*SIZE), [], 0.0, 20.0)


def test_those_cut_off_by_the_end_of_the_recording_are_no_loss() -> None:
    """Somebody on the line in the last frame would have been counted a moment later."""
    made = recording({1: (17.9, 19.98, (40, 200), (205, 200))})
    assert not find_signs(paths_of(made), MIDDLE.at(*SIZE), [], 0.0, made.end_s)


def test_a_frame_rate_too_low_for_the_speed_is_a_cause_with_a_remedy() -> None:
    """At three frames a second these move their whole size from one frame to the next."""
    found = diagnose(MIDDLE, recording(people(40, 360), fps=3))
    calm = diagnose(MIDDLE, recording(people(40, 360), fps=30))
    assert "rate" in kinds(found)
    assert "rate" not in kinds(calm)
    assert (found.loss or 0) > (calm.loss or 0)
    text = next(cause.text for cause in found.causes if cause.kind == "rate")
    assert "3 frames a second are too few" in text
    assert int(text.split("Use ")[1].split()[0]) > 10


def test_few_pixels_are_a_cause() -> None:
    """Twelve pixels tall."""
    found = diagnose(MIDDLE, recording(people(40, 360), size=(6, 12)))
    assert "small" in kinds(found)


def test_an_unsure_detector_is_a_cause() -> None:
    """The same walk with confidences of 0.3."""
    made = recording(people(40, 360))
    made.frames = [
        (
            t,
            Tracks(
                tracks.xyxy,
                np.full(len(tracks), 0.3, np.float32),
                tracks.class_id,
                tracks.track_id,
                tracks.confirmed,
                tracks.labels,
            ),
        )
        for t, tracks in made.frames
    ]
    assert "unsure" in kinds(diagnose(MIDDLE, made))


def test_a_crowd_is_a_cause() -> None:
    """Pairs who walk half behind one another."""
    walks = dict(people(40, 360))
    walks |= {100 + k: (t0, t1, (a[0] + 6, a[1] + 4), (b[0] + 6, b[1] + 4)) for k, (t0, t1, a, b) in walks.items()}
    assert "crowd" in kinds(diagnose(MIDDLE, recording(walks)))


@pytest.mark.parametrize(("anchor", "said"), [("foot", True), ("centre", False)])
def test_hidden_feet_matter_where_feet_are_counted(anchor: Anchor, said: bool) -> None:
    """Half the frames show the upper half of the body only."""
    made = recording(people(40, 360))
    cut = Recording(*SIZE, anchor=anchor)
    for k, (t, tracks) in enumerate(made.frames):
        boxes = tracks.xyxy.copy()
        if k % 5 > 2:
            boxes[:, 3] -= 15
        cut.add(
            Tracks(boxes, tracks.confidence, tracks.class_id, tracks.track_id, tracks.confirmed, tracks.labels),
            t,
        )
    assert ("hidden" in kinds(diagnose(MIDDLE, cut))) is said


def test_an_empty_recording_says_what_to_do() -> None:
    """No loss is made up where nobody was."""
    found = diagnose(MIDDLE, recording({}))
    assert (found.loss, found.grade, kinds(found)) == (None, "unknown", ["empty"])
    assert "--seconds" in found.causes[0].text


def test_a_line_that_nobody_comes_to_is_told_where_they_pass() -> None:
    """The proposal then is a line across their way, with the same side as ``in``."""
    ledger = Ledger(recording(people(40, 360, y=250)))
    (found,) = ledger.diagnose([Line("gate", ((0.5, 0.0), (0.5, 0.3)))])
    assert kinds(found) == ["elsewhere"]
    better = better_line(ledger, found)
    assert better is not None
    assert (better.counted_in, better.counted_out) == (0, 8)
    assert (better.line.name, better.grade) == ("gate", "good")


def test_a_good_line_gets_no_proposal() -> None:
    """Nothing near it is clearly better."""
    ledger = Ledger(recording(people(40, 360)))
    (found,) = ledger.diagnose([MIDDLE])
    assert better_line(ledger, found) is None


@pytest.mark.parametrize("reverse", [False, True])
def test_the_proposal_for_an_edge_line_counts_them_all_the_same_way_round(reverse: bool) -> None:
    """It lies farther in, and ``in`` stays ``in``."""
    made = recording(people(100, 388))
    line = Line("gate", ((0.965, 0.0), (0.965, 1.0)))
    line = line.reversed if reverse else line
    ledger = Ledger(made)
    bad = ledger.judge(line, [])
    better = better_line(ledger, bad)
    assert better is not None
    assert better.counted == 8
    assert (better.counted_in == 8) is reverse
    assert max(x for x, _ in better.line.points) < 0.965
    assert (better.loss or 0) < (bad.loss or 0) - 0.03


def test_many_lines_at_once_are_judged_as_each_alone() -> None:
    """Whatever they are called."""
    made = recording(broken(0.5))
    lines = [MIDDLE, Line("gate", ((0.3, 0.0), (0.3, 1.0))), Line("gate", ((0.0, 0.9), (1.0, 0.9)))]
    together = Ledger(made).diagnose(lines)
    assert [d.loss for d in together] == [diagnose(line, made).loss for line in lines]
    assert [d.line for d in together] == lines


@pytest.fixture(scope="module")
def sequences(data: Path) -> dict[str, Sequence]:
    """The raw detections."""
    return {sequence.name: sequence for sequence in load(data) if sequence.group == "RAW"}


def test_expected_and_measured_loss_agree_on_real_lines(data: Path, sequences: dict[str, Sequence]) -> None:
    """Ten or more lines of the truth sets within 10 points; off by at most 15 in the mean over all of them.

    The lines have 3 to 19 true crossings, so that luck alone puts a third of them outside (see bench/doctor.py).
    """
    rows = [row for sequence in sequences.values() for row in sequence_rows(data, sequence, 1)]
    assert len(rows) >= 20
    assert sum(row.within for row in rows) >= 10
    assert np.mean([abs(row.expected - row.measured) for row in rows]) < 0.15


def test_a_line_at_the_edge_of_a_real_street_is_found_out(sequences: dict[str, Sequence]) -> None:
    """3 % from the right edge most are lost; the proposal counts more than twice as many and loses far less."""
    sequence = sequences["TUD-Stadtmitte raw"]
    frames = [
        (k / sequence.fps, Detections(f[:, :4], f[:, 4], np.zeros(len(f), np.int32), ("person",)))  # type: ignore[arg-type]
        for k, f in enumerate(sequence.frames)
    ]
    ledger = Ledger(recorded(frames, sequence.size))
    (bad,) = ledger.diagnose([Line("gate", ((0.97, 0.0), (0.97, 1.0)))])
    assert bad.grade == "poor"
    assert "edge" in kinds(bad)
    better = better_line(ledger, bad)
    assert better is not None
    assert better.counted > 2 * bad.counted
    assert (better.loss or 0) < (bad.loss or 0) / 2


@pytest.fixture
def det(tmp_path: Path) -> Path:
    """Eight people walking to the right edge as given boxes, at 20 frames a second."""
    rows = []
    for k, (_, tracks) in enumerate(recording(people(100, 388)).frames):
        rows += [f"{k + 1},-1,{x0},{y0},{x1 - x0},{y1 - y0},0.9,-1,-1,-1" for x0, y0, x1, y1 in tracks.xyxy.tolist()]
    path = tmp_path / "det.txt"
    path.write_text("\n".join(rows))
    return path


GIVEN = ("--fps", 20, "--size", "400x300")


def test_the_command_prints_one_object(camcount: Terminal, det: Path, tmp_path: Path) -> None:  # noqa: F811
    """Loss, causes and a line that can be typed; and the picture is there."""
    out = tmp_path / "doctor.png"
    said = camcount("doctor", "--detections", det, *GIVEN, "--line", "gate=0.965,0,0.965,1", "--out", out, "--json")
    assert said.status == 0, said.err
    gate = said.json["lines"]["gate"]
    assert set(gate) >= {"expected_loss", "causes", "proposal", "counted", "grade", "sights"}
    assert said.json["tracks"] == 8
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (300, 400, 3)
    if gate["proposal"]:
        again = camcount("doctor", "--detections", det, *GIVEN, "--line", gate["proposal"]["line"], "--json")
        assert again.json["lines"]["gate"]["expected_loss"] == gate["proposal"]["expected_loss"]


def test_the_command_talks_to_people(camcount: Terminal, det: Path) -> None:  # noqa: F811
    """The loss in words."""
    said = camcount("doctor", "--detections", det, *GIVEN, "--line", "gate=0.5,0,0.5,1")
    assert said.status == 0
    assert "A good line. Expect to miss" in said.out


def test_seconds_limit_what_is_watched(camcount: Terminal, det: Path) -> None:  # noqa: F811
    """Five seconds of the file."""
    said = camcount("doctor", "--detections", det, *GIVEN, "--line", "g=0.5,0,0.5,1", "--seconds", 5, "--json")
    assert said.json["watched_s"] == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--line"),
        (("--line", "g=0.5,0,900,9"), "outside"),
        (("--line", "g=0.5,0.5,0.5,0.5"), "zero length"),
        (("--line", "g=0.5,0,0.5,1", "--out", "doctor.pdf"), ".png"),
    ],
)
def test_what_cannot_be_is_said_on_one_line(
    camcount: Terminal,  # noqa: F811
    det: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    """The fault and the remedy, exit status 2."""
    said = camcount("doctor", "--detections", det, *GIVEN, *arguments)
    assert said.status == 2
    assert words in said.err
    assert said.err.count("\n") == 1


def test_nobody_in_the_video_is_said_with_what_to_do(camcount: Terminal, tmp_path: Path) -> None:  # noqa: F811
    """One flicker of a box is nobody."""
    path = tmp_path / "det.txt"
    path.write_text("40,-1,10,10,20,40,0.9,-1,-1,-1")
    said = camcount("doctor", "--detections", path, *GIVEN, "--line", "gate=0.5,0,0.5,1")
    assert said.status == 0
    assert "Nothing was found" in said.out
    assert "--seconds" in said.out


def test_the_words_name_loss_and_remedy() -> None:
    """Short sentences, then the line to type."""
    line = {
        "causes": [{"text": "The line is 3 % of the picture from the bottom edge."}],
        "counted": {"in": 20, "out": 4},
        "expected_loss": 0.3,
        "grade": "poor",
        "proposal": {"line": "gate=0,0.8,1,0.8", "expected_loss": 0.04},
    }
    said = sentences("gate", line)
    assert said[0].endswith("from the bottom edge.")
    assert said[1].endswith("Expect to miss 30 %.")
    assert said[2] == 'Try: --line "gate=0,0.8,1,0.8" (expect 4 %)'


def test_the_picture_shows_the_line_in_the_colour_of_its_loss() -> None:
    """Red for poor, dashes of green for the proposal, and a dark ground without a picture."""
    lines = [
        Judged(np.array([[300.0, 10.0], [300.0, 290.0]]), "gate: expect to miss 40 %", "poor"),
        Judged(np.array([[200.0, 10.0], [200.0, 290.0]]), "better: 4 %", "good", proposed=True),
    ]
    picture = doctor_picture(None, SIZE, [np.array([[20.0, 200.0], [380.0, 200.0]])], lines)
    assert picture.shape == (300, 400, 3)
    shares = {}
    for name, x in (("poor", 300), ("good", 200)):
        column = picture[200:285, x].astype(int)
        shares[name] = float((np.abs(column - GRADES[name]).max(axis=1) < 30).mean())
    assert shares["poor"] > 0.8
    assert 0.2 < shares["good"] < 0.9


def test_the_doctor_counts_as_the_counter_does(data: Path, sequences: dict[str, Sequence]) -> None:
    """Its number of crossings is the very number that a run would give."""
    sequence = sequences["TUD-Campus raw"]
    frames = [
        (k / sequence.fps, Detections(f[:, :4], f[:, 4], np.zeros(len(f), np.int32), ("person",)))  # type: ignore[arg-type]
        for k, f in enumerate(sequence.frames)
    ]
    made = recorded(frames, sequence.size)
    lines = [Line(name, ends) for name, ends in sequence.lines.items()]
    counter = LineCounter(lines, *sequence.size)
    events = [event for t, tracks in made.frames for event in counter.update(tracks, t)] + counter.finish(made.end_s)
    for found in Ledger(made).diagnose(lines):
        own = [e for e in events if isinstance(e, Crossing) and e.line == found.line.name]
        assert found.counted == len(own)
