"""A data plane around one model, for a pipeline that runs by itself."""

from __future__ import annotations

import threading
from pathlib import Path

from camcount.models.samples import samples
from camcount.serving.embedded import EmbeddedDetector
from camcount.serving.options import ServingOptions


def test_frames_come_back_in_the_future_and_nothing_runs_on(data: Path) -> None:
    """Left with frames under way it ends its threads: one cut off inside a model takes the whole process along."""
    before = set(threading.enumerate())
    frames = samples([str(data / "videos" / "people-walking.mp4")], 4)
    detector = EmbeddedDetector(
        str(data / "weights" / "yolox_nano_416x416.onnx"), labels=["person"], options=ServingOptions(replicas=2)
    )
    first, *others = [detector.submit(frame) for frame in frames]
    assert len(first.result(30)) == len(detector.detect(frames[:1])[0]) > 0
    for future in (detector.submit(frames[1]), *others):
        future.cancel()
    detector.close()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not any(name.startswith(("replica", "watch")) for name in left), left
