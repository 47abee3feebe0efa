"""Who fits into memory, who has to make room, and how memory goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from camcount.errors import UsageError

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3}


def parse_size(text: str | int) -> int:
    """Bytes from ``1500000``, ``512MB`` or ``2GiB``.

    Raises:
        UsageError: it is no size, or not above 0.

    >>> parse_size("2 GiB")
    2147483648
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if match is None or match[2].upper() not in _UNITS or float(match[1]) <= 0:
        raise UsageError(f"{text!r} is no size of memory: write bytes, or a number with a unit such as 512MB or 2GiB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def is_processor(device: str) -> bool:
    """Whether that is the processor itself and no GPU beside it.

    >>> is_processor("cpu"), is_processor("cuda:0")
    (True, False)
    """
    return device.partition(":")[0] == "cpu"


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one model takes: bytes of main memory and bytes of GPU memory."""

    bytes: int = 0
    gpu_bytes: int = 0

    def on(self, device: str) -> Footprint:
        """The same with the model on that device, which its package may not know of."""
        return self if is_processor(device) else replace(self, gpu_bytes=self.gpu_bytes or self.bytes)

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(self.bytes + other.bytes, self.gpu_bytes + other.gpu_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that models may take together; ``None`` is no limit."""

    models: int | None = None
    bytes: int | None = None
    gpu_bytes: int | None = None

    def hold(self, footprints: Iterable[Footprint]) -> bool:
        """Whether these models fit together."""
        taken = list(footprints)
        total = sum(taken, Footprint())
        return (
            (self.models is None or len(taken) <= self.models)
            and (self.bytes is None or total.bytes <= self.bytes)
            and (self.gpu_bytes is None or total.gpu_bytes <= self.gpu_bytes)
        )


@dataclass(frozen=True, slots=True)
class Resident:
    """A model that counts against the limits, as the policy sees it."""

    name: str
    footprint: Footprint
    last_used: float
    in_use: bool


def make_room(residents: Sequence[Resident], wanted: Footprint, limits: Limits) -> list[str] | None:
    """Which models have to go so that ``wanted`` fits: the least recently used first, never one in use.

    Returns:
        Their names, none where there is room already; ``None`` where there is no room even without all that
        may go.
    """
    kept = [r.footprint for r in residents if r.in_use] + [wanted]
    if not limits.hold(kept):
        return None
    going: list[str] = []
    # from the most recently used on, everything stays that still fits beside what has to
    for resident in sorted((r for r in residents if not r.in_use), key=lambda r: r.last_used, reverse=True):
        if not going and limits.hold([*kept, resident.footprint]):
            kept.append(resident.footprint)
        else:
            going.insert(0, resident.name)
    return going


def resident_bytes() -> int:
    """The memory of this process that is in the machine's memory now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@cache
def _malloc_trim() -> ctypes._NamedFuncPointer | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # another C library than glibc
        return None


def give_back() -> None:
    """Hands what has been freed back to the system.

    The allocator keeps the arenas of an unloaded model for later, so that without this the process goes on looking
    as large as the largest set of models it ever had.
    """
    gc.collect()  # replicas know each other in circles: left to chance, ten reloads pile up before they go
    # PyTorch keeps what was freed on a GPU for itself; it is asked only where it is in use
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if (trim := _malloc_trim()) is not None:
        trim(0)
