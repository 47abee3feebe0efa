"""A detection request and its answer, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from numpy.typing import NDArray

from camcount.detections import Detections
from camcount.frame import Frame
from camcount.protocols import TensorInfo, Thresholds
from camcount.stats import Stages


class Priority(IntEnum):
    """Who is served first; within one priority, who came first."""

    INTERACTIVE = 0
    BATCH = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionRequest:
    """One picture to one model.

    Attributes:
        model: ``name``, ``name:version`` or ``name@alias``.
        frame: the picture; it is decoded in a replica's thread, at the size that the model needs.
        content: the picture's file as it came, where the answer may be cached; ``None``: never cached.
        thresholds: what to return; the server's own confidence where nothing is said.
        weak: where no confidence is said, the model's own holds instead: trackers use weak detections too.
        deadline: the latest moment for an answer, on the clock of ``time.monotonic``; ``None``: the server's limit.
        door, request_id, trace: where it came from, see `camcount.stats.RequestStats`.
        subject: whom a selection policy keeps with one variant (a camera, a user); may be empty.
    """

    model: str
    frame: Frame
    content: bytes | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    weak: bool = False
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    door: str = "python"
    request_id: str = ""
    trace: str = ""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRequest:
    """Arrays straight to a model's engine: ``feeds`` by input name, batch axis included."""

    model: str
    feeds: Mapping[str, NDArray[Any]]
    priority: Priority = Priority.INTERACTIVE
    deadline: float | None = None
    door: str = "v2"
    request_id: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which model answers, and why: ``variant`` is ``name:version``."""

    variant: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found, and how the answer came about.

    Attributes:
        model, version: what answered.
        cached: it came from the result cache.
        fallback: what was asked for and could not answer, where something else did; empty otherwise.
        queue_s, total_s: seconds of waiting, and from submission to answer.
    """

    model: str
    version: str
    detections: Detections
    decision: Decision
    cached: bool = False
    fallback: str = ""
    replica: str = ""
    attempts: int = 1
    batch: int = 1
    queue_s: float = 0.0
    stages: Stages = field(default_factory=Stages)
    total_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorAnswer:
    """The engine's outputs by name."""

    model: str
    version: str
    outputs: Mapping[str, NDArray[Any]]
    replica: str = ""
    queue_s: float = 0.0
    total_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """One model that can be asked for.

    Attributes:
        reference: ``name:version``.
        state: as `camcount.models.loading_state.State` names it; ``reason`` says why it is in error or unavailable.
        aliases: of the registry.
        labels, inputs, outputs: known once it is loaded; the latter two are the engine's own tensors, empty where
            the model is no engine (``motion`` keeps pictures).
        changed: seconds since the epoch at the last change of state.
        accuracy: mean average precision on the model's card, 0 to 1, where it was measured.
    """

    name: str
    version: str
    reference: str
    state: str
    reason: str = ""
    aliases: tuple[str, ...] = ()
    platform: str = ""
    labels: tuple[str, ...] = ()
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    changed: float = 0.0
    accuracy: float | None = None
