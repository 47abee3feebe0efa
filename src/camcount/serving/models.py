"""The models behind a data plane: how each is loaded with its replicas, and what is told of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from camcount.errors import CamcountError
from camcount.models.loading import ModelStatus
from camcount.models.loading_state import State
from camcount.models.memory import Footprint
from camcount.models.opening import FoundModel, find_model
from camcount.models.references import parse_reference
from camcount.protocols import Detector, TensorInfo
from camcount.serving.calls import Call
from camcount.serving.fallback import FallbackChain, Next
from camcount.serving.options import Endpoint, ServingOptions
from camcount.serving.replicas import Makers, Replicas
from camcount.serving.requests import ModelInfo
from camcount.serving.sharing import SharedModel
from camcount.serving.targets import Target, Targets
from camcount.serving.worker import Worker
from camcount.stats import ModelGauges

IN_ORDER = ("motion",)
"""Models with a memory of earlier pictures: one replica sees all of them, in order."""


@dataclass(frozen=True, slots=True)
class FoundReplicas:
    """A model for the loader, which comes with all its replicas."""

    target: Target
    found: FoundModel
    options: ServingOptions
    opening: Mapping[str, Any]
    keep: Callable[[str, Replicas], None]

    @property
    def footprint(self) -> Footprint:
        """Of the most replicas that there may be."""
        options = self._options("cpu")
        most = options.max_replicas or options.replicas
        one = self.found.footprint
        return Footprint(one.bytes * most, one.gpu_bytes * most)

    def open(self, device: str) -> Detector:
        """Loads it with its replicas."""
        model = SharedModel(lambda: self.found.open(device), apart=self._on_gpu(device))
        remote = [(endpoint, partial(self._at, endpoint)) for endpoint in self.target.served.endpoints]
        replicas = Replicas(
            self.target.key,
            Makers(local=model.worker, remote=remote),
            self._options(device),
            batch=self._batch(device),
            weight=self.target.served.weight,
        )
        self.keep(self.target.key, replicas)
        return replicas

    def warm_up(self, detector: Detector) -> None:
        """Has each replica look at pictures of all the model's shapes."""
        assert isinstance(detector, Replicas)
        detector.warm_up(lambda worker: self.found.warm_up(worker.detector))

    def _at(self, endpoint: Endpoint) -> Worker:
        return Worker(find_model(endpoint.url, **self.opening).open("cpu"))

    def _batch(self, device: str) -> int:
        """On a processor a batch only makes the first picture wait for the last."""
        together = self.options.batching == "on" or (self.options.batching == "auto" and self._on_gpu(device))
        return self.options.max_batch_size if together else 1

    def _options(self, device: str) -> ServingOptions:
        if not self._on_gpu(device):
            return self.options
        least, most = self.options.gpu_replicas, self.options.max_replicas
        return replace(self.options, replicas=least, max_replicas=max(least, most) if most else None)

    def _on_gpu(self, device: str) -> bool:
        return self.found.footprint.on(device).gpu_bytes > 0


