"""A data plane without models: it has the real one's interface and answers after as long as a test wants."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np

from camcount.detections import Detections
from camcount.errors import ModelNotFound
from camcount.models.references import did_you_mean, registry_reference
from camcount.protocols import TensorInfo
from camcount.serving.requests import Answer, Decision, DetectionRequest, ModelInfo
from camcount.stats import ModelGauges

MODEL = ModelInfo(
    name="detector",
    version="1.2.0",
    reference="detector:1.2.0",
    state="ready",
    aliases=("champion",),
    platform="onnxruntime",
    labels=("person", "car"),
    inputs=(TensorInfo("images", (None, 3, 416, 416), np.dtype(np.float32)),),
    changed=1_700_000_000.0,
)
FOUND = Detections(
    np.array([[10, 20, 40.127, 80], [0, 0, 5, 5]], np.float32), np.array([0.9, 0.5]), np.array([0, 1]), MODEL.labels
)


class StandIn:
    """Decodes each picture as a replica would and finds `FOUND` in it; ``slots`` requests at a time."""

    asked: list[DetectionRequest]
    delay_s: float
    failure: Exception | None
    state: str

    def __init__(self, slots: int = 100) -> None:
        self.slots = slots
        self.reset()

    def reset(self) -> None:
        """As it was at first."""
        self.asked = []
        self.computed = self.most_at_once = self._at_once = 0
        self.delay_s, self.failure, self.state = 0.0, None, "ready"
        self._turns = asyncio.Semaphore(self.slots)

    async def infer(self, request: DetectionRequest) -> Answer:
        """Waits for a slot, then computes; a cancelled request that waits is not computed."""
        started = time.perf_counter()
        info = self.model(request.model)
        self.asked.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            async with self._turns:
                self.computed += 1
                await asyncio.to_thread(request.frame.image, 416, 416)
                await asyncio.sleep(self.delay_s)
                if self.failure is not None:
                    raise self.failure
        finally:
            self._at_once -= 1
        sure = FOUND.confidence >= (request.thresholds.confidence or 0.25)
        return Answer(
            model=info.name,
            version=info.version,
            detections=FOUND.select(np.flatnonzero(sure)[: request.thresholds.max_detections]),
            decision=Decision(info.reference, "asked for by name"),
            total_s=time.perf_counter() - started,
        )

    def models(self) -> list[ModelInfo]:
        """The one model."""
        return [replace(MODEL, state=self.state)]

    def model(self, reference: str) -> ModelInfo:
        """The one model, by name, version or alias."""
        asked = registry_reference(reference)
        if asked.name != MODEL.name or asked.version not in (None, MODEL.version):
            raise ModelNotFound(f"no model {reference!r}: {did_you_mean(asked.name, [MODEL.name])}")
        return self.models()[0]

    def load(self, reference: str, *, anew: bool = False) -> ModelInfo:
        """Makes it ready."""
        self.model(reference)
        self.state = "ready"
        return self.model(reference)

    def unload(self, reference: str) -> None:
        """Makes it merely registered."""
        self.model(reference)
        self.state = "registered"

    def gauges(self) -> list[ModelGauges]:
        """Its memory."""
        return [
            ModelGauges(
                model=MODEL.name, version=MODEL.version, queued=0, in_flight=0, replicas=(), memory_bytes=4096
            )
        ]

    def ready(self) -> bool:
        """Whether it is."""
        return self.state in ("ready", "registered")
