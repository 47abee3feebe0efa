"""How often the truth lies within the bounds of a count, and how wide they are.

``python bench/bounds.py [DATA] [--fit] [--quick]``. Everything is left out by scene: the
constants that judge a video were fitted without any set of detections of that video. ``--fit`` prints the constants
for `camcount.counting.bounds.BoundsModel`, fitted to all. Besides the lines of the truth files every sequence has six
lines anywhere, which only the fit sees. "seeds in a row" is the count of one line over all simulations of a sequence,
each with noise of its own, as if they came one after another: the only long counts that there are.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench.bounds_data import MARK, RATES, SEEDS, Record, all_records  # noqa: E402 - after the path is set
from bench.bounds_fit import UNITS, block, fit, judge, units_of  # noqa: E402

from camcount.counting.bounds import MODEL, BoundsModel, Evidence, bounds_of  # noqa: E402

Models = dict[str, BoundsModel]
"""By the scene that they may judge."""

COUNTS = (0, 1, 5, 10, 20, 40, 80, 10**9)


@dataclass(frozen=True)
class Judged:
    """Units of one kind: whether the truth was within, how wide the bounds were, and what was counted."""

    inside: np.ndarray[tuple[int], np.dtype[np.bool_]]
    width: np.ndarray[tuple[int], np.dtype[np.float64]]
    count: np.ndarray[tuple[int], np.dtype[np.float64]]

    def row(self, name: str, least: float = 0, most: float = float("inf")) -> str:
        """One line of the table, of the counts in ``least..most``."""
        chosen = (self.count >= least) & (self.count < most)
        if not chosen.any():
            return f"{name:<34}{0:>7}"
        inside, width, count = self.inside[chosen], self.width[chosen], self.count[chosen]
        share = np.median(width[count > 0] / count[count > 0]) if (count > 0).any() else np.nan
        return (
            f"{name:<34}{len(inside):>7}{inside.mean():>9.1%}{np.median(count):>8.0f}"
            f"{np.median(width):>8.1f}{share:>9.0%}"
        )


def official(records: Sequence[Record]) -> list[Record]:
    """The records with the lines of the truth files only."""
    kept = []
    for r in records:
        pairs = [(f, real) for f, real in zip(r.findings, r.real, strict=True) if not f.line.startswith(MARK)]
        events, unsigned = ([e for e in some if not e.line.startswith(MARK)] for some in (r.events, r.unsigned))
        findings, real = [f for f, _ in pairs], [real for _, real in pairs]
        kept.append(replace(r, findings=findings, real=real, events=events, unsigned=unsigned))
    return kept


def without_each(records: Sequence[Record]) -> Models:
    """A model for every scene, fitted without it."""
    scenes = sorted({r.scene for r in records})
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        fitted = pool.map(fit, [[r for r in records if r.scene != scene] for scene in scenes])
    return dict(zip(scenes, fitted, strict=True))


def judged(records: Sequence[Record], models: Models, unit: str) -> Judged:
    """Every unit of one kind by the model of its scene."""
    units = [unit.weighed(models[unit.scene]) for unit in units_of(records, UNITS[unit])]
    rows = [(*judge(unit, models[unit.scene]), unit.evidence.counted) for unit in units]
    inside, width, count = (np.array(column) for column in zip(*rows, strict=True))
    return Judged(inside, width, count)


def report(records: Sequence[Record], models: Models) -> None:
    """The tables on standard output."""
    head = f"{'':<34}{'units':>7}{'inside':>9}{'count':>8}{'width':>8}{'/count':>9}"
    for group in ("RAW", "LIFT", "SIM"):
        for step in RATES:
            own = [r for r in records if r.group == group and r.step == step]
            print(f"\n{group}, 1/{step} of the frame rate (medians; LOSO)\n{head}")
            for unit in UNITS:
                if group == "SIM" or unit != "line, seeds in a row":
                    print(judged(own, models, unit).row(unit))
    print(f"\nall sets and rates, by count\n{head}")
    for unit in ("line and direction", "line", "line, seeds in a row"):
        found = judged(records, models, unit)
        for least, most in pairwise(COUNTS):
            until = f"{most - 1}" if most < COUNTS[-1] else "more"
            print(found.row(f"{unit}, {least} to {until}", least, most))
    print(f"\nas installed (constants fitted to all scenes)\n{head}")
    for unit in UNITS:
        print(judged(records, dict.fromkeys(models, MODEL), unit).row(unit))


def chart(records: Sequence[Record], models: Models) -> None:
    """Asked and reached: how often the truth lies within bounds of other levels."""
    print("\nasked   reached, by line (each # is 2 %)")
    for level in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
        inside = judged(records, {s: replace(m, level=level) for s, m in models.items()}, "line").inside.mean()
        print(f"{level:>5.0%}  {inside:>7.1%}  {'#' * round(50 * inside)}")


def horizon(model: BoundsModel, records: Sequence[Record]) -> None:
    """From what count on bounds are narrow: the evidence of whole groups of sequences, thinned and multiplied."""
    print("\nwidth by count, were all evidence like that of the group at full rate")
    counts = (5, 10, 20, 50, 100, 200, 500, 1000)
    print(f"{'':<34}" + "".join(f"{n:>7}" for n in counts))
    for name in sorted({r.name for r in records}):
        own = [f for r in records if r.name == name and r.step == 1 for f in r.findings]
        whole = Evidence(counted=sum(f.counted for f in own))
        for finding in own:
            whole.add(finding, model)
        widths = []
        for n in counts:
            times = n / max(1, whole.counted)
            part = Evidence(counted=n, silent=whole.silent * times)
            for bins, target in ((whole.real, part.real), (whole.missed, part.missed)):
                due = 0.0
                for number, many in sorted(bins.items()):
                    due += many * times
                    target[number] = int(due)
                    due -= int(due)
            found = bounds_of(part, model=model)
            widths.append(((found.high or 0) - found.low) / n)
        print(f"{name:<34}" + "".join(f"{w:>7.0%}" for w in widths))


def main(arguments: list[str]) -> None:
    """Counts, fits without each scene, and prints."""
    begun = time.perf_counter()
    data = next((Path(a) for a in arguments if not a.startswith("-")), ROOT.parent / "shared" / "data")
    records = all_records(data, seeds=2 if "--quick" in arguments else SEEDS)
    print(f"counted {len(records)} runs in {time.perf_counter() - begun:.0f} s")
    if "--fit" in arguments:
        print(block(fit(records)))
        return
    models, lines = without_each(records), official(records)
    report(lines, models)
    chart(lines, models)
    horizon(MODEL, lines)
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
