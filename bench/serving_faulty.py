"""A detector that fails on command: what the chaos benchmark packs into a package for the engine `python`.

Every instance takes the next number in a folder of orders. An order is a file there: ``raise-2``, ``hang-2`` or
``exit-2`` lets instance 2 raise, hang, or end its thread (once), as long as the file lies there; ``slow-all`` holds
the seconds that every instance takes for every picture.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_USUAL_S = 0.01
_BOX = [[[8.0, 8.0, 40.0, 56.0, 0.9, 0.0]]]


class Faulty:
    """One box in every picture, after ten milliseconds.

    Args:
        artifact: this file.
        orders: the folder of orders.
    """

    inputs: Mapping[str, tuple[int, ...]] = {"images": (1, 3, 64, 64)}
    outputs: Mapping[str, tuple[int, ...]] = {"boxes": (1, 1, 6)}
    concurrency = 1

    def __init__(self, artifact: Path | None, orders: str) -> None:
        self._orders = Path(orders)
        self.number = 1
        while True:
            try:
                (self._orders / f"instance-{self.number}").touch(exist_ok=False)
                break
            except FileExistsError:
                self.number += 1

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """The box, or whatever is ordered."""
        if self._ordered("raise"):
            raise RuntimeError(f"instance {self.number} was told to raise")
        while self._ordered("hang"):
            time.sleep(0.05)
        if self._ordered("exit"):
            (self._orders / f"exit-{self.number}").unlink()
            raise SystemExit
        slow = self._orders / "slow-all"
        time.sleep(float(slow.read_text()) if slow.exists() else _USUAL_S)
        with (self._orders / f"instance-{self.number}").open("a") as count:
            count.write(".")
        return [np.array(_BOX, np.float32)]

    def _ordered(self, what: str) -> bool:
        return (self._orders / f"{what}-{self.number}").exists()