class Models:
    """Targets as the loader wants them, and as they are told of.

    Args:
        targets: where the loader's keys come from.
        opening: for `find_model`, such as ``trust``.
    """

    def __init__(self, targets: Targets, options: ServingOptions, opening: Mapping[str, Any]) -> None:
        self._targets = targets
        self._options = options
        self._opening = dict(opening)
        self._replicas: dict[str, Replicas] = {}
        self._changed: dict[str, float] = {}
        self._accuracy: dict[str, float | None] = {}

    def find(self, key: str) -> FoundReplicas:
        """The model of a target's key, for the loader.

        Raises:
            CamcountError: it is not there any more.
        """
        target = self._targets.find(key)
        served = target.served
        wishes = {"labels": served.labels, "confidence": served.confidence}
        opening = self._opening | {name: value for name, value in wishes.items() if value is not None}
        options = self._options
        if served.replicas is not None:
            most = max(served.replicas, options.max_replicas) if options.max_replicas else None
            options = options.with_replicas(served.replicas, most)
        if target.source in IN_ORDER:
            options = options.with_replicas(1)
        found = find_model(target.source, **opening)
        self._accuracy[key] = found.accuracy
        return FoundReplicas(target, found, options, opening, self._keep)

    def changed(self, key: str, state: State) -> None:
        """Notes when a model changed; called by the loader."""
        self._changed[key] = time.time()

    def fallback(self, call: Call, error: CamcountError) -> Next:
        """What to ask instead, after this error."""
        asked = re.split("[:@]", call.asked)[0]
        served = self._targets.configured.get(asked)
        if served is None or not served.fallbacks:
            return Next(None, "nothing stands in")
        chain = FallbackChain(asked, served.fallbacks)
        failed = call.tried[-1] if call.tried else asked
        return chain.next(failed, error.code, call.deadline - time.monotonic())

    def all(self, status: Mapping[str, ModelStatus]) -> list[ModelInfo]:
        """All models that can be asked for."""
        return [self.info(target, status) for target in self._targets.all()]

    def info(self, target: Target, status: Mapping[str, ModelStatus]) -> ModelInfo:
        """One model as it stands."""
        at = status.get(target.key)
        replicas = self._live().get(target.key)
        engine = replicas.engine if replicas else None
        return ModelInfo(
            name=target.name,
            version=target.version,
            reference=target.key,
            state=str(at.state) if at else str(State.REGISTERED),
            reason=at.reason if at else "",
            aliases=target.aliases,
            platform=parse_reference(target.source).kind if replicas is None else _platform(engine),
            labels=replicas.labels if replicas else (),
            inputs=_sized(replicas) if replicas else (),
            outputs=tuple(engine.outputs.values()) if engine else (),
            changed=self._changed.get(target.key, 0.0),
            accuracy=self._accuracy.get(target.key),
        )

    def gauges(self, status: Mapping[str, ModelStatus]) -> list[ModelGauges]:
        """The loaded models as they stand."""
        gauges = []
        for key, replicas in self._live().items():
            name, _, version = key.partition(":")
            cancelled, expired, refused = replicas.unrun()
            taken = status[key].footprint if key in status else Footprint()
            gauges.append(
                ModelGauges(
                    model=name,
                    version=version,
                    queued=replicas.queued,
                    in_flight=replicas.in_flight,
                    replicas=replicas.states(),
                    cancelled_unrun=cancelled,
                    expired_unrun=expired,
                    refused=refused,
                    memory_bytes=taken.bytes,
                    gpu_bytes=taken.gpu_bytes,
                )
            )
        return gauges

    def has(self, call: Call, replicas: Replicas) -> bool:
        """Whether these are the latest replicas of what the call goes to."""
        return self._replicas.get(call.chosen.key) is replicas

    def _live(self) -> dict[str, Replicas]:
        """The latest replicas of each model, as long as they take requests."""
        return {key: replicas for key, replicas in list(self._replicas.items()) if not replicas.closed}

    def _keep(self, key: str, replicas: Replicas) -> None:
        self._replicas = {**self._live(), key: replicas}


def _sized(replicas: Replicas) -> tuple[TensorInfo, ...]:
    """The engine's inputs; a size that the engine leaves open is the one that the model was made for."""
    engine, size = replicas.engine, replicas.input_size
    if engine is None:
        return ()
    width, height = size or (None, None)
    sized = []
    for info in engine.inputs.values():
        shape = info.shape
        if len(shape) == 4 and shape[1] == 3:
            shape = (*shape[:2], shape[2] or height, shape[3] or width)
        sized.append(TensorInfo(info.name, shape, info.dtype))
    return tuple(sized)


def _platform(engine: Any) -> str:
    return type(engine).__name__.removesuffix("Engine").lower() if engine is not None else "detector"
