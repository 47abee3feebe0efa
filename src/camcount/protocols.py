"""The plug points. Each docstring is the contract; `camcount.testing` checks it over every implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from camcount.detections import Detections, Tracks
from camcount.events import Event
from camcount.frame import Frame
from camcount.stats import RequestStats


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What is known of a source once it is open. ``None`` means the source does not say.

    ``fps`` is the nominal rate; the truth is in each frame's ``time_s``.
    """

    uri: str
    width: int
    height: int
    fps: float | None = None
    duration_s: float | None = None
    frames: int | None = None
    live: bool = False
    codec: str = ""
    rotation: int = 0
    start_time: datetime | None = None
    """When the first frame was taken, timezone-aware, if known."""


@runtime_checkable
class Source(Protocol):
    """Frames in presentation order.

    ``open`` may be called once; ``read`` gives the next frame, or ``None`` at the end and ever after; ``close``
    may be called at any time, from any thread and more than once, and makes a waiting ``read`` return ``None``.
    ``time_s`` never decreases. What went wrong without stopping the source (a video cut off in the middle, a
    jump in the time stamps) is appended to ``warnings`` as one line each.

    Raises:
        SourceError: ``open`` found nothing to read. The message names the source and the remedy.
    """

    warnings: list[str]

    def open(self) -> SourceInfo: ...
    def read(self) -> Frame | None: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """Runs a model file: named arrays in, arrays out, and nothing about pictures or boxes.

    ``run`` may be called from as many threads at once as ``concurrency`` says (0: any number). It neither keeps
    nor changes the arrays it is given, and the arrays it returns belong to the caller.

    Raises:
        ModelLoadFailed: on construction, for a file that is no model of this engine.
        ModelError: from ``run``, with MODEL_003.
    """

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    concurrency: int

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name, shape (``None`` where free) and dtype of one input or output."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class Detector(Protocol):
    """Frames in, what is in them out: one `Detections` per frame, in order, boxes in pixels of the frame.

    An embedded model, a pool of replicas, a canary split, a remote server: each is a detector. ``labels`` are
    the names it can find. ``concurrency`` is how many threads may call ``detect`` at once (0: any number); a
    detector with memory of earlier frames says 1 and is given the frames in order.
    """

    labels: tuple[str, ...]
    concurrency: int

    def detect(self, frames: Sequence[Frame]) -> list[Detections]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What one request wants returned; ``None`` leaves it to the model.

    Attributes:
        confidence: the least confidence, 0 to 1.
        nms_iou: overlap above which two boxes of one label are one object, above 0 up to 1.
        max_detections: at most so many, the surest.
    """

    confidence: float | None = None
    nms_iou: float | None = None
    max_detections: int | None = None


@runtime_checkable
class Adjustable(Detector, Protocol):
    """A detector that can be asked with other thresholds than its own."""

    def adjusted(self, thresholds: Thresholds) -> Detector:
        """The same model with these thresholds: it shares everything with this one, which stays as it is and is
        the one to close."""
        ...


@runtime_checkable
class Submitting(Detector, Protocol):
    """A detector that can be asked without waiting."""

    def submit(self, frame: Frame) -> Future[Detections]:
        """The detections of one frame, in the future; cancelling drops work that has not begun."""
        ...


class Recorder(Protocol):
    """Writes down what is measured: to Prometheus, a log, a database, or nowhere.

    ``record`` is called once for every request that has ended, soon afterwards; it must be quick, must not raise,
    and must not call back.
    """

    def record(self, stats: RequestStats) -> None: ...
    def close(self) -> None: ...


class ResultCache(Protocol):
    """Keeps bytes for a while under a kind and a key.

    ``kind`` names what is kept (``inference``, ``results``, ``batch``, ``metadata``) and so for how
    long. A cache that cannot be reached behaves as if it were empty: it logs SYS_003 once per outage, never raises,
    and never makes a caller wait longer than its time-out. ``local`` says that it answers in microseconds, so that
    it may be asked from an event loop. Safe from many threads.
    """

    local: bool

    def get(self, kind: str, key: str) -> bytes | None: ...
    def put(self, kind: str, key: str, value: bytes) -> None: ...
    def invalidate(self, prefix: str) -> None:
        """Forgets every key, of all kinds, that begins so: keys begin with the model's name."""
        ...

    def close(self) -> None: ...


class Appearance(Protocol):
    """Boxes of a frame in, what is in them looks like out: one direction each, near for what looks alike.

    ``embed`` takes ``xyxy float32 (N, 4)`` in pixels of the frame and gives ``float32 (N, D)`` of unit length, D
    always the same: 1 minus the product of two is their cosine distance, 0 (the same) to 2. It is asked by one
    thread at a time, of one frame after the other, and only about boxes of which it matters.

    Raises:
        InferenceError: the frame has no picture.
        ModelError: the engine failed.
    """

    def embed(self, frame: Frame, xyxy: NDArray[np.float32]) -> NDArray[np.float32]: ...
    def close(self) -> None: ...


class Tracker(Protocol):
    """Detections of one camera, frame after frame, to tracks.

    ``update`` is given every frame's detections, also when there are none, with ``time_s`` rising by any
    amount: all durations inside are seconds. It returns the tracks matched in this frame, tentative ones too
    (see `Tracks.confirmed`). Memory stays bounded: the state of a lost track is let go. ``reset`` forgets all
    tracks and starts ids where they left off.
    """

    def update(self, detections: Detections, time_s: float) -> Tracks: ...
    def reset(self) -> None: ...


class Counter(Protocol):
    """Tracks of one camera to events.

    Events come out when they are understood (at most a second after they can be) and are dated when they
    happened. ``finish`` says that no more frames will come and returns what was still open.
    """

    def update(self, tracks: Tracks, time_s: float) -> list[Event]: ...
    def finish(self, time_s: float) -> list[Event]: ...
    def reset(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """Everything known after one frame; what the pipeline yields and what a sink is given."""

    frame: Frame
    detections: Detections
    tracks: Tracks
    events: tuple[Event, ...]


class Sink(Protocol):
    """Takes every step, in order; ``close`` writes ``last`` (events found after the last frame) and finishes.

    Raises:
        DiskFull: what was written before stays readable.
    """

    def write(self, step: Step) -> None: ...
    def close(self, last: Sequence[Event] = ()) -> None: ...
