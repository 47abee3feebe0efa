"""What answers instead of a model that cannot: other models, here or on other machines, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from camcount.errors import UsageError

DEFAULT_CODES = frozenset({"MODEL_002", "MODEL_003", "RES_001", "SYS_001", "SYS_004"})
"""It cannot be loaded, it fails, there is no memory for it, it or the way to it is gone. What is wrong with the
request itself would be wrong elsewhere too, and a request out of time (INF_004) has none left."""

_CODE = re.compile(r"(MODEL|INF|RES|SYS)_\d{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """One entry of a chain.

    Attributes:
        target: a served model, ``name``, ``name:version`` or ``name@alias``; it may run on another machine.
        codes: the error codes that it stands in for.
        least_s: it is not tried with less time left than this.

    Raises:
        UsageError: no target, no codes, or something that is no error code.
    """

    target: str
    codes: frozenset[str] = DEFAULT_CODES
    least_s: float = 0.0

    def __post_init__(self) -> None:
        wrong = sorted(code for code in self.codes if not _CODE.fullmatch(code))
        if not self.target or not self.codes or wrong:
            raise UsageError(
                f"fallback {self.target!r} for {', '.join(wrong or sorted(self.codes)) or 'no errors'}: "
                "expected a target and codes of detection errors, such as MODEL_003"
            )
        if not 0 <= self.least_s < inf:
            raise UsageError(f"fallback {self.target} needs {self.least_s} s: expected seconds from 0 on")


@dataclass(frozen=True, slots=True)
class Next:
    """What is tried next, ``None`` for nothing more, and why."""

    stand_in: StandIn | None
    reason: str


@dataclass(frozen=True, slots=True)
class FallbackChain:
    """The model that is asked for, and who stands in for it, in order.

    Raises:
        UsageError: somebody would stand in twice, or for himself.

    >>> chain = FallbackChain("yolox-tiny", (StandIn(target="yolox-nano"),))
    >>> chain.next("yolox-tiny", "MODEL_003", left_s=1.0).reason
    'yolox-tiny failed with MODEL_003, yolox-nano stands in'
    """

    asked: str
    stand_ins: tuple[StandIn, ...] = ()

    def __post_init__(self) -> None:
        names = [self.asked, *(each.target for each in self.stand_ins)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"{', '.join(twice)} is in the fallback chain of {self.asked} twice: name it once")

    def next(self, failed: str, code: str, left_s: float) -> Next:
        """Who is asked after ``failed``: the next one down the chain who stands in for that error in that time.

        Whoever was passed over is not come back to, so a chain ends.

        Args:
            failed: who was asked last, of this chain.
            code: the error that it gave.
            left_s: seconds until the deadline.

        Raises:
            ValueError: ``failed`` is not of this chain.
        """
        fault = f"{failed} failed with {code}"
        if left_s <= 0:
            return Next(None, f"{fault}, no time is left")
        later = self.stand_ins[self._place(failed) :]
        willing = [each for each in later if code in each.codes]
        for stand_in in willing:
            if stand_in.least_s <= left_s:
                return Next(stand_in, f"{fault}, {stand_in.target} stands in")
        if willing:
            return Next(None, f"{fault}, {left_s:.3g} s are too little for {willing[0].target}")
        return Next(None, f"{fault}, nothing stands in for that" if later else f"{fault}, nothing is left to try")

    def _place(self, name: str) -> int:
        return [self.asked, *(each.target for each in self.stand_ins)].index(name)
