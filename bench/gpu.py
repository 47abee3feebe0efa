"""What a GPU is used for: the same boxes as on the processor, pictures per second, what batching does, memory.

    python -m bench.gpu PACKAGE PICTURES [--device cuda]

The package is one of engine ``torch`` that takes any number of pictures at once; ``make bench-gpu`` makes it. Without
a GPU, ``--device cpu`` goes the same way.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Semaphore
from typing import Any

from rich.console import Console
from rich.table import Table

from camcount.detections import Detections
from camcount.frame import Frame
from camcount.models.agreement import agreement, answers
from camcount.models.loader import Loader
from camcount.models.loading import LoadingSettings
from camcount.models.memory import resident_bytes
from camcount.models.opening import find_model
from camcount.models.package import Package, open_package
from camcount.models.packaged import detector_of
from camcount.models.samples import samples
from camcount.monitoring.process import gpus
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import Batching, ServedModel, ServingOptions

SECONDS = 1.5


def main() -> None:
    """Prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("pictures", type=Path, help="a folder of pictures, or a video")
    parser.add_argument("--device", default="cuda")
    given = parser.parse_args()
    frames = samples([str(given.pictures)], 48)
    package = open_package(given.package)
    for gpu in gpus():
        print(f"GPU {gpu.index}: {gpu.used_bytes / 1e6:.0f} of {gpu.total_bytes / 1e6:.0f} MB, busy {gpu.busy:.0%}")
    compare(package, given.device, frames)
    loading = LoadingSettings(devices=(given.device,))
    served(package, loading, frames)
    memory(package, loading, frames[0])


def compare(package: Package, device: str, frames: Sequence[Frame]) -> None:
    """The same pictures on the processor and on the device: boxes and speed."""
    table = Table("on", "together", "pictures/s", "ratio", "ms before", "ms in the model", "ms after")
    alike = [frame for frame in frames if (frame.width, frame.height) == (frames[0].width, frames[0].height)]
    rates: list[float] = []
    found: list[list[Detections]] = []
    for where, batches in (("cpu", (1,)), (device, (1, 4, 16, 64))):
        detector = detector_of(package, device=where)
        try:
            found.append(answers(detector, frames))
            for batch in batches:
                rate, stages = measured(detector, [alike[number % len(alike)] for number in range(batch)])
                rates.append(rate)
                table.add_row(where, str(batch), f"{rate:.0f}", f"{rate / rates[0]:.2f}x", *stages)
        finally:
            detector.close()
    Console(width=110).print(table)
    said = agreement(found[0], found[1], tuple(package.manifest.labels.values()))
    print(f"boxes of {len(frames)} pictures: recall {said.recall:.4f}, precision {said.precision:.4f}")


def measured(detector: Any, pictures: Sequence[Frame]) -> tuple[float, list[str]]:
    """Pictures per second, and the stages of one picture in milliseconds."""
    for _ in range(3):
        detector.detect(pictures)
    count, begun = 0, time.perf_counter()
    stages = []
    while time.perf_counter() - begun < SECONDS:
        stages += [one.stages for one in detector.detect(pictures)]
        count += len(pictures)
    rate = count / (time.perf_counter() - begun)
    names = ("preprocess_s", "inference_s", "postprocess_s")
    return rate, [f"{1000 * statistics.median(getattr(one, name) for one in stages):.2f}" for name in names]


def served(package: Package, loading: LoadingSettings, frames: Sequence[Frame]) -> None:
    """Through the data plane: so many pictures under way at once, with and without batches."""
    table = Table("batching", "at once", "pictures/s", "ms, median", "ms, 95 of 100", title="data plane")
    modes: tuple[Batching, ...] = ("off", "auto")
    for batching in modes:
        options = ServingOptions(batching=batching)
        plane = DataPlane({"m": ServedModel(model=str(package.root))}, options=options, loading=loading)
        try:
            detector = plane.detector("m")
            for at_once in (1, 4, 16, 64, 128):
                under_way(detector, frames, at_once)  # libraries set up what each size of batch needs
                rate, waits = under_way(detector, frames, at_once)
                table.add_row(
                    batching,
                    str(at_once),
                    f"{rate:.0f}",
                    f"{1000 * statistics.median(waits):.1f}",
                    f"{1000 * waits[int(0.95 * len(waits))]:.1f}",
                )
        finally:
            plane.close(0)
    Console(width=110).print(table)


def under_way(detector: Any, frames: Sequence[Frame], at_once: int) -> tuple[float, list[float]]:
    """Pictures per second and the seconds that each answer took, sorted, while so many were asked for at any time."""
    room = Semaphore(at_once)
    taken: list[float] = []
    number, started = 0, time.perf_counter()

    def over(_: Future[Detections], begun: float) -> None:
        taken.append(time.perf_counter() - begun)
        room.release()

    while time.perf_counter() - started < SECONDS:
        room.acquire()
        begun = time.perf_counter()
        asked: Future[Detections] = detector.submit(frames[number % len(frames)])
        asked.add_done_callback(lambda future, begun=begun: over(future, begun))  # type: ignore[misc]
        number += 1
    for _ in range(at_once):
        room.acquire()
    return len(taken) / (time.perf_counter() - started), sorted(taken)


def memory(package: Package, loading: LoadingSettings, frame: Frame) -> None:
    """Loads, looks and unloads again and again: what is left on the GPU and in main memory."""
    loader = Loader(find_model, loading)
    for number in range(31):
        with loader.lease(str(package.root)) as detector:
            detector.detect([frame])
            taken = used()
            counted = loader.status()[str(package.root)].footprint.gpu_bytes / 1e6
        del detector
        loader.unload(str(package.root))
        if number % 10 == 0:
            resident = resident_bytes() / 1e6
            print(f"cycle {number}: GPU {taken:.0f} MB loaded, {used():.0f} MB after; resident {resident:.0f} MB")
    print(f"counted against gpu_memory_limit: {counted:.0f} MB")


def used() -> float:
    """MB of the first GPU in use; 0 without one."""
    return next((gpu.used_bytes / 1e6 for gpu in gpus()), 0.0)


if __name__ == "__main__":
    main()
