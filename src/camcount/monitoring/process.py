"""What this process and the GPUs of this machine use at the moment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class GpuUse:
    """One GPU: its number, the share of time it was busy (0 to 1) and its memory in bytes."""

    index: int
    busy: float
    used_bytes: int
    total_bytes: int


def gpus() -> list[GpuUse]:
    """Every GPU that NVIDIA's library tells of; none where it is not installed or finds none."""
    if (library := _nvml()) is None:
        return []
    found: list[GpuUse] = []
    with suppress(library.NVMLError):  # a GPU that falls off the bus takes only its own figures with it
        for index in range(library.nvmlDeviceGetCount()):
            device = library.nvmlDeviceGetHandleByIndex(index)
            memory = library.nvmlDeviceGetMemoryInfo(device)
            busy = library.nvmlDeviceGetUtilizationRates(device).gpu / 100
            found.append(GpuUse(index, busy, int(memory.used), int(memory.total)))
    return found


@cache
def _nvml() -> Any:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
