"""THE REQUEST PATH: choose -> cache -> admit -> queue -> replica -> validate -> answer -> record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from camcount.errors import CamcountError, InferenceTimeout, Overloaded, ServiceError
from camcount.models.loader import Loader
from camcount.models.loading import Lease, LoadingSettings
from camcount.models.loading_state import State
from camcount.protocols import Recorder, ResultCache, Thresholds
from camcount.serving.cache_keys import inference_key, model_prefix
from camcount.serving.cache_values import decode, encode
from camcount.serving.calls import Call, awaited, settle
from camcount.serving.jobs import Done, Job
from camcount.serving.models import Models
from camcount.serving.options import ServedModel, ServingOptions
from camcount.serving.plane_detector import PlaneDetector
from camcount.serving.recording import Recording
from camcount.serving.replica import told
from camcount.serving.replicas import Replicas
from camcount.serving.requests import Answer, DetectionRequest, ModelInfo, Priority, TensorAnswer, TensorRequest
from camcount.serving.targets import Target, Targets, Versions, open_registry
from camcount.stats import ModelGauges

_SLOW_THREADS = 4
_GRACE_S = 0.25
"""A request that is just being answered at its deadline is waited for a little longer."""


class DataPlane:
    """Answers detection requests, whoever asks: doors, cameras, batch jobs. It knows no protocol.

    Args:
        configured: models under names of the server's own.
        registry: makes the registry, when it is first needed.
        ask_registry: whether requests may name registered models that are not configured.
        options: queues, replicas, retries.
        loading: how many models stay in memory.
        recorders: told of every request that has ended, a tenth of a second later at most.
        cache: keeps answers; ``None``: nothing is kept.
        fingerprint: changes with the configuration, so that answers of another one are not taken from the cache.
        idle_s: seconds after which a model that nobody has asked for is taken out of memory.
        opening: for `camcount.models.opening.find_model`, such as ``trust``.
    """

    def __init__(
        self,
        configured: Mapping[str, ServedModel] | None = None,
        *,
        registry: Callable[[], Versions] = open_registry,
        ask_registry: bool = False,
        options: ServingOptions | None = None,
        loading: LoadingSettings | None = None,
        recorders: Sequence[Recorder] = (),
        cache: ResultCache | None = None,
        fingerprint: str = "",
        idle_s: float = 86_400.0,
        opening: Mapping[str, Any] | None = None,
    ) -> None:
        self.options = options or ServingOptions()
        self._recording = Recording(recorders)
        self._cache = cache
        self._fingerprint = fingerprint
        self._slow = ThreadPoolExecutor(_SLOW_THREADS, thread_name_prefix="load")
        self._targets = Targets(
            configured or {},
            registry,
            self._slow,
            ask_registry=ask_registry,
            refresh_s=self.options.alias_refresh,
            remembered=cache,
            moved=self._moved,
        )
        self._models = Models(self._targets, self.options, opening or {})
        self._loader = Loader(self._models.find, loading, known=(), watch=self._models.changed)
        self._coming: dict[str, list[Call]] = {}
        self._lock = threading.Lock()
        self._open = 0
        self._closed = False
        self._started: dict[str, CamcountError | None] = {}
        self._stopping = threading.Event()
        self._idle_s = idle_s
        threading.Thread(target=self._tidy, name="tidy models", daemon=True).start()

    def submit(self, request: DetectionRequest | TensorRequest) -> Future[Any]:
        """The answer, in the future; this never waits.

        Cancelling the future drops the work if it has not begun. What can go wrong is the future's exception: see
        `infer`.
        """
        call = self._call(request)
        if self._closed:
            settle(call.future, ServiceError("the server is stopping: ask another one, or again in a moment"))
            return call.future
        with self._lock:
            self._open += 1
        target = self._targets.known(request.model)
        if target is None:
            self._slow.submit(self._look_up, call, request.model)
        else:
            self._route(call, target)
        return call.future

    def detect(self, request: DetectionRequest) -> Answer:
        """The answer, waited for.

        Raises:
            CamcountError: as `infer`.
        """
        future = self.submit(request)
        try:
            answer: Answer = future.result(self._left(request))
        except TimeoutError:
            future.cancel()
            raise self._unanswered(request) from None
        return answer

    async def infer(self, request: DetectionRequest) -> Answer:
        """The answer, for asyncio; cancelling the task drops the work if it has not begun.

        Raises:
            ModelError: there is no such model, it cannot be loaded, or it fails on all replicas.
            InferenceError: the picture cannot be used, or the deadline has passed.
            Overloaded: too many requests wait already.
            ServiceError, ResourceError: no replica works, or there is no room.
        """
        answer: Answer = await self._awaited(request)
        return answer

    async def run(self, request: TensorRequest) -> TensorAnswer:
        """The engine's outputs for bare tensors.

        Raises:
            InvalidInput: the arrays are not what the model takes.
            CamcountError: as `infer`.
        """
        answer: TensorAnswer = await self._awaited(request)
        return answer

    def detector(
        self,
        reference: str,
        *,
        labels: Sequence[str] | None = None,
        confidence: float | None = None,
        door: str = "camera",
    ) -> PlaneDetector:
        """A model as the counting half wants it: with its weak detections too, unless a confidence is given.

        Raises:
            CamcountError: it cannot be loaded, or has no such label.
        """
        info = self.load(reference)
        return PlaneDetector(
            self.submit, reference, info.labels, labels=labels, thresholds=Thresholds(confidence), door=door
        )

    def start(self, references: Sequence[str] = ()) -> dict[str, CamcountError]:
        """Loads models before requests come; gives what failed, by reference."""
        for reference in references:
            self._started[reference] = ServiceError(f"{reference} is being loaded")
        for reference in references:
            try:
                self.load(reference)
                self._started[reference] = None
            except CamcountError as error:
                self._started[reference] = error
        return {name: error for name, error in self._started.items() if error is not None}

    def ready(self) -> bool:
        """Whether everything that should be loaded at the start is, or was since, and requests are taken."""
        late = [name for name, error in self._started.items() if error is not None]
        return not self._closed and all(self._is_in_memory(name) for name in late)

    def models(self) -> list[ModelInfo]:
        """All models that can be asked for."""
        return self._models.all(self._loader.status())

    def model(self, reference: str) -> ModelInfo:
        """One model.

        Raises:
            ModelNotFound, ModelVersionMismatch: there is none.
        """
        target = self._targets.known(reference) or self._targets.find(reference)
        return self._models.info(target, self._loader.status())

    def load(self, reference: str, *, anew: bool = False) -> ModelInfo:
        """Brings a model into memory; ``anew`` loads it again before it lets go of the old one.

        Raises:
            CamcountError: it cannot be loaded.
        """
        if anew:
            self._targets.forget()
        target = self._targets.find(reference)
        if anew:
            self._loader.reload(target.key)
            if self._cache is not None:
                self._cache.invalidate(model_prefix(target.name, target.version))
        else:
            self._loader.acquire(target.key).release()
        return self.model(reference)

    def unload(self, reference: str) -> None:
        """Takes a model out of memory as soon as nobody uses it.

        Raises:
            ModelNotFound: there is none.
        """
        self._loader.unload(self._targets.find(reference).key)

    def gauges(self) -> list[ModelGauges]:
        """The loaded models as they stand, when the recorders know of all that has ended."""
        self._recording.catch_up()
        return self._models.gauges(self._loader.status())

    def close(self, drain_s: float = 10.0) -> None:
        """Takes no more requests, finishes those there are for so many seconds, and lets go of all models."""
        self._closed = True
        self._stopping.set()
        until = time.monotonic() + drain_s
        while self._open and time.monotonic() < until:
            time.sleep(0.01)
        self._loader.close()
        self._slow.shutdown(wait=False, cancel_futures=True)
        self._recording.close()

    # ------------------------------------------------------------------------------------ one request, step by step

    def _call(self, request: DetectionRequest | TensorRequest) -> Call:
        now = time.monotonic()
        if isinstance(request, DetectionRequest) and request.thresholds.confidence is None and not request.weak:
            asked = request.thresholds
            request = replace(request, thresholds=replace(asked, confidence=self.options.confidence))
        deadline = request.deadline if request.deadline is not None else now + self.options.request_timeout
        return Call(request=request, future=Future(), asked=request.model, begun=now, deadline=deadline)

    def _look_up(self, call: Call, reference: str) -> None:
        try:
            target = self._targets.find(reference)
        except Exception as error:  # a client waits: whatever it is, it must get an answer
            self._fail(call, told(error))
        else:
            self._route(call, target)

    def _route(self, call: Call, target: Target) -> None:
        """What to ask is known: first the cache, then the model."""
        call.target = target
        request, cache = call.request, self._cache
        if cache is None or not isinstance(request, DetectionRequest) or request.content is None:
            self._admit(call)
            return
        call.key = inference_key(target.name, target.version, self._fingerprint, request.thresholds, request.content)
        if cache.local:
            self._ask_cache(call, cache)
        else:
            self._slow.submit(self._ask_cache, call, cache)

    def _ask_cache(self, call: Call, cache: ResultCache) -> None:
        value = cache.get(_kind(call), call.key)
        found = decode(value) if value is not None else None
        if found is None:
            self._admit(call)
            return
        answer = call.cached(found)
        settle(call.future, answer)
        self._close_call(call, answer, "ok")

    def _admit(self, call: Call) -> None:
        """To the model's replicas, once it is in memory."""
        key = call.chosen.key
        lease = self._loader.acquire_ready(key)
        if lease is not None:
            self._enqueue(call, lease)
            return
        with self._lock:
            waiting = self._coming.setdefault(key, [])
            waiting.append(call)
            first, too_many = len(waiting) == 1, len(waiting) > self.options.queue
            if too_many:
                waiting.remove(call)
        if too_many:
            self._fail(call, Overloaded(f"{len(waiting)} requests wait until {key} is loaded: try again later"))
        elif first:
            self._slow.submit(self._bring, call.chosen)

    def _bring(self, target: Target) -> None:
        """Loads a model, then lets those in who wait for it."""
        try:
            outcome: Lease | CamcountError = self._loader.acquire(target.key)
        except Exception as error:  # clients wait: whatever it is, they must get an answer
            outcome = told(error)
        with self._lock:
            waiting = self._coming.pop(target.key, [])
        for call in waiting:
            if isinstance(outcome, CamcountError):
                self._fail(call, outcome)
            elif (lease := self._loader.acquire_ready(target.key)) is not None:
                self._enqueue(call, lease)
            else:
                self._fail(call, ServiceError(f"{target.key} was taken out of memory again: ask again"))
        if isinstance(outcome, Lease):
            outcome.release()

    def _enqueue(self, call: Call, lease: Lease) -> None:
        call.release = lease.release
        replicas = lease.detector
        assert isinstance(replicas, Replicas)
        job = Job(
            request=call.request,
            future=call.future,
            deadline=call.deadline,
            submitted=time.monotonic(),
            begun=call.future.running(),
            finish=lambda job, outcome: self._ended(call, replicas, job, outcome),
        )
        try:
            replicas.submit(job)
        except CamcountError as error:
            self._fail(call, error)

    def _ended(self, call: Call, replicas: Replicas, job: Job, outcome: Done | CamcountError | None) -> None:
        """A replica is done with it, one way or another."""
        call.attempts += job.attempts
        if outcome is None:
            self._close_call(call, None, "cancelled", computed=False)
            return
        late = call.too_late()
        if isinstance(outcome, CamcountError) or late is not None:
            self._fail(call, late or outcome)  # type: ignore[arg-type] # one of them is an error
            return
        answer = call.answer(outcome)
        settle(call.future, answer)
        # what a model that is being replaced still answers must not be found after its replacement
        if self._cache is not None and call.key and isinstance(answer, Answer) and self._models.has(call, replicas):
            self._cache.put(_kind(call), call.key, encode(answer.detections))
        self._close_call(call, answer, "ok")

    def _fail(self, call: Call, error: CamcountError) -> None:
        """Something else answers, if the configuration says so; the client gets the error if not."""
        call.give_back()
        following = self._models.fallback(call, error)
        if following.stand_in is not None and not call.future.cancelled():
            call.fallback = following.reason
            call.tried.append(following.stand_in.target)
            self._slow.submit(self._look_up, call, following.stand_in.target)
            return
        settle(call.future, error)
        self._close_call(call, None, "cancelled" if call.future.cancelled() else error.code)

    def _close_call(self, call: Call, answer: Any, outcome: str, *, computed: bool = True) -> None:
        call.give_back()
        with self._lock:
            self._open -= 1
        if self._recording:
            self._recording.add(call.stats(answer, outcome, computed=computed))

    # ---------------------------------------------------------------------------------------------------- the rest

    async def _awaited(self, request: DetectionRequest | TensorRequest) -> Any:
        try:
            return await awaited(self.submit(request), self._left(request))
        except TimeoutError:
            raise self._unanswered(request) from None

    def _left(self, request: DetectionRequest | TensorRequest) -> float:
        if request.deadline is None:
            return self.options.request_timeout + _GRACE_S
        return max(0.0, request.deadline - time.monotonic()) + _GRACE_S

    def _unanswered(self, request: DetectionRequest | TensorRequest) -> InferenceTimeout:
        return InferenceTimeout(f"{request.model} gave no answer before the deadline: allow more time")

    def _is_in_memory(self, reference: str) -> bool:
        target = self._targets.known(reference)
        status = self._loader.status().get(target.key) if target else None
        return status is not None and status.state is State.READY

    def _tidy(self) -> None:
        while not self._stopping.wait(min(60.0, self._idle_s / 4)):
            self._loader.unload_idle(self._idle_s)

    def _moved(self, target: Target) -> None:
        """An alias has moved: the new version is loaded before it is used, the old one goes when it is in the way."""
        with suppress(CamcountError):
            if State.READY in {status.state for status in self._loader.status().values()}:
                self._loader.acquire(target.key).release()


def _kind(call: Call) -> str:
    """What the cache calls the answer, and so for how long it is kept."""
    return "batch" if call.request.priority is Priority.BATCH else "inference"
