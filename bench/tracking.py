"""Tracking accuracy: HOTA and IDF1 of every tracker offered and every peer, on the same detections at full rate.

    python -m bench.tracking DATA [--chart out/tracking.png] [--peers out/peers.json]

Part of bench/accuracy.py, and a run of its own. Scores are means over the sets of detections, in percent, computed by
`camcount.evaluation.tracking` from MOTChallenge files; those of the peers are kept in ``tracks/scores.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean, median

import numpy as np
from bench.peers_data import Sequence, load, mot_rows, write_tracks

from camcount.detections import Detections
from camcount.evaluation.tracking import evaluate_tracking
from camcount.tracking.select import TRACKERS, tracker_for

GROUPS = ("RAW", "LIFT", "SIM", "ALL")
MEASURES = ("HOTA", "IDF1")

Scores = dict[str, dict[str, tuple[float, float]]]
"""Tracker -> set of detections -> HOTA and IDF1 in percent."""


def follow(sequence: Sequence, name: str) -> list[str]:
    """The confirmed tracks of one of camcount's trackers as MOTChallenge rows."""
    tracker, rows = tracker_for(name), []
    for k, found in enumerate(sequence.frames):
        boxes, sure = found[:, :4].astype(np.float32), found[:, 4].astype(np.float32)
        detections = Detections(boxes, sure, np.zeros(len(found), np.int32), ("person",))
        tracks = tracker.update(detections, k / sequence.fps)
        rows += mot_rows(k, tracks.xyxy[tracks.confirmed].astype(np.float64), tracks.track_id[tracks.confirmed])
    return rows


def judge(folder: Path, sequences: list[Sequence], data: Path) -> dict[str, tuple[float, float]]:
    """The scores of the tracks in a folder, one file a set of detections."""
    found = {}
    for sequence in sequences:
        truth = data / "mot" / sequence.name.split()[0] / "gt" / "gt.txt"
        one = evaluate_tracking(folder / f"{sequence.name}.txt", truth)
        found[sequence.name] = 100 * one.hota, 100 * one.idf1
    return found


def ours(sequences: list[Sequence], data: Path, tracks: Path) -> Scores:
    """Every tracker that camcount offers."""
    found: Scores = {}
    for name in TRACKERS:
        folder = tracks / f"camcount {name}"
        for sequence in sequences:
            write_tracks(folder, sequence.name, follow(sequence, name))
        found[f"camcount {name}"] = judge(folder, sequences, data)
    return found


def peers(sequences: list[Sequence], data: Path, tracks: Path) -> Scores:
    """Every tracker whose files bench/peers_run.py has left in ``tracks``."""
    kept = tracks / "scores.json"
    if not kept.exists():
        folders = sorted(f for f in tracks.iterdir() if f.is_dir() and not f.name.startswith("camcount"))
        kept.write_text(json.dumps({f.name: judge(f, sequences, data) for f in folders}))
    scores: Scores = json.loads(kept.read_text())
    return scores


def pooled(scores: Scores, sequences: list[Sequence], group: str, measure: int) -> dict[str, float]:
    """Tracker -> mean of a measure over the sets of a group."""
    own = [s.name for s in sequences if group in (s.group, "ALL")]
    return {tracker: mean(one[name][measure] for name in own) for tracker, one in scores.items()}


def show(our: Scores, their: Scores, sequences: list[Sequence]) -> None:
    """Prints HOTA/IDF1 per group, and how ours stand to the median and the best peer."""
    print(f"\n{'HOTA / IDF1 (mean over the sets)':36}" + "".join(f"{group:>13}" for group in GROUPS))
    cells = {(g, m): pooled(our | their, sequences, g, m) for g in GROUPS for m in (0, 1)}
    for name in our | their:
        print(f"{name:36}" + "".join(f"{cells[g, 0][name]:7.1f}/{cells[g, 1][name]:5.1f}" for g in GROUPS))
    for measure, (group, label) in ((m, (g, f"{MEASURES[m]} {g}")) for m in (0, 1) for g in GROUPS):
        cell = cells[group, measure]
        rivals = {name: cell[name] for name in their}
        own = max(our, key=lambda name: cell[name])
        top = max(rivals, key=lambda name: rivals[name])
        print(
            f"{label:10} peers: median {median(rivals.values()):5.1f}, best {rivals[top]:5.1f} ({top})  "
            f"camcount: default {cell['camcount camcount']:5.1f}, best {cell[own]:5.1f} ({own})"
        )


def chart(path: Path, our: Scores, their: Scores, sequences: list[Sequence]) -> None:
    """Draws HOTA and IDF1 of every tracker as bars, the best first."""
    from bench.peers_chart import bars

    measured = [pooled(our | their, sequences, "ALL", m) for m in (0, 1)]
    bars(path, [f"{name} (mean over all sets, %)" for name in MEASURES], measured, "camcount")


def compare(sequences: list[Sequence], data: Path, kept: Path, path: Path) -> None:
    """Table and chart; ``kept`` is the file of the peers' crossings, beside which their tracks lie."""
    tracks = kept.parent / "tracks"
    our, their = ours(sequences, data, tracks), peers(sequences, data, tracks)
    show(our, their, sequences)
    chart(path, our, their, sequences)


def main() -> None:
    """Runs the comparison alone."""
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--chart", type=Path, default=root / "out" / "tracking.png")
    parser.add_argument("--peers", type=Path, default=root / "out" / "peers.json")
    arguments = parser.parse_args()
    compare(load(arguments.data), arguments.data, arguments.peers, arguments.chart)


if __name__ == "__main__":
    main()
