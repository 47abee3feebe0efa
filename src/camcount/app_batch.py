"""The wiring of a batch: settings to what counts one item after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from camcount.app import CountingRun, Outputs
from camcount.app_open import open_detector
from camcount.batch.gate import Gate
from camcount.batch.items import Item
from camcount.batch.journal import EVENTS
from camcount.batch.work import Done, Tell
from camcount.detections import Detections
from camcount.errors import SourceError, SourceNotFound, UsageError
from camcount.models.references import BUILT_IN
from camcount.protocols import Detector
from camcount.serving.options import cores
from camcount.settings import Settings

SURE = 0.25
"""The least confidence of what is told of a picture, unless settings say: nothing later weeds out weak boxes."""


class ItemCounter:
    """Counts videos and looks at pictures, several at once, all with one model behind one data plane.

    What only sees motion has a memory, so that each video is given one of its own.

    Raises:
        CamcountError: the model cannot be loaded.
        UsageError: pictures without a model.
    """

    def __init__(self, settings: Settings, items: Sequence[Item], *, workers: int, gate: Gate) -> None:
        self._threads = max(1, (settings.threads or cores()) // workers)
        self._settings = settings
        self._gate = gate
        self._detector: Detector | None = None
        if not items:
            return
        if settings.model not in BUILT_IN:
            shared = settings.model_copy(update={"data_plane": True})
            self._detector = open_detector(shared, settings.labels)
        elif any(item.kind == "picture" for item in items):
            raise UsageError(f"nothing moves in a picture: give a --model other than {settings.model}")

    def __call__(self, item: Item, folder: Path, tell: Tell) -> Done | None:
        """Does one item; its events go into the folder. None where the gate was closed in between.

        Raises:
            CamcountError: it cannot be read, or the model failed.
        """
        return self._picture(item, tell) if item.kind == "picture" else self._video(item, folder, tell)

    def close(self) -> None:
        """Lets go of the model."""
        if self._detector is not None:
            self._detector.close()

    def _video(self, item: Item, folder: Path, tell: Tell) -> Done | None:
        of_item = {
            "source": item.source,
            "camera": self._settings.camera or Path(item.name).with_suffix("").as_posix(),
            "threads": self._threads,
        }
        settings = self._settings.model_copy(update=of_item)
        with CountingRun(settings, Outputs(events=folder / EVENTS), detector=self._detector) as run:
            length_s = run.length_s or 0.0
            with closing(run.steps()) as steps:
                for _ in steps:
                    tell(run.frames, run.duration_s / length_s if length_s else 0.0)
                    if not self._gate.passes():
                        return None
            result = run.result()
        return Done(result, {name: result[name] for name in ("frames", "duration_s", "lines", "bounds", "warnings")})

    def _picture(self, item: Item, tell: Tell) -> Done:
        from camcount.video.encoded import picture_frame

        assert self._detector is not None
        frame = picture_frame(_content(item.source))
        found = self._detector.detect([frame])[0]
        if self._settings.confidence is None:
            found = found.select(found.confidence >= np.float32(SURE))
        tell(1, 1.0)
        rows = _rows(found)
        result = {"source": item.source, "width": frame.width, "height": frame.height, "detections": rows}
        return Done(result, {"frames": 1, "objects": _by_label(rows)})


def dependent(settings: Settings) -> dict[str, Any]:
    """What of the settings the results of a batch depend on, ready for JSON."""
    values = settings.model_dump(
        mode="json", exclude={"source", "threads", "data_plane", "timeout_s", "model_loading"}
    )
    file = Path(settings.model)
    if file.is_file():
        status = file.stat()
        values["model"] = f"{file.absolute()} ({status.st_size}-{status.st_mtime_ns})"
    return values


def _content(source: str) -> bytes:
    try:
        return Path(source).read_bytes()
    except FileNotFoundError:
        raise SourceNotFound(f"{source} is not there: check the spelling, or give the full path") from None
    except OSError as error:
        raise SourceError(f"{source} cannot be read ({error.strerror}): check its permissions") from None


def _rows(found: Detections) -> list[dict[str, Any]]:
    boxes = found.xyxy.astype(np.float64).round(1).tolist()
    sure = found.confidence.astype(np.float64).round(4).tolist()
    return [{"label": found.label(k), "confidence": sure[k], "box": boxes[k]} for k in range(len(found))]


def _by_label(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    labels = sorted(row["label"] for row in rows)
    return {label: labels.count(label) for label in dict.fromkeys(labels)}
