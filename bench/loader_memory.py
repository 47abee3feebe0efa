"""Whether memory comes back: loads a model, has it look at a picture, unloads it, many times over.

    python bench/loader_memory.py MODEL [--cycles 200] [--keep-freed]

Prints the resident size after each tenth cycle and the slope of the straight line through the second half, in MB per
cycle. The first half is left out: libraries make their own tables when they are first used.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import camcount.models.loader as loading
from camcount.frame import Frame, Image
from camcount.models.loader import Loader
from camcount.models.memory import resident_bytes
from camcount.models.opening import find_model


def street(width: int, height: int) -> Image:
    """A picture of noise."""
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def sizes_after_cycles(model: str, cycles: int) -> tuple[list[float], float]:
    """Resident MB after each cycle of load, detect and unload; and the most MB seen while the model was loaded."""
    loader = Loader(find_model)
    frame = Frame(index=0, time_s=0.0, width=1280, height=720, render=street)
    after: list[float] = []
    most = 0.0
    for _ in range(cycles):
        with loader.lease(model) as detector:
            detector.detect([frame])
            most = max(most, resident_bytes() / 1e6)
        del detector
        loader.unload(model)
        after.append(resident_bytes() / 1e6)
    return after, most


def slope(sizes: list[float]) -> float:
    """MB per cycle over the second half, by least squares."""
    half = np.array(sizes[len(sizes) // 2 :])
    return float(np.polynomial.Polynomial.fit(np.arange(len(half)), half, 1).convert().coef[1])


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="anything that --model takes")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument(
        "--keep-freed", action="store_true", help="do not hand freed memory back, to see what that does"
    )
    given = parser.parse_args()
    if given.keep_freed:
        setattr(loading, "give_back", lambda: None)  # noqa: B010 # the name is the loader's own import
    before = resident_bytes() / 1e6
    started = time.monotonic()
    sizes, most = sizes_after_cycles(given.model, given.cycles)
    print(f"model {given.model}, {given.cycles} cycles in {time.monotonic() - started:.0f} s")
    print(f"resident before the first load {before:.1f} MB, at most while loaded {most:.1f} MB")
    print("after every tenth cycle: " + " ".join(f"{size:.1f}" for size in sizes[9::10]))
    print(f"slope over the second half: {slope(sizes):+.4f} MB per cycle")


if __name__ == "__main__":
    main()
