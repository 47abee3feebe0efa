"""The state of loaded models and their replicas as Prometheus' metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from camcount.stats import ModelGauges, ReplicaState

_MODEL = ["model", "version"]
_REPLICA = [*_MODEL, "replica", "remote"]
_BREAKER = ("closed", "half-open", "open")

_GAUGES: dict[str, tuple[str, Callable[[ModelGauges], float]]] = {
    "camcount_queued_requests": ("Requests that wait for a replica", lambda model: model.queued),
    "camcount_in_flight_requests": ("Requests that a replica works on", lambda model: model.in_flight),
    "camcount_replicas": ("Replicas and remote endpoints", lambda model: len(model.replicas)),
    "camcount_model_memory_bytes": ("Main memory that the model takes", lambda model: model.memory_bytes),
    "camcount_model_gpu_memory_bytes": ("GPU memory that the model takes", lambda model: model.gpu_bytes),
}
_COUNTERS: dict[str, tuple[str, Callable[[ModelGauges], float]]] = {
    "camcount_cancelled_unrun": (
        "Requests dropped from the queue, not computed, because the client had gone",
        lambda model: model.cancelled_unrun,
    ),
    "camcount_expired_unrun": (
        "Requests refused from the queue, not computed, because their deadline had passed",
        lambda model: model.expired_unrun,
    ),
    "camcount_refused": ("Requests that found the queue full", lambda model: model.refused),
}
_REPLICA_GAUGES: dict[str, tuple[str, Callable[[ReplicaState], float]]] = {
    "camcount_replica_healthy": ("Whether the last health check succeeded", lambda replica: replica.healthy),
    "camcount_replica_busy": ("Whether it works on a request", lambda replica: replica.busy),
}
_REPLICA_COUNTERS: dict[str, tuple[str, Callable[[ReplicaState], float]]] = {
    "camcount_replica_answered": ("Requests that it answered", lambda replica: replica.answered),
    "camcount_replica_failed": ("Requests that failed on it", lambda replica: replica.failed),
}


def model_metrics(models: Sequence[ModelGauges]) -> Iterator[Metric]:
    """Every figure of the loaded models, by model and version, and by replica."""
    for name, (help_text, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(name, help_text, labels=_MODEL)
        for model in models:
            gauge.add_metric([model.model, model.version], value(model))
        yield gauge
    for name, (help_text, value) in _COUNTERS.items():
        counter = CounterMetricFamily(name, help_text, labels=_MODEL)
        for model in models:
            counter.add_metric([model.model, model.version], value(model))
        yield counter
    replicas = [
        ([m.model, m.version, replica.name, replica.remote], replica) for m in models for replica in m.replicas
    ]
    yield from _replica_metrics(replicas)


def _replica_metrics(replicas: Sequence[tuple[list[str], ReplicaState]]) -> Iterator[Metric]:
    for name, (help_text, value) in _REPLICA_GAUGES.items():
        gauge = GaugeMetricFamily(name, help_text, labels=_REPLICA)
        for labels, replica in replicas:
            gauge.add_metric(labels, value(replica))
        yield gauge
    for name, (help_text, value) in _REPLICA_COUNTERS.items():
        counter = CounterMetricFamily(name, help_text, labels=_REPLICA)
        for labels, replica in replicas:
            counter.add_metric(labels, value(replica))
        yield counter
    breaker = GaugeMetricFamily(
        "camcount_breaker_state", "1 for the state that the circuit breaker is in", labels=[*_REPLICA, "state"]
    )
    for labels, replica in replicas:
        for state in _BREAKER:
            breaker.add_metric([*labels, state], state == replica.breaker)
    yield breaker
