"""How sure counts are: bounds, the evidence that they are made of, and how often the truth lies within."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.bounds import official
from bench.bounds_data import all_records, labelled
from bench.bounds_fit import UNITS, judge, units_of
from bench.peers_data import TrueEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.app import CountingRun
from camcount.commands.tables import print_result
from camcount.counting.bounds import MODEL, BoundsModel, Evidence, bounds_of, total
from camcount.counting.certainty import Certainty
from camcount.counting.evidence import CROSSING_CAUSES, MISS_CAUSES, Finding, Witness
from camcount.counting.intervals import Intervals
from camcount.counting.seen import Seen
from camcount.detections import Tracks
from camcount.events import Crossing, Direction
from camcount.geometry import Line
from camcount.settings import load, shapes

from .paths import tracks_at

LINE = Line("gate", ((0.5, 0.0), (0.5, 1.0)))
"""From top to bottom: going left is ``in``."""
SIZE = 400, 300
SURE = (0.1,) + (0.0,) * (len(CROSSING_CAUSES) - 1)
NEAR_MISS = (0.0, 1.0, 0.0, 0.1, 1.0) + (0.0,) * (len(MISS_CAUSES) - 5)


def _finding(causes: tuple[float, ...], *, counted: bool = True, time_s: float = 1.0) -> Finding:
    return Finding("gate", "in", time_s, counted, causes)


def _evidence(findings: list[Finding], model: BoundsModel = MODEL) -> Evidence:
    evidence = Evidence(counted=sum(f.counted for f in findings))
    for finding in findings:
        evidence.add(finding, model)
    return evidence


def _crossing(time_s: float, x: float = 200, number: int = 1, direction: Direction = "out") -> Crossing:
    return Crossing(
        camera_id="",
        time_s=time_s,
        track_id=number,
        label="person",
        confidence=0.8,
        reason="",
        point=(x, 200),
        line="gate",
        direction=direction,
    )


def _watched(
    ways: dict[int, tuple[float, float, float, float]],
    crossings: list[Crossing] | None = None,
    *,
    fps: float = 20,
    until_s: float = 6.0,
    line: Line = LINE,
    confirmed: bool = True,
) -> list[Finding]:
    """What a witness finds where each track walks steadily: id -> first and last second, x at these."""
    witness, due = Witness([line], *SIZE), sorted(crossings or [], key=lambda c: c.time_s)
    found: list[Finding] = []
    for index in range(round(until_s * fps)):
        time_s = index / fps
        there = {n: w for n, w in ways.items() if w[0] - 1e-9 <= time_s <= w[1] + 1e-9}
        feet = {n: (float(np.interp(time_s, (w[0], w[1]), (w[2], w[3]))), 200.0) for n, w in there.items()}
        told = [c for c in due if c.time_s + 0.3 <= time_s]
        due = [c for c in due if c not in told]
        found += witness.update(tracks_at(feet, confirmed=confirmed), time_s, told)
    return found + witness.finish(due)


def test_a_sure_crossing_has_no_doubts() -> None:
    """Walked through in full view: both sides held, no gap beyond the frame, no twin."""
    (found,) = _watched({1: (0.5, 5, 20, 380)}, [_crossing(2.75)])
    causes = dict(zip(CROSSING_CAUSES, found.causes, strict=True))
    assert (found.counted, found.line, found.direction, found.time_s) == (True, "gate", "out", 2.75)
    assert causes["doubt"] == pytest.approx(0.2)
    assert max(causes[k] for k in ("new", "brief", "shallow", "shallow before", "gap")) < 0.09
    assert causes["twins"] == causes["returned"] == causes["covered"] == 0


def test_weak_crossings_are_doubted_for_what_is_weak_about_them() -> None:
    """New, brief, shallow, doubled, returned: each shows in its own cause."""

    def causes(ways: dict[int, tuple[float, float, float, float]], crossings: list[Crossing]) -> dict[str, float]:
        found = next(f for f in _watched(ways, crossings) if f.counted)
        return dict(zip(CROSSING_CAUSES, found.causes, strict=True))

    through = (0.5, 5.0, 20.0, 380.0)
    assert causes({1: (2.6, 5, 190, 380)}, [_crossing(2.75)])["new"] > 0.7
    assert causes({1: (0.5, 2.9, 20, 212)}, [_crossing(2.75)])["brief"] > 0.7
    assert causes({1: (0.5, 5, 190, 204)}, [_crossing(4.2)])["shallow"] > 0.7
    assert causes({1: through, 2: (0.5, 5, 25, 385)}, [_crossing(2.75), _crossing(2.8, 202, 2)])["twins"] == 1
    assert causes({1: through}, [_crossing(2.75), _crossing(3.5, 201, 1, "in")])["returned"] == 1
    assert causes({1: through, 2: (0.5, 5, 24, 384)}, [_crossing(2.75)])["covered"] == pytest.approx(0.8, abs=0.02)


def test_a_track_lost_on_its_way_to_the_line_may_be_a_missed_crossing() -> None:
    """The sign lies on the line, at the time when the track would have been there, the way it went."""
    (sign,) = _watched({1: (0.5, 2.5, 20, 180)})
    assert (sign.counted, sign.direction) == (False, "out")
    assert sign.time_s == pytest.approx(2.75, abs=0.05)
    assert sign.causes[MISS_CAUSES.index("ended")] == 1


def test_a_track_that_began_coming_from_the_line_may_be_one_too() -> None:
    """Thought back by its first speed."""
    (sign,) = _watched({1: (2.5, 5, 220, 380)})
    assert sign.time_s == pytest.approx(2.19, abs=0.05)
    assert sign.causes[MISS_CAUSES.index("began")] == 1


def test_a_track_that_passed_uncounted_may_be_one_too() -> None:
    """A tentative one above all: it is never counted."""
    (sign,) = _watched({1: (0.5, 4, 100, 300)}, confirmed=False)
    assert sign.causes[MISS_CAUSES.index("passed")] == sign.causes[MISS_CAUSES.index("tentative")] == 1
    assert sign.time_s == pytest.approx(2.25, abs=0.25)


@pytest.mark.parametrize(
    ("ways", "crossings"),
    [
        ({1: (0.5, 5, 20, 150)}, []),
        ({1: (0.5, 2.5, 100, 20)}, []),
        ({1: (0.5, 2.5, 20, 180), 2: (2.6, 2.9, 186, 199)}, []),
        ({1: (0.5, 2.5, 20, 180)}, [_crossing(2.8, number=2)]),
        ({1: (0.5, 4, 100, 300)}, [_crossing(2.25)]),
        ({1: (0.0, 0.9, 230, 300)}, []),
    ],
    ids=["far away", "going away", "another goes on", "another was counted", "was counted", "there from the start"],
)
def test_what_is_explained_is_no_sign(
    ways: dict[int, tuple[float, float, float, float]], crossings: list[Crossing]
) -> None:
    """Nobody was missed there, or somebody else stands for it."""
    signs = [f for f in _watched(ways, crossings) if not f.counted]
    assert [s for s in signs if s.causes[MISS_CAUSES.index("broken")]] == []
    assert len(signs) == (1 if len(ways) == 2 else 0)  # the one that goes on is lost before the line itself


def test_two_ends_of_one_missed_crossing_are_one_sign() -> None:
    """Lost before the line and found again beyond it: one object, and a likelier one."""
    signs = _watched({1: (0.5, 2.5, 20, 180), 2: (3.0, 5, 220, 380)})
    assert len(signs) == 1
    assert signs[0].causes[MISS_CAUSES.index("broken")] == 1


def test_lines_look_only_at_what_they_count() -> None:
    """A person lost before a line for cars is no sign."""
    assert _watched({1: (0.5, 2.5, 20, 180)}, line=replace(LINE, labels=("car",))) == []
    assert len(_watched({1: (0.5, 2.5, 20, 180)}, line=replace(LINE, labels=("person",)))) == 1


def test_a_line_that_joins_later_is_watched() -> None:
    """Its first crossings come in the very step that brings it, dated back; what was seen of them is still known."""
    lines: list[Line] = []
    witness = Witness(lines, *SIZE)
    for index in range(40):
        found = witness.update(tracks_at({1: (20 + 10.0 * index, 200)}), index / 10)
        assert found == []
    lines.append(LINE)
    found = witness.update(tracks_at({1: (410, 200)}), 4.0, [_crossing(1.8)])
    assert [(f.counted, f.time_s) for f in found] == [(True, 1.8)]
    assert found[0].causes[CROSSING_CAUSES.index("shallow")] < 0.1
    assert witness.finish() == []


def test_the_memory_of_a_witness_is_bounded() -> None:
    """Tracks come and go for minutes; what is kept stays as it was after one."""
    witness = Witness([LINE], *SIZE)
    kept = []
    for index in range(2000):
        feet = {index // 10 * 10 + k: (50.0 + 30 * (index % 10), 20.0 + 25 * k) for k in range(10)}
        events = [_crossing(index / 5, number=index // 10 * 10)] if index % 10 == 6 else []
        witness.update(tracks_at(feet), index / 5, events)
        sights = witness._sights
        parts = [sights.born, sights.seen, sights._frames, witness._coarse, witness._net, witness._passed]
        kept.append([len(part) for part in [*parts, witness._recent, witness._open, witness._signs, witness._young]])
    assert np.array(kept[-400:]).max(axis=0).tolist() <= np.array(kept[300:900]).max(axis=0).tolist()


_BINS = st.dictionaries(st.integers(-28, 28), st.integers(1, 12), max_size=6).map(Counter)


@settings(deadline=None)
@given(real=_BINS, missed=_BINS, waiting=st.integers(0, 3), unseen_s=st.sampled_from([0.0, 5.0, 900.0]))
def test_bounds_hold_the_count(real: Counter[int], missed: Counter[int], waiting: int, unseen_s: float) -> None:
    """Whatever the evidence says: 0 <= low <= counted <= high, whole numbers, and less is known of more."""
    counted = real.total() + waiting
    evidence = Evidence(counted, real, missed, 0.1 * counted)
    found = bounds_of(evidence, unseen_s=unseen_s, rate=(counted, 60.0))
    assert found.high is not None
    assert 0 <= found.low <= counted <= found.high
    longer = bounds_of(evidence, unseen_s=unseen_s + 60, rate=(counted, 60.0))
    doubted = bounds_of(evidence + Evidence(missed=Counter({2: 1})), unseen_s=unseen_s, rate=(counted, 60.0))
    silent = bounds_of(replace(evidence, silent=evidence.silent + 2.0), unseen_s=unseen_s, rate=(counted, 60.0))
    assert all(other.high is not None and other.high >= found.high for other in (longer, doubted, silent))


def test_no_cause_makes_a_crossing_surer() -> None:
    """Doubts lower what a crossing counts for and never lower what was missed beside it."""
    assert all(weight <= 0 for weight in MODEL.crossing[1:])
    assert all(weight >= 0 for weight in MODEL.silent)
    assert len(MODEL.crossing) == len(MODEL.silent) == len(CROSSING_CAUSES) + 1
    assert len(MODEL.miss) == len(MISS_CAUSES) + 1


def test_a_weak_crossing_lowers_low_and_a_sign_raises_high() -> None:
    """Twenty sure crossings; then three of them are weak; then three signs come."""
    weak = _finding((0.7, 0.8, 0.9, 0.5, 0.9, 0.3, 1.0, 0.0, 0.1, 0.5))
    sure = bounds_of(_evidence([_finding(SURE)] * 20))
    doubtful = bounds_of(_evidence([_finding(SURE)] * 15 + [weak] * 5))
    signed = bounds_of(_evidence([_finding(SURE)] * 20 + [_finding(NEAR_MISS, counted=False)] * 5))
    assert sure.high is not None
    assert signed.high is not None
    assert doubtful.low < sure.low
    assert signed.high > sure.high


def test_dropped_frames_widen() -> None:
    """The same walks seen at a fifth of the rate: the objects move farther between frames, less is sure."""
    ways = {n: (0.5 + n, 1.7 + n, 20.0, 380.0) for n in range(1, 20)}
    crossings = [_crossing(1.1 + n, number=n) for n in ways]
    wide = []
    for fps in (20.0, 4.0):
        found = bounds_of(_evidence(_watched(ways, crossings, fps=fps, until_s=25)))
        wide.append((found.high or 0) - found.low)
    assert wide[1] > wide[0]


def test_what_was_never_seen_is_not_known() -> None:
    """No frame: no upper bound. A span without frames, at a line where one comes each minute: some may have."""
    assert bounds_of(Evidence(), unseen_s=60).high is None
    hidden = bounds_of(Evidence(), unseen_s=600, rate=(60, 3600))
    assert hidden.low == 0
    assert hidden.high is not None
    assert 14 <= hidden.high <= 20
    idle = bounds_of(Evidence(), unseen_s=600, rate=(0, 3600))
    assert idle.high is not None
    assert idle.high <= 2


def test_the_distribution_is_exact() -> None:
    """Against adding up every outcome, without what a scene shares."""
    model = replace(MODEL, spread_real=0.0, spread_missed=0.0, quiet=0.0)
    chances = {-8: 3, 0: 4, 4: 2, 12: 6}
    evidence = Evidence(9, Counter({k: n for k, n in chances.items() if k >= 4}), Counter({-8: 3, 0: 4}), 0.0)
    pmf = np.ones(1)
    for number, many in chances.items():
        p = 1 / (1 + np.exp(-number / 4))
        for _ in range(many):
            pmf = np.convolve(pmf, [1 - p, p])
    below = np.cumsum(pmf)
    for level in (0.5, 0.9, 0.99):
        found = bounds_of(replace(evidence, counted=8), model=replace(model, level=level))
        assert found.low == min(8, int(np.searchsorted(below, (1 - level) / 2)))
        assert found.high == max(8, int(np.searchsorted(below, (1 + level) / 2)))


def test_long_counts_are_like_short_ones() -> None:
    """Where the exact way ends and the normal one begins nothing jumps."""
    widths = []
    for n in (1700, 1800, 1900, 2000, 2100, 2200, 2300):
        found = bounds_of(Evidence(n, Counter({14: n // 4 * 3, 6: n - n // 4 * 3}), Counter({-4: n // 10}), n / 20))
        widths.append(((found.high or 0) - found.low) / n)
    assert np.ptp(widths) < 0.01


def test_sums_are_surer_than_their_parts() -> None:
    """The evidence of both directions together gives bounds less wide than the bounds added."""
    one = _evidence([_finding((0.4, *SURE[1:]))] * 12)
    both, single = bounds_of(total([one, one])), bounds_of(one)
    assert both.high is not None
    assert single.high is not None
    assert both.high - both.low < 2 * (single.high - single.low) + 1
    assert total([one, one]).counted == 24


def test_seen_time() -> None:
    """Ten frames a second with ten seconds away in twenty: half was seen."""
    seen = Seen()
    for index in [*range(50), *range(150, 200)]:
        seen.frame(index / 10)
    assert seen.coverage == pytest.approx(0.5)
    assert seen.missed_s == pytest.approx(10.0)
    assert Seen().coverage == 0


def test_intervals_carry_bounds() -> None:
    """A span away is not 0 to 0; one with doubtful crossings and a sign is wider than a sure one."""
    intervals = Intervals(10, [LINE])
    for index in [*range(200), *range(300, 400)]:
        intervals.frame(index / 10)
    for k in range(8):
        for start, causes in ((0.5, SURE), (10.5, (0.8, 0.5, 0.5, 0.5, 0.9, 0.5, 1.0, 0.0, 0.3, 0.5))):
            intervals.add(_crossing(start + k, direction="in"))
            intervals.weigh(_finding(causes, time_s=start + k))
    intervals.weigh(_finding(NEAR_MISS, counted=False, time_s=15.0))
    sure, weak, away, empty = intervals.all()
    assert (sure.count, away.coverage) == (8, 0)
    assert sure.high is not None
    assert weak.high is not None
    assert away.high is not None
    assert empty.high is not None
    assert weak.high - weak.low > sure.high - sure.low
    assert (away.low, empty.low) == (0, 0)
    assert away.high > empty.high + 3
    row = sure.as_dict()
    assert (row["count"], row["low"], row["high"]) == (8, sure.low, sure.high)
    assert row["bounds"]["in"] == {"low": sure.low, "high": sure.bounds["in"].high}
    assert set(row["bounds"]) == {"in", "out", "total"}


def test_a_run_has_bounds() -> None:
    """Counted, weighed and told by line; crossings not yet judged count as doubtful, not as wrong."""
    certainty = Certainty([LINE], *SIZE)
    assert certainty.update(Tracks.empty(("person",)), 0.0, []) == []
    for index in range(1, 41):
        x = 20 + 9.0 * index
        certainty.update(tracks_at({1: (x, 200)}), index / 10, [_crossing(2.0)] if index == 24 else [])
    assert [f.counted for f in certainty.finish([_crossing(3.9, number=5)])] == [True]
    told = certainty.as_dict("gate")
    assert told["coverage"] == 1
    assert told["out"]["low"] <= 2 <= told["out"]["high"]
    assert told["in"]["low"] == 0
    assert told["total"]["high"] >= told["out"]["high"]


def test_a_counting_run_tells_its_bounds(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For every line of the whole run and of each interval, in the result and in the table."""
    flags = {"detections": data / "mot/TUD-Stadtmitte/det/det.txt", "fps": "25", "size": "640x480", "every": "3s"}
    with CountingRun(load(None, flags | shapes(["gate=0.5,0.2,0.5,1"], None))) as run:
        list(run.steps())
    result = run.result()
    gate, bounds = result["lines"]["gate"], result["bounds"]["gate"]
    assert bounds["coverage"] == 1
    for way, count in (("in", gate["in"]), ("out", gate["out"]), ("total", gate["in"] + gate["out"])):
        assert bounds[way]["low"] <= count <= bounds[way]["high"]
    assert gate["in"] + gate["out"] == sum(row["count"] for row in result["intervals"]) >= 2
    assert all(row["low"] <= row["count"] <= row["high"] for row in result["intervals"])
    result["intervals"][0]["bounds"]["total"]["high"] = None
    print_result(result, 1.0)
    table = capsys.readouterr().out
    total = bounds["total"]
    assert f"{gate['in'] + gate['out']} ({total['low']}–{total['high']})" in table
    assert "–?)" in table


def test_findings_are_told_true_from_false() -> None:
    """The rule of the fit: one to one within two seconds, counted ones first; what may be either is neither."""
    findings = [_finding(SURE, time_s=t) for t in (1.0, 5.0, 9.0)] + [_finding(NEAR_MISS, counted=False, time_s=14.0)]
    events = [TrueEvent("gate", "in", t) for t in (1.5, 13.0, 20.0)] + [TrueEvent("gate", "in", 9.5, False)]
    real, unsigned = labelled(findings, events)
    assert real == [True, False, None, True]
    assert [e.time_s for e in unsigned] == [20.0]


def test_the_truth_lies_within_the_bounds(data: Path) -> None:
    """On every set of detections that there is, at full and a third of the rate: nine times of ten, and usefully."""
    records = official(all_records(data, rates=(1, 3), seeds=1, extra=0))
    units = [unit.weighed(MODEL) for unit in units_of(records, UNITS["line"])]
    judged = [judge(unit, MODEL) for unit in units]
    assert len(units) >= 100
    assert np.mean([inside for inside, _ in judged]) >= 0.9
    shares = [width / u.evidence.counted for u, (_, width) in zip(units, judged, strict=True) if u.evidence.counted]
    assert np.median(shares) <= 0.7
