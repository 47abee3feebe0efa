"""How models come into memory: what may be set, what can be loaded, and what is told of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from camcount.errors import ServiceError, UsageError
from camcount.models.loading_state import State
from camcount.models.memory import Footprint, Limits
from camcount.protocols import Detector

Strategy = Literal["lazy", "eager", "hybrid"]

TRANSIENT = (ServiceError, OSError)
"""What may be over at the next attempt; everything else is the model's own fault and is not tried again."""


class Found(Protocol):
    """A model that has been found and not loaded yet: what it will take, and how to load and to try it.

    ``open`` and ``warm_up`` are called once each, in this order, from a thread of the loader. They raise what
    keeps the model from being served; `TRANSIENT` errors of ``open`` are tried again.
    """

    @property
    def footprint(self) -> Footprint: ...
    def open(self, device: str) -> Detector: ...
    def warm_up(self, detector: Detector) -> None: ...


@dataclass(frozen=True, slots=True)
class Lease:
    """A model that stays in memory until ``release`` is called, once."""

    detector: Detector
    release: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingSettings:
    """How models come into memory.

    Attributes:
        loading_strategy: ``lazy`` loads at the first request, ``eager`` all known models at the start, ``hybrid``
            the ``preload_models`` at the start and the others at the first request.
        max_models_in_memory, memory_limit, gpu_memory_limit: the most that loaded models may take together, the
            latter two in bytes; ``None`` is no limit.
        loading_timeout: seconds for one load, waiting for room and all attempts included.
        retry_attempts: tries after the first one, when what went wrong may pass.
        retry_delay: seconds before the second try; twice as many before each further one.
        devices: what models are spread over, the least filled first.

    Raises:
        UsageError: a number is outside its range.
    """

    loading_strategy: Strategy = "lazy"
    preload_models: tuple[str, ...] = ()
    max_models_in_memory: int | None = None
    memory_limit: int | None = None
    gpu_memory_limit: int | None = None
    loading_timeout: float = 60.0
    retry_attempts: int = 2
    retry_delay: float = 1.0
    devices: tuple[str, ...] = ("cpu",)

    def __post_init__(self) -> None:
        for name in ("max_models_in_memory", "memory_limit", "gpu_memory_limit", "loading_timeout", "retry_delay"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} {value} must be above 0")
        if self.retry_attempts < 0:
            raise UsageError(f"retry_attempts {self.retry_attempts} must not be below 0")
        if self.loading_strategy not in ("lazy", "eager", "hybrid"):
            raise UsageError(f"loading_strategy {self.loading_strategy!r}: choose lazy, eager or hybrid")
        if not self.devices:
            raise UsageError("devices is empty: name at least one, such as cpu")

    @property
    def limits(self) -> Limits:
        """The three limits."""
        return Limits(models=self.max_models_in_memory, bytes=self.memory_limit, gpu_bytes=self.gpu_memory_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """One model as it stands now; ``successor`` is the state of the one that a reload is bringing up."""

    reference: str
    state: State
    reason: str
    footprint: Footprint
    device: str
    in_use: int
    successor: State | None = None
