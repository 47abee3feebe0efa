"""Tracks against true tracks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from camcount.errors import SourceError, UsageError
from camcount.evaluation.tracking import evaluate_tracking
from camcount.tracking.mot_rows import read_rows

pytest.importorskip("trackeval")


def _file(path: Path, rows: list[tuple[float, ...]]) -> Path:
    path.write_text("".join(",".join(f"{v:g}" for v in row) + "\n" for row in rows))
    return path


def _row(frame: int, track: int, left: float = 0.0, score: float = 1, *more: float) -> tuple[float, ...]:
    return (frame, track, left, 0, 10, 20, score, *(more or (-1, -1, -1)))


def _disturbed(truth: Path, path: Path, seed: int = 0) -> Path:
    """A tracker's output made of the truth: 10 % dropped, 10 % false, boxes shaken, ids changed every 40 frames."""
    rows = read_rows(truth)
    random = np.random.default_rng(seed)
    out = []
    for i in range(len(rows)):
        if random.random() < 0.1:
            continue
        box = rows.ltwh[i] + random.normal(0, 0.06, 4) * rows.ltwh[i, [2, 3, 2, 3]]
        frame = int(rows.frame[i])
        out.append((frame, int(rows.track_id[i]) + 100 * (frame // 40), *box, 0.9, -1, -1, -1))
        if random.random() < 0.1:
            out.append((frame, 5000 + i, *np.add(box, (60, 10, 0, 0)), 0.5, -1, -1, -1))
    return _file(path, out)


def _by_the_library(tracks: Path, truth: Path, benchmark: str, folder: Path) -> dict[str, float]:
    """The same two files through trackeval's own MOTChallenge reader, preprocessing and evaluation."""
    from trackeval import datasets, metrics

    (folder / "gt" / "seq" / "gt").mkdir(parents=True)
    (folder / "trackers" / "ours" / "data").mkdir(parents=True)
    (folder / "gt" / "seq" / "gt" / "gt.txt").write_bytes(truth.read_bytes())
    (folder / "trackers" / "ours" / "data" / "seq.txt").write_bytes(tracks.read_bytes())
    frames = int(max(read_rows(path).frame.max() for path in (tracks, truth)))
    dataset = datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": benchmark,
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": {"seq": frames},
            "PRINT_CONFIG": False,
        }
    )
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", "seq"), "pedestrian")
    quiet = {"PRINT_CONFIG": False}
    results: dict[str, Any] = {}
    for metric in (metrics.HOTA(), metrics.CLEAR(quiet), metrics.Identity(quiet)):
        results |= metric.eval_sequence(data)
    names = {"FP": "CLR_FP", "FN": "CLR_FN"}
    wanted = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "IDSW", "FP", "FN")
    return {name: float(np.mean(results[names.get(name, name)])) for name in wanted}


def test_hand_computed_case(tmp_path: Path) -> None:
    """One object in four frames: boxes exact in 1, 2 and 4 (there with another id), false in 3.

    MOTA = 1 - (1 miss + 1 false + 1 switch) / 4 = 0.25. The best id has 2 of 4 boxes:
    IDF1 = 2 * 2 / (4 + 4) = 0.5. Detection: 3 hits, 1 false, 1 miss: DetA = 3/5. Association per hit:
    first id 2 / (4 + 2 - 2) (twice), second id 1 / (4 + 1 - 1): AssA = (0.5 + 0.5 + 0.25) / 3.
    """
    truth = _file(tmp_path / "gt.txt", [_row(n, 1) for n in (1, 2, 3, 4)])
    tracks = _file(tmp_path / "t.txt", [_row(1, 7), _row(2, 7), _row(3, 8, left=100), _row(4, 9)])
    score = evaluate_tracking(tracks, truth)
    assert score.mota == pytest.approx(0.25)
    assert score.idf1 == pytest.approx(0.5)
    assert score.deta == pytest.approx(0.6)
    assert score.assa == pytest.approx(1.25 / 3)
    assert score.hota == pytest.approx((0.6 * 1.25 / 3) ** 0.5)
    assert (score.idsw, score.fp, score.fn) == (1, 1, 1)
    assert (score.frames, score.boxes, score.tracks) == (4, 4, 1)


def test_the_truth_scores_one_and_nothing_scores_zero(data: Path, tmp_path: Path) -> None:
    """Both ends of the scale, on a real file."""
    truth = data / "mot" / "TUD-Stadtmitte" / "gt" / "gt.txt"
    best = evaluate_tracking(truth, truth)
    assert (best.hota, best.idf1, best.mota, best.idsw) == (1.0, 1.0, 1.0, 0)
    worst = evaluate_tracking(_file(tmp_path / "empty.txt", []), truth)
    assert (worst.hota, worst.idf1, worst.mota, worst.fn) == (0.0, 0.0, 0.0, 1156)


def test_figures_agree_with_the_library_on_tud_stadtmitte(data: Path, tmp_path: Path) -> None:
    """Our reading and trackeval's own, end to end, on a disturbed copy of the truth."""
    truth = data / "mot" / "TUD-Stadtmitte" / "gt" / "gt.txt"
    tracks = _disturbed(truth, tmp_path / "tracks.txt")
    ours = evaluate_tracking(tracks, truth).as_dict()
    theirs = _by_the_library(tracks, truth, "MOT15", tmp_path / "lib")
    assert 0.2 < theirs["HOTA"] < 0.8
    assert theirs["IDSW"] > 10
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-6)


def test_figures_agree_with_the_library_where_classes_are_ignored(data: Path, tmp_path: Path) -> None:
    """A published tracker on MOT17-09, whose truth marks posters, sitting people and zero rows."""
    folder = data / "mot" / "MOT17-09"
    truth, tracks = folder / "gt" / "gt.txt", folder / "trackers" / "Lif_T-SDP.txt"
    ours = evaluate_tracking(tracks, truth).as_dict()
    theirs = _by_the_library(tracks, truth, "MOT17", tmp_path)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-6)


def test_a_track_on_a_poster_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    """Class 8 is a distractor, a marked 0 row is no miss; a box on nothing is false."""
    true = [_row(1, 1, 0, 1, 1, 1), _row(1, 2, 50, 0, 8, 1), _row(1, 3, 100, 0, 1, 1)]
    truth = _file(tmp_path / "gt.txt", true)
    score = evaluate_tracking(_file(tmp_path / "a.txt", [_row(1, 1), _row(1, 2, 50)]), truth)
    assert (score.fp, score.fn, score.mota) == (0, 0, 1.0)
    score = evaluate_tracking(_file(tmp_path / "b.txt", [_row(1, 1), _row(1, 2, 200)]), truth)
    assert (score.fp, score.fn, score.mota) == (1, 0, 0.0)


def test_a_truth_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    """There is nothing to compare with, and the message says what is needed."""
    truth = _file(tmp_path / "gt.txt", [_row(1, 1, 0, 0)])
    with pytest.raises(SourceError, match="no box that counts"):
        evaluate_tracking(truth, truth)


def test_without_the_library_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line instead of an ImportError."""
    monkeypatch.setitem(sys.modules, "trackeval.metrics", None)
    truth = _file(tmp_path / "gt.txt", [_row(1, 1)])
    with pytest.raises(UsageError, match=r"camcount\[evaluation\]"):
        evaluate_tracking(truth, truth)


def test_nothing_is_printed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The library's remarks do not reach standard output, which belongs to --json."""
    truth = data / "mot" / "TUD-Campus" / "gt" / "gt.txt"
    evaluate_tracking(truth, truth)
    assert capsys.readouterr().out == ""
