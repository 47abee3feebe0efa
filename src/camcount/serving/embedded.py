"""A data plane of one's own around one model, for a pipeline that runs by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from camcount.detections import Detections
from camcount.frame import Frame
from camcount.models.loading import LoadingSettings
from camcount.serving.dataplane import DataPlane
from camcount.serving.options import ServedModel, ServingOptions

_NAME = "embedded"


class EmbeddedDetector:
    """One model behind a data plane in this process: a `camcount.protocols.Detector` that retries and is measured.

    Args:
        model: as ``--model`` takes it.
        labels: keep only these.
        options: replicas and times.
        device: where the model runs.
        opening: for `camcount.models.opening.find_model`.

    Raises:
        CamcountError: the model cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        *,
        labels: Sequence[str] | None = None,
        options: ServingOptions | None = None,
        device: str = "cpu",
        opening: Mapping[str, Any] | None = None,
    ) -> None:
        given = {**(opening or {}), "labels": labels}
        served = {_NAME: ServedModel(model=model)}
        loading = LoadingSettings(devices=(device,))
        self._plane = DataPlane(served, options=options, loading=loading, opening=given)
        try:
            self._detector = self._plane.detector(_NAME)
        except BaseException:
            self._plane.close(0)
            raise
        self.labels = self._detector.labels
        self.concurrency = self._detector.concurrency

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """One `Detections` per frame.

        Raises:
            CamcountError: no replica could answer.
        """
        return self._detector.detect(frames)

    def submit(self, frame: Frame) -> Future[Detections]:
        """The detections of one frame, in the future; this never waits."""
        return self._detector.submit(frame)

    def close(self) -> None:
        """Lets go of the model once it is done with the frames that it is at."""
        self._plane.close()
