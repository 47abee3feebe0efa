"""How detection requests are served: the ``serving`` section of `camcount.yaml`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from camcount.errors import UsageError
from camcount.serving.fallback import StandIn

Balancing = Literal["shared", "round_robin", "weighted", "least_connections", "hybrid"]
Batching = Literal["auto", "on", "off"]

MAX_BATCH = 64
MAX_BATCH_TIMEOUT_S = 0.1


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The same model on another server.

    Attributes:
        url: as ``--model`` takes it, see docs/engines.md.
        weight: its share of the requests where balancing is ``weighted``.
        concurrency: requests to it at once.
    """

    url: str
    weight: float = 1.0
    concurrency: int = 2

    def __post_init__(self) -> None:
        _above_zero(self, "weight", "concurrency")
        if "://" not in self.url:
            raise UsageError(f"endpoint {self.url!r} is no address: write http://host:port/v2/models/name")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model under a name of the server's own.

    Attributes:
        model: a file, package, registered model or address; the name itself unless given.
        labels, confidence: as for counting; ``confidence`` is the least that any request can have.
        weight: of each local replica, where balancing is ``weighted``.
        endpoints: where else it runs.
        fallbacks: what answers instead, in this order.
    """

    model: str = ""
    labels: tuple[str, ...] | None = None
    confidence: float | None = None
    replicas: int | None = None
    weight: float = 1.0
    endpoints: tuple[Endpoint, ...] = ()
    fallbacks: tuple[StandIn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions:
    """How requests are queued, shared out and retried.

    Attributes:
        replicas: how many of each model, each with a thread and a session of its own; one per core, and one
            more that computes while another waits for its turn in Python, unless given.
        gpu_replicas: how many of a model on a GPU: one computes, one prepares pictures, one gathers them.
        max_replicas: up to so many under load that lasts, and down to ``replicas`` again when it is over; unless
            given, there are never more.
        scale_up_after, scale_down_after: seconds that load, and quiet, must last for that.
        confidence: the least confidence of an answer where a request does not say.
        queue: requests that may wait for one model; beyond that they are refused at once.
        request_timeout: seconds until a request without a deadline of its own is given up.
        balancing: ``shared`` lets whichever replica is free take the next request; ``hybrid`` has remote endpoints
            take what local replicas cannot keep up with (``overflow`` requests waiting) or all, if none is left.
        batching: ``auto`` has models on a GPU take several pictures together.
        batch_size, max_batch_size: pictures that a batch waits for, and may hold; at most 64.
        batch_timeout: the most seconds that the first picture of a batch waits for others, and only while all other
            replicas are at work; at most 0.1.
        retry_attempts: how often a request that a replica failed is given to another one.
        breaker_threshold, breaker_recovery: failures in a row after which a replica is left alone, and seconds until
            it is tried again.
        health_interval, health_timeout: seconds after which an idle replica is tried with a test picture, and after
            which a replica that does not come back from its work is given up and replaced.
        alias_refresh: seconds for which an alias or a highest version, once looked up, is taken to stand.
    """

    replicas: int = field(default_factory=lambda: cores() + 1)
    gpu_replicas: int = 3
    max_replicas: int | None = None
    scale_up_after: float = 5.0
    scale_down_after: float = 60.0
    confidence: float = 0.25
    queue: int = 512
    request_timeout: float = 30.0
    balancing: Balancing = "shared"
    overflow: int = 8
    batching: Batching = "auto"
    batch_size: int = 32
    max_batch_size: int = MAX_BATCH
    batch_timeout: float = MAX_BATCH_TIMEOUT_S
    retry_attempts: int = 2
    retry_delay: float = 0.05
    breaker_threshold: int = 5
    breaker_recovery: float = 60.0
    health_interval: float = 30.0
    health_timeout: float = 10.0
    alias_refresh: float = 5.0

    def __post_init__(self) -> None:
        _above_zero(self, "replicas", "gpu_replicas", "queue", "request_timeout", "batch_size", "breaker_threshold")
        _above_zero(self, "breaker_recovery", "health_interval", "health_timeout", "alias_refresh", "overflow")
        if not 0 < self.confidence < 1:
            raise UsageError(f"confidence {self.confidence} must lie between 0 and 1")
        if not self.batch_size <= self.max_batch_size <= MAX_BATCH:
            raise UsageError(f"batch_size {self.batch_size} <= max_batch_size {self.max_batch_size} <= {MAX_BATCH}")
        if not 0 <= self.batch_timeout <= MAX_BATCH_TIMEOUT_S:
            raise UsageError(f"batch_timeout {self.batch_timeout} must lie in 0 to {MAX_BATCH_TIMEOUT_S} s")
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise UsageError(f"max_replicas {self.max_replicas} must not be below replicas {self.replicas}")
        if self.retry_attempts < 0:
            raise UsageError(f"retry_attempts {self.retry_attempts} must not be below 0")

    def with_replicas(self, replicas: int, most: int | None = None) -> Self:
        """The same with another number of replicas, wherever a model runs."""
        return replace(self, replicas=replicas, gpu_replicas=replicas, max_replicas=most)


def _above_zero(options: object, *names: str) -> None:
    for name in names:
        if not getattr(options, name) > 0:
            raise UsageError(f"{name} {getattr(options, name)} must be above 0")
