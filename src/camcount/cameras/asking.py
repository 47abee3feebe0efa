"""Frames out to the model, detections back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from camcount.cameras.inbox import Arrival
from camcount.detections import Detections
from camcount.frame import Frame
from camcount.pipeline import asker
from camcount.protocols import Detector


@dataclass(slots=True)
class Asked:
    """A frame and its detections to come; None where nothing moved and nobody was asked."""

    arrival: Arrival
    answer: Future[Detections] | None


class Asking:
    """A few frames of one camera with the model at once.

    Args:
        detector: the model; one that cannot be asked without waiting gets threads of this camera's own.
        most: frames at once; never more than the detector allows.
        woken: is called from any thread when an answer came.
    """

    def __init__(self, detector: Detector, most: int, woken: Callable[[], None]) -> None:
        self.labels = detector.labels
        self.most = min(most, detector.concurrency) if detector.concurrency else most
        self._detector = detector
        self._woken = woken
        self._waiting: deque[Asked] = deque()
        self._pool = ThreadPoolExecutor(self.most, thread_name_prefix="detect")  # without threads until it is asked
        self._ask = asker(detector, self._pool)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the oldest must come back first."""
        return len(self._waiting) >= self.most

    def put(self, arrival: Arrival, *, ask: bool = True) -> None:
        """One more frame."""
        self._waiting.append(Asked(arrival, self._submit(arrival.frame) if ask else None))

    def ready(self) -> bool:
        """Whether the oldest is back."""
        return bool(self._waiting) and ((answer := self._waiting[0].answer) is None or answer.done())

    def take(self) -> Asked:
        """The oldest."""
        return self._waiting.popleft()

    def again(self, asked: Asked) -> None:
        """Asks about a frame once more, before the others."""
        self._waiting.appendleft(Asked(asked.arrival, self._submit(asked.arrival.frame)))

    def close(self) -> None:
        """Lets go of what is out."""
        while self._waiting:
            answer = self._waiting.popleft().answer
            if answer is not None:
                answer.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._detector.close()

    def _submit(self, frame: Frame) -> Future[Detections]:
        future = self._ask(frame)
        future.add_done_callback(lambda _: self._woken())
        return future
