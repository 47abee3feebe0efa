"""What is measured of one detection request: plain values that the hot path fills and recorders write down."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds that each stage of one detection took; a picture of a batch has its share."""

    preprocess_s: float = 0.0
    inference_s: float = 0.0
    postprocess_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStats:
    """One request that has ended, however it ended.

    Attributes:
        model, version: what answered, or what was asked for where nothing did.
        outcome: ``ok``; a code of `camcount.errors`; ``cancelled`` for a request whose client went away.
        computed: whether the model ran for it; a cancelled request that was still queued was not computed.
        door: how it came in: ``rest``, ``v2``, ``grpc``, ``websocket``, ``camera``, ``batch``, ``dashboard``,
            ``python``.
        reason: why this model answered, see `camcount.serving.requests.Decision`.
        cached: answered from the result cache.
        fallback: what was asked for, where something else answered.
        attempts: how often it was tried.
        queue_s, total_s: seconds of waiting for a replica, and from submission to the answer.
        batch: how many pictures went through the model together.
        confidences: ``float32 (N,)`` of what was found.
        ended: aware UTC.
    """

    model: str
    version: str = ""
    outcome: str = "ok"
    computed: bool = True
    door: str = "python"
    request_id: str = ""
    reason: str = ""
    replica: str = ""
    cached: bool = False
    fallback: str = ""
    attempts: int = 1
    queue_s: float = 0.0
    stages: Stages = field(default_factory=Stages)
    total_s: float = 0.0
    batch: int = 1
    confidences: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    trace: str = ""
    """The W3C ``traceparent`` that came with the request."""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaState:
    """One replica or remote endpoint as it stands now.

    ``breaker`` is ``closed``, ``open`` or ``half-open``; ``remote`` is its address, empty for a local one.
    """

    name: str
    breaker: str = "closed"
    healthy: bool = True
    busy: bool = False
    remote: str = ""
    answered: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGauges:
    """One loaded model as it stands now; the counters only rise."""

    model: str
    version: str
    queued: int
    in_flight: int
    replicas: tuple[ReplicaState, ...]
    cancelled_unrun: int = 0
    """Requests whose client went away while they were queued: dropped, not computed."""
    expired_unrun: int = 0
    """Requests whose deadline passed while they were queued: refused, not computed."""
    refused: int = 0
    """Requests that found the queue full."""
    memory_bytes: int = 0
    gpu_bytes: int = 0
