"""Keeps models in memory: loads what is asked for, shares it, and lets go of what was used longest ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import stamina

from camcount.errors import CamcountError, ModelLoadFailed, ResourceError, ServiceError, UsageError
from camcount.models.loading import TRANSIENT, Found, Lease, LoadingSettings, ModelStatus
from camcount.models.loading_state import Event, State, after
from camcount.models.memory import Footprint, Resident, give_back, make_room
from camcount.models.opening import resolve_detector as resolve_detector
from camcount.protocols import Detector

_T = TypeVar("_T")


class _Abandoned(Exception):
    """Nobody waits for this load any more."""


@dataclass(eq=False)
class _Copy:
    """One load of a model, from the request to the end; a reload makes a second one."""

    reference: str
    state: State = State.REGISTERED
    error: CamcountError | None = None
    taken: Footprint | None = None
    detector: Detector | None = None
    device: str = ""
    leases: int = 0
    waiting: int = 0
    last_used: float = 0.0
    short_of_room: bool = False
    abandoned: bool = False
    closing: bool = False


class Loader:
    """Models in memory, shared by all threads.

    Args:
        find: from a reference to a model that can be loaded.
        known: the references that there are from the start; others may be asked for at any time.
        watch: told of every change of state as it happens. It is called with the loader's lock held: it must be
            quick and must not call back.
        clock: seconds that only rise.

    A model whose load fails keeps the reason in its status; the next request tries again. What is loaded is served
    whether or not the place it came from still answers.
    """

    def __init__(
        self,
        find: Callable[[str], Found],
        settings: LoadingSettings | None = None,
        *,
        known: Iterable[str] = (),
        watch: Callable[[str, State], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or LoadingSettings()
        self._find = find
        self._watch = watch
        self._clock = clock
        self._changed = threading.Condition()
        self._current = {name: _Copy(name) for name in (*known, *self.settings.preload_models)}
        self._successors: dict[str, _Copy] = {}
        self._leaving: list[_Copy] = []

    def start(self) -> dict[str, CamcountError]:
        """Loads what the strategy wants loaded before the first request; gives what failed, by reference."""
        strategy = self.settings.loading_strategy
        names = {"lazy": (), "eager": tuple(self._current), "hybrid": self.settings.preload_models}[strategy]
        failed: dict[str, CamcountError] = {}
        for name in names:
            try:
                with self.lease(name):
                    pass
            except CamcountError as error:
                failed[name] = error
        return failed

    @contextmanager
    def lease(self, reference: str) -> Generator[Detector]:
        """The model, loaded if it is not, and kept in memory until the block ends.

        Raises:
            CamcountError: it cannot be loaded (the reason), does not load in time (INF_004), or there is no room for
                it beside the models in use (RES_001).
        """
        lease = self.acquire(reference)
        try:
            yield lease.detector
        finally:
            lease.release()

    def acquire(self, reference: str) -> Lease:
        """As `lease`, for whoever cannot hold a block open.

        Raises:
            CamcountError: as `lease`.
        """
        with self._changed:
            copy = self._current.setdefault(reference, _Copy(reference))
            if copy.state in (State.REGISTERED, State.ERROR, State.UNAVAILABLE):
                copy = self._current[reference] = _Copy(reference, copy.state)
                self._begin(copy)
            self._await(copy)
            return self._lent(copy)

    def acquire_ready(self, reference: str) -> Lease | None:
        """A lease of a model that is in memory now; never waits."""
        with self._changed:
            copy = self._current.get(reference)
            return self._lent(copy) if copy is not None and copy.state is State.READY else None

    def reload(self, reference: str) -> None:
        """Loads the model anew and lets go of the old one afterwards, so that requests are served all the time.

        Raises:
            CamcountError: the new one cannot be loaded; the old one stays.
        """
        with self._changed:
            old = self._current.setdefault(reference, _Copy(reference))
            if reference in self._successors:
                raise UsageError(f"{reference} is being reloaded already: wait until that is done")
            loaded = old.state is State.READY
            if loaded:
                self._replace(old)
        if not loaded:
            with self.lease(reference):
                return
        self._close_leaving()

    def unload(self, reference: str) -> None:
        """Takes the model out of memory as soon as nobody uses it any more; a load under way is given up."""
        with self._changed:
            copy = self._current.get(reference)
            if copy is None:
                return
            if copy.state in (State.LOADING, State.WARMING):
                self._abandon(copy, ServiceError(f"{reference} was unloaded while it was being loaded: ask again"))
            if copy.state is not State.REGISTERED:
                self._retire(copy)
        self._close_leaving()

    def unload_idle(self, idle_s: float) -> None:
        """Takes models out of memory that nobody has asked for in so many seconds."""
        with self._changed:
            before = self._clock() - idle_s
            for copy in list(self._current.values()):
                if not self._is_kept(copy) and copy.last_used < before:
                    self._retire(copy)
        self._close_leaving()

    def status(self) -> dict[str, ModelStatus]:
        """All models by reference."""
        with self._changed:
            return {name: self._status(copy) for name, copy in self._current.items()}

    def taken(self) -> list[Footprint]:
        """What each model in memory takes, those that are coming and going included."""
        with self._changed:
            return [copy.taken for copy in self._copies() if copy.taken is not None]

    def close(self) -> None:
        """Unloads everything: at once what nobody uses, the rest when its last user is done."""
        for reference in list(self._current):
            self.unload(reference)

    def _status(self, copy: _Copy) -> ModelStatus:
        successor = self._successors.get(copy.reference)
        return ModelStatus(
            reference=copy.reference,
            state=copy.state,
            reason=str(copy.error or ""),
            footprint=copy.taken or Footprint(),
            device=copy.device,
            in_use=copy.leases,
            successor=successor.state if successor else None,
        )

    def _copies(self) -> list[_Copy]:
        return [*self._current.values(), *self._successors.values(), *self._leaving]

    def _lent(self, copy: _Copy) -> Lease:
        assert copy.detector is not None
        copy.leases += 1
        copy.last_used = self._clock()
        return Lease(copy.detector, partial(self._release, copy))

    def _release(self, copy: _Copy) -> None:
        with self._changed:
            copy.leases -= 1
            copy.last_used = self._clock()
            self._changed.notify_all()
            leaving = bool(self._leaving)
        if leaving:
            self._close_leaving()

    def _replace(self, old: _Copy) -> None:
        successor = self._successors[old.reference] = _Copy(old.reference)
        try:
            self._begin(successor)
            self._await(successor)
            self._retire(old)
            self._current[old.reference] = successor
        finally:
            del self._successors[old.reference]

    def _await(self, copy: _Copy) -> None:
        """Waits, with the lock held, until the load has ended; raises what it ended with."""
        deadline = time.monotonic() + self.settings.loading_timeout
        copy.waiting += 1
        try:
            while copy.state in (State.LOADING, State.WARMING):
                left = deadline - time.monotonic()
                if left <= 0:
                    self._abandon(copy, self._too_late(copy))
                else:
                    self._changed.wait(left)
            if copy.detector is None and copy.error is not None:
                raise copy.error.with_traceback(None)
        finally:
            copy.waiting -= 1

    def _too_late(self, copy: _Copy) -> CamcountError:
        limit = f"{self.settings.loading_timeout:g} s"
        if copy.short_of_room:
            return ResourceError(
                f"no room for {copy.reference} within {limit}: the models in memory are all in use; "
                f"raise max_models_in_memory or the memory limit"
            )
        return ModelLoadFailed(
            f"{copy.reference} did not load within {limit}: raise loading_timeout or check its source"
        )

    def _abandon(self, copy: _Copy, error: CamcountError) -> None:
        copy.abandoned = True
        self._end(copy, error)

    def _end(self, copy: _Copy, error: CamcountError) -> None:
        copy.error = error.with_traceback(None)  # its frames would keep the model in memory
        copy.taken = None
        passing = isinstance(error, (*TRANSIENT, ResourceError))
        self._move(copy, Event.UNREACHABLE if passing else Event.FAILED)

    def _move(self, copy: _Copy, event: Event) -> None:
        copy.state = after(copy.state, event)
        if self._watch is not None:
            self._watch(copy.reference, copy.state)
        self._changed.notify_all()

    def _begin(self, copy: _Copy) -> None:
        self._move(copy, Event.LOAD)
        threading.Thread(target=self._load, args=(copy,), name=f"load {copy.reference}", daemon=True).start()

    def _load(self, copy: _Copy) -> None:
        opened: list[Detector] = []
        try:
            self._bring_up(copy, opened)
        except Exception as error:
            for detector in opened:
                detector.close()
            with self._changed:
                if not copy.abandoned:
                    self._end(copy, _told(copy.reference, error))

    def _bring_up(self, copy: _Copy, opened: list[Detector]) -> None:
        found = self._tried(lambda: self._find(copy.reference))
        while not self._reserve(copy, found.footprint):
            self._close_leaving()
        detector = self._tried(lambda: found.open(copy.device))
        opened.append(detector)
        self._advance(copy, Event.LOADED)
        found.warm_up(detector)
        with self._changed:
            self._advance(copy, Event.WARMED)
            copy.detector = detector
            copy.last_used = self._clock()

    def _tried(self, attempt: Callable[[], _T]) -> _T:
        retrying = stamina.RetryingCaller(
            attempts=self.settings.retry_attempts + 1,
            timeout=None,
            wait_initial=self.settings.retry_delay,
            wait_max=60 * self.settings.retry_delay,
            wait_jitter=0,
        )
        return retrying.on(TRANSIENT)(attempt)

    def _advance(self, copy: _Copy, event: Event) -> None:
        with self._changed:
            if copy.abandoned:
                raise _Abandoned
            self._move(copy, event)

    def _reserve(self, copy: _Copy, wanted: Footprint) -> bool:
        """Whether the copy has room now; if not, models that were in its way are leaving."""
        with self._changed:
            device = self._least_filled()
            self._require_possible(copy, wanted.on(device))
            while (going := self._in_the_way(wanted.on(device))) is None:
                copy.short_of_room = True
                self._changed.wait()
                if copy.abandoned:
                    break
                device = self._least_filled()
            if copy.abandoned:
                raise _Abandoned
            for other in going or ():
                self._retire(other)
            if going:
                return False
            copy.short_of_room = False
            copy.device = device
            copy.taken = wanted.on(device)
            return True

    def _require_possible(self, copy: _Copy, wanted: Footprint) -> None:
        together, beside = [wanted], ""
        if self._successors.get(copy.reference) is copy and (old := self._current[copy.reference].taken):
            together.append(old)
            beside = " beside the one it replaces, which stays"
        if not self.settings.limits.hold(together):
            raise ResourceError(
                f"{copy.reference} takes {wanted.bytes / 1e6:.0f} MB and cannot fit{beside}: "
                f"raise memory_limit, gpu_memory_limit or max_models_in_memory"
            )

    def _in_the_way(self, wanted: Footprint) -> list[_Copy] | None:
        copies = {str(number): copy for number, copy in enumerate(self._copies()) if copy.taken is not None}
        residents = [
            Resident(number, copy.taken or Footprint(), copy.last_used, in_use=self._is_kept(copy))
            for number, copy in copies.items()
        ]
        going = make_room(residents, wanted, self.settings.limits)
        return None if going is None else [copies[number] for number in going]

    def _is_kept(self, copy: _Copy) -> bool:
        return bool(
            copy.state is not State.READY or copy.leases or copy.waiting or copy.reference in self._successors
        )

    def _least_filled(self) -> str:
        def filled(device: str) -> tuple[int, int]:
            there = [copy.taken for copy in self._copies() if copy.taken is not None and copy.device == device]
            return sum(taken.gpu_bytes for taken in there), len(there)

        return min(self.settings.devices, key=filled)

    def _retire(self, copy: _Copy) -> None:
        """Puts a fresh copy in its place; what it holds is closed by `_close_leaving`."""
        self._move(copy, Event.UNLOAD)
        if self._current.get(copy.reference) is copy:
            self._current[copy.reference] = _Copy(copy.reference)
        if copy.detector is not None:
            self._leaving.append(copy)

    def _close_leaving(self) -> None:
        with self._changed:
            unused = [c for c in self._leaving if not (c.leases or c.waiting or c.closing)]
            for copy in unused:
                copy.closing = True
        for copy in unused:
            detector, copy.detector = copy.detector, None
            if detector is not None:
                with suppress(Exception):  # it is leaving either way, and its user is not who asked for that
                    detector.close()
            del detector
        if not unused:
            return
        give_back()
        with self._changed:
            for copy in unused:
                copy.taken = None
                self._leaving.remove(copy)
            self._changed.notify_all()


def _told(reference: str, error: Exception) -> CamcountError:
    if isinstance(error, CamcountError):
        return error
    kind = ServiceError if isinstance(error, OSError) else ModelLoadFailed
    return kind(f"{reference} cannot be loaded, {type(error).__name__}: {' '.join(str(error).split())[:200]}")
