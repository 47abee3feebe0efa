"""A served model as the counting half wants it: a `Detector` that goes through the data plane like everyone else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from camcount.detection.labels import vocabulary
from camcount.detections import Detections
from camcount.frame import Frame
from camcount.protocols import Thresholds
from camcount.serving.requests import Answer, DetectionRequest


class PlaneDetector:
    """Frames to requests, answers to detections; the model may change while frames flow.

    Args:
        submit: of the data plane.
        model: the reference to ask for.
        names: the labels that the model has now.
        labels: keep only these; ``vehicle`` stands for all labels of vehicles.
        thresholds: for every request.
        door: what the requests are recorded as.

    Raises:
        UsageError: the model has no such label.
    """

    concurrency = 0

    def __init__(
        self,
        submit: Callable[[DetectionRequest], Future[Any]],
        model: str,
        names: Sequence[str],
        *,
        labels: Sequence[str] | None = None,
        thresholds: Thresholds | None = None,
        door: str = "camera",
    ) -> None:
        self.labels = vocabulary(names, labels=labels).labels
        self._submit = submit
        self._model = model
        self._all = labels is None
        self._thresholds = thresholds or Thresholds()
        self._door = door

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame.

        Raises:
            CamcountError: no answer; the model, its replicas or the picture failed.
        """
        answers: list[Answer] = [future.result() for future in [self._asked(frame) for frame in frames]]
        return [self._wanted(answer.detections) for answer in answers]

    def submit(self, frame: Frame) -> Future[Detections]:
        """The detections of one frame, in the future; this never waits. Cancelling drops the work not begun."""
        found: Future[Detections] = Future()
        asked = self._asked(frame)

        def answered(answer: Future[Any]) -> None:
            if answer.cancelled() or not found.set_running_or_notify_cancel():
                found.cancel()
            elif (error := answer.exception()) is not None:
                found.set_exception(error)
            else:
                found.set_result(self._wanted(answer.result().detections))

        asked.add_done_callback(answered)
        found.add_done_callback(lambda future: asked.cancel() if future.cancelled() else None)
        return found

    def close(self) -> None:
        """The model stays with the data plane."""

    def _asked(self, frame: Frame) -> Future[Any]:
        return self._submit(
            DetectionRequest(
                model=self._model,
                frame=frame,
                thresholds=self._thresholds,
                weak=True,
                door=self._door,
                subject=frame.camera_id,
            )
        )

    def _wanted(self, found: Detections) -> Detections:
        if self._all:
            return found
        # by label, not by number: another model may be answering by now
        place = {label: number for number, label in enumerate(self.labels)}
        numbers = np.array([place.get(label, -1) for label in found.labels], np.int32)
        if not len(found):
            return Detections.empty(self.labels)
        classes = numbers[found.class_id]
        rows = classes >= 0
        return Detections(found.xyxy[rows], found.confidence[rows], classes[rows], self.labels, found.stages)
