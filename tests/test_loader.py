"""Loading, sharing and letting go of models."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.detections import Detections
from camcount.errors import ModelError, ModelLoadFailed, ResourceError, ServiceError, UsageError
from camcount.frame import Frame
from camcount.models.loader import Loader
from camcount.models.loading import LoadingSettings
from camcount.models.loading_state import TRANSITIONS, Event, State, after
from camcount.models.memory import Footprint, Limits, Resident, make_room, parse_size, resident_bytes

MB = 1_000_000


@pytest.fixture(autouse=True, scope="module")
def _only_ours_is_collected() -> None:
    """Unloading collects garbage: quick among the objects of these tests, slow among all that others imported."""
    gc.collect()
    gc.freeze()


class Numbered:
    """A detector whose boxes tell which model made them; it refuses to answer once it is closed."""

    labels: tuple[str, ...] = ("object",)
    concurrency = 0

    def __init__(self, number: int, on_close: Callable[[], None] = lambda: None) -> None:
        self.number = number
        self.closed = False
        self.on_close = on_close

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        assert not self.closed, f"model {self.number} was closed while it was in use"
        box = np.array([[0, 0, self.number + 1, 1]])
        return [Detections(box, np.array([0.9]), np.array([0]), self.labels) for _ in frames]

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        self.on_close()


@dataclass
class Shelf:
    """Models by name, with what goes wrong with them; counts those that are open."""

    sizes: dict[str, int] = field(default_factory=dict)
    find_errors: dict[str, list[Exception]] = field(default_factory=dict)
    open_errors: dict[str, list[Exception]] = field(default_factory=dict)
    warm_errors: dict[str, list[Exception]] = field(default_factory=dict)
    hold: dict[str, threading.Event] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0
    detectors: list[Numbered] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, reference: str) -> OnShelf:
        _raise_next(self.find_errors, reference)
        return OnShelf(self, reference, Footprint(self.sizes.get(reference, MB)))


@dataclass
class OnShelf:
    """One model that the shelf has."""

    shelf: Shelf
    reference: str
    footprint: Footprint

    def open(self, device: str) -> Numbered:
        shelf = self.shelf
        if self.reference in shelf.hold:
            shelf.hold[self.reference].wait(20)
        _raise_next(shelf.open_errors, self.reference)
        with shelf.lock:
            shelf.opened.append(self.reference)
            shelf.open_now += 1
            shelf.most_open = max(shelf.most_open, shelf.open_now)
            detector = Numbered(ord(self.reference[0]) - ord("a"), self._closed)
            shelf.detectors.append(detector)
        return detector

    def warm_up(self, detector: object) -> None:
        _raise_next(self.shelf.warm_errors, self.reference)

    def _closed(self) -> None:
        with self.shelf.lock:
            self.shelf.open_now -= 1


def _raise_next(errors: dict[str, list[Exception]], reference: str) -> None:
    if errors.get(reference):
        raise errors[reference].pop(0)


def loader_of(shelf: Shelf, **settings: object) -> Loader:
    """A loader that waits 20 s at most and tries again at once."""
    return Loader(shelf, LoadingSettings(**{"loading_timeout": 20, "retry_delay": 0.01, **settings}))  # type: ignore[arg-type]


def states(loader: Loader) -> dict[str, State]:
    """Where each model stands."""
    return {name: status.state for name, status in loader.status().items()}


def use(loader: Loader, reference: str) -> None:
    """Asks for a model and is done with it."""
    with loader.lease(reference) as detector:
        detector.detect([])


@given(st.lists(st.sampled_from(list(Event)), max_size=12))
def test_no_event_leads_outside_the_table(events: list[Event]) -> None:
    """Whatever happens in whatever order, a model is in one of six states, and what cannot happen raises."""
    state = State.REGISTERED
    for event in events:
        if event in TRANSITIONS[state]:
            state = after(state, event)
            assert state in TRANSITIONS
        else:
            with pytest.raises(ValueError, match=f"{state} cannot take"):
                after(state, event)


def test_the_path_to_ready_goes_through_warming() -> None:
    """A model is ready only after it has been tried."""
    to_ready = [(state, event) for state in State for event, to in TRANSITIONS[state].items() if to is State.READY]
    assert to_ready == [(State.WARMING, Event.WARMED)]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=6),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(5, 20),
)
def test_room_is_made_by_age_and_never_from_those_in_use(
    loaded: list[tuple[int, bool]], wanted: int, models: int, size: int
) -> None:
    """What stays fits, nothing in use goes, and all that go are older than all idle ones that stay."""
    residents = [Resident(str(n), Footprint(b), float(n), used) for n, (b, used) in enumerate(loaded)]
    limits = Limits(models=models, bytes=size)
    going = make_room(residents, Footprint(wanted), limits)
    in_use = [r.footprint for r in residents if r.in_use]
    assert (going is None) == (not limits.hold([*in_use, Footprint(wanted)]))
    if going is None:
        return
    staying = [r for r in residents if r.name not in going]
    assert limits.hold([*(r.footprint for r in staying), Footprint(wanted)])
    assert not any(r.in_use for r in residents if r.name in going)
    ages = [r.last_used for r in residents if r.name in going]
    assert not ages or max(ages) < min((r.last_used for r in staying if not r.in_use), default=1e9)


@pytest.mark.parametrize(("text", "size"), [("512MB", 512 * MB), ("2GiB", 2**31), ("1000", 1000), (" 1.5 kb", 1500)])
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    """A memory limit may be written the way people write sizes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "lots", "5 parsecs", "0", "-1MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A limit that cannot be read is an error and not no limit."""
    with pytest.raises(UsageError, match="no size of memory"):
        parse_size(text)


def test_the_process_knows_how_large_it_is() -> None:
    """The resident size is told in bytes."""
    assert 10 * MB < resident_bytes() < 100_000 * MB


def test_every_state_is_seen_while_it_lasts() -> None:
    """A load shows loading, warming and ready, and an unload registered, in this order."""
    seen: list[State] = []
    loader = Loader(Shelf(), known=["a"], watch=lambda _, state: seen.append(state))
    assert states(loader) == {"a": State.REGISTERED}
    use(loader, "a")
    loader.unload("a")
    assert seen == [State.LOADING, State.WARMING, State.READY, State.REGISTERED]


def test_a_slow_load_is_visible_from_outside() -> None:
    """While one thread waits for a model, another sees that it is loading, and then that it is in use."""
    shelf = Shelf(hold={"a": threading.Event()})
    loader = loader_of(shelf)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(use, loader, "a")
        while not loader.status():
            time.sleep(0.001)
        assert states(loader) == {"a": State.LOADING}
        shelf.hold["a"].set()
        waiting.result(20)
    assert loader.status()["a"].footprint == Footprint(MB)


def test_many_threads_share_one_load() -> None:
    """Eight threads that ask for one model at the same moment load it once."""
    shelf = Shelf(hold={"a": threading.Event()})
    loader = loader_of(shelf)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(use, loader, "a") for _ in range(8)]
        time.sleep(0.05)
        shelf.hold["a"].set()
        for one in asked:
            one.result(20)
    assert shelf.opened == ["a"]


@pytest.mark.parametrize(
    ("strategy", "preload", "loaded"),
    [("lazy", (), ""), ("lazy", ("b",), ""), ("eager", (), "ac"), ("hybrid", ("b",), "b")],
)
def test_what_the_strategies_load_at_the_start(strategy: str, preload: tuple[str, ...], loaded: str) -> None:
    """Lazy loads nothing, eager everything that is known, hybrid the list."""
    shelf = Shelf()
    settings = LoadingSettings(loading_strategy=strategy, preload_models=preload)  # type: ignore[arg-type]
    loader = Loader(shelf, settings, known=["a", "c"])
    assert loader.start() == {}
    assert "".join(shelf.opened) == loaded
    use(loader, "c")
    assert "c" in shelf.opened


def test_a_start_goes_on_past_a_model_that_fails() -> None:
    """One broken model keeps nobody else from being loaded, and its reason is told."""
    shelf = Shelf(open_errors={"a": [ModelLoadFailed("a is corrupt: get it again")]})
    loader = Loader(shelf, LoadingSettings(loading_strategy="eager"), known=["a", "b"])
    assert {name: str(error) for name, error in loader.start().items()} == {"a": "a is corrupt: get it again"}
    assert states(loader) == {"a": State.ERROR, "b": State.READY}
    assert loader.status()["a"].reason == "a is corrupt: get it again"


def test_a_failed_load_is_tried_again_by_the_next_request() -> None:
    """An error is no life sentence, and it leaves nothing in memory."""
    shelf = Shelf(warm_errors={"a": [ModelError("it gives no numbers")]})
    loader = loader_of(shelf)
    with pytest.raises(ModelError, match="no numbers"):
        use(loader, "a")
    assert shelf.open_now == 0
    assert loader.taken() == []
    use(loader, "a")
    assert states(loader) == {"a": State.READY}


def test_what_may_pass_is_tried_again_with_longer_and_longer_waits() -> None:
    """Two failures of the place the model comes from cost two waits and no error."""
    shelf = Shelf(find_errors={"a": [ServiceError("down"), ConnectionError("reset")]})
    loader = loader_of(shelf, retry_attempts=2, retry_delay=0.05)
    started = time.monotonic()
    use(loader, "a")
    assert time.monotonic() - started >= 0.05 + 0.1


def test_what_does_not_pass_is_told_as_unavailable() -> None:
    """When all attempts fail the model is unavailable, with the reason, and not in error."""
    shelf = Shelf(find_errors={"a": [ServiceError("the registry is down")] * 3})
    loader = loader_of(shelf, retry_attempts=1)
    with pytest.raises(ServiceError, match="is down"):
        use(loader, "a")
    assert states(loader) == {"a": State.UNAVAILABLE}
    assert len(shelf.find_errors["a"]) == 1


def test_a_corrupt_model_is_not_tried_again() -> None:
    """Attempts are for what may pass; a broken file stays broken."""
    shelf = Shelf(open_errors={"a": [ModelLoadFailed("corrupt"), ModelLoadFailed("corrupt")]})
    loader = loader_of(shelf, retry_attempts=5)
    with pytest.raises(ModelLoadFailed):
        use(loader, "a")
    assert len(shelf.open_errors["a"]) == 1


def test_an_error_that_nobody_foresaw_is_one_line() -> None:
    """Whatever an engine raises comes out as MODEL_002 naming the model."""
    shelf = Shelf(open_errors={"a": [RuntimeError("two\nlines")]})
    with pytest.raises(ModelLoadFailed, match=r"^a cannot be loaded, RuntimeError: two lines$"):
        use(loader_of(shelf), "a")


def test_a_load_that_hangs_ends_in_time_and_its_late_result_is_closed() -> None:
    """The time-out says so with MODEL_002; what arrives later is let go and never served."""
    shelf = Shelf(hold={"a": threading.Event()})
    loader = loader_of(shelf, loading_timeout=0.1)
    with pytest.raises(ModelLoadFailed, match=r"did not load within 0\.1 s"):
        use(loader, "a")
    assert states(loader) == {"a": State.ERROR}
    shelf.hold.pop("a").set()
    deadline = time.monotonic() + 5
    while not (shelf.detectors and shelf.detectors[0].closed):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    use(loader, "a")
    assert not shelf.detectors[1].closed


def test_the_least_recently_used_model_goes() -> None:
    """With room for two of three, the one that nobody asked for longest makes room."""
    shelf = Shelf()
    loader = loader_of(shelf, max_models_in_memory=2)
    for name in "abac":
        use(loader, name)
    assert states(loader) == {"a": State.READY, "b": State.REGISTERED, "c": State.READY}
    assert shelf.detectors[1].closed


def test_a_model_in_use_is_never_evicted() -> None:
    """A third model waits until one of two is free, and then takes the place of that one."""
    loader = loader_of(Shelf(), max_models_in_memory=2)
    with ThreadPoolExecutor(1) as pool, loader.lease("a") as first:
        with loader.lease("b"):
            waiting = pool.submit(use, loader, "c")
            time.sleep(0.05)
            assert not waiting.done()
        waiting.result(20)
        first.detect([])
        assert states(loader) == {"a": State.READY, "b": State.REGISTERED, "c": State.READY}


def test_no_room_in_time_is_told_with_the_remedy() -> None:
    """When everything stays in use, RES_001 names the limits, and the model is not in error."""
    loader = loader_of(Shelf(), max_models_in_memory=1, loading_timeout=3)
    with loader.lease("a"), pytest.raises(ResourceError, match="all in use; raise max_models_in_memory"):
        use(loader, "b")
    assert states(loader)["b"] is State.UNAVAILABLE
    use(loader, "b")


def test_a_model_larger_than_the_limit_is_refused_at_once() -> None:
    """What can never fit does not push out what does."""
    shelf = Shelf(sizes={"b": 9 * MB})
    loader = loader_of(shelf, memory_limit=8 * MB)
    use(loader, "a")
    with pytest.raises(ResourceError, match="b takes 9 MB and cannot fit: raise memory_limit"):
        use(loader, "b")
    assert states(loader)["a"] is State.READY
    assert shelf.opened == ["a"]


def test_the_byte_limit_holds() -> None:
    """Models leave until the new one fits by size, not only by number."""
    shelf = Shelf(sizes={"a": 3 * MB, "b": 3 * MB, "c": 5 * MB})
    loader = loader_of(shelf, memory_limit=8 * MB)
    for name in "abc":
        use(loader, name)
    assert sum(taken.bytes for taken in loader.taken()) == 8 * MB
    assert states(loader) == {"a": State.REGISTERED, "b": State.READY, "c": State.READY}


def test_a_reload_serves_all_the_time() -> None:
    """While the new one loads the old one answers; a user of the old one keeps it until done."""
    shelf = Shelf()
    loader = loader_of(shelf)
    with loader.lease("a") as old:
        shelf.hold["a"] = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            reloading = pool.submit(loader.reload, "a")
            while loader.status()["a"].successor is None:
                time.sleep(0.001)
            assert states(loader) == {"a": State.READY}
            with loader.lease("a") as meanwhile:
                assert meanwhile is old
            with pytest.raises(UsageError, match="being reloaded already"):
                loader.reload("a")
            shelf.hold["a"].set()
            reloading.result(20)
        with loader.lease("a") as new:
            assert new is not old
        old.detect([])
        assert len(loader.taken()) == 2
    assert shelf.detectors[0].closed
    assert len(loader.taken()) == 1


def test_a_reload_that_fails_leaves_the_old_one_in_place() -> None:
    """A broken successor is told of and changes nothing."""
    shelf = Shelf()
    loader = loader_of(shelf)
    use(loader, "a")
    shelf.warm_errors["a"] = [ModelError("the new one is broken")]
    with pytest.raises(ModelError, match="new one is broken"):
        loader.reload("a")
    use(loader, "a")
    assert [detector.closed for detector in shelf.detectors] == [False, True]


def test_a_reload_never_breaks_the_limit() -> None:
    """Where old and new do not fit together the reload is refused at once and the old one stays."""
    loader = loader_of(Shelf(), max_models_in_memory=1)
    use(loader, "a")
    with pytest.raises(ResourceError, match="beside the one it replaces"):
        loader.reload("a")
    assert states(loader) == {"a": State.READY}


def test_a_reload_of_what_is_not_loaded_is_a_load() -> None:
    """Reloading never fails for want of an old one."""
    loader = loader_of(Shelf())
    loader.reload("a")
    assert states(loader) == {"a": State.READY}


def test_an_unload_waits_for_the_last_user() -> None:
    """What is in use stays in memory, and counts, until it is done."""
    shelf = Shelf()
    loader = loader_of(shelf)
    with loader.lease("a") as detector:
        loader.close()
        detector.detect([])
        assert len(loader.taken()) == 1
    assert shelf.open_now == 0
    assert loader.taken() == []


def test_an_unload_gives_up_a_load() -> None:
    """Whoever waits for a load that is given up is told so."""
    shelf = Shelf(hold={"a": threading.Event()})
    loader = loader_of(shelf)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(use, loader, "a")
        while not loader.status():
            time.sleep(0.001)
        loader.unload("a")
        with pytest.raises(ServiceError, match="unloaded while"):
            waiting.result(20)
    shelf.hold["a"].set()


def test_loaded_models_are_served_while_their_source_is_down() -> None:
    """A registry that stops answering takes nothing away from those who have their model."""
    shelf = Shelf()
    loader = loader_of(shelf, retry_attempts=0)
    use(loader, "a")
    shelf.find_errors = {name: [ServiceError("down")] for name in "ab"}
    use(loader, "a")
    with pytest.raises(ServiceError, match="down"):
        loader.reload("a")
    with pytest.raises(ServiceError, match="down"):
        use(loader, "b")
    use(loader, "a")


def test_devices_fill_evenly() -> None:
    """Each model goes where least is."""
    loader = loader_of(Shelf(), devices=("cuda:0", "cuda:1"))
    for name in "abcd":
        use(loader, name)
    assert [status.device for status in loader.status().values()] == ["cuda:0", "cuda:1"] * 2


def test_what_lies_on_a_gpu_counts_against_its_limit() -> None:
    """Though the package does not say that it will be put there."""
    loader = loader_of(Shelf(), devices=("cuda:0",), gpu_memory_limit=2 * MB)
    for name in "abc":
        use(loader, name)
    states = [status.state.value for status in loader.status().values()]
    assert states.count("ready") == 2


@pytest.mark.parametrize("limits", [{"max_models_in_memory": 2}, {"memory_limit": 2 * MB}])
def test_four_models_under_a_limit_of_two_asked_by_eight_threads(limits: dict[str, int]) -> None:
    """No wrong answer, no more than two in memory at any moment, and everybody is served."""
    shelf = Shelf()
    loader = loader_of(shelf, loading_timeout=30, **limits)

    def ask(seed: int) -> int:
        for name in random.Random(seed).choices("abcd", k=40):
            with loader.lease(name) as detector:
                (found,) = detector.detect([Frame(index=0, time_s=0, width=1, height=1)])
                time.sleep(0.0005)
                assert found.xyxy[0, 2] == ord(name) - ord("a") + 1
        return 40

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 320
    assert shelf.most_open == 2
    assert len(shelf.opened) > 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_models_in_memory", 0),
        ("memory_limit", -1),
        ("loading_timeout", 0),
        ("retry_attempts", -1),
        ("loading_strategy", "often"),
        ("devices", ()),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    """A wrong setting is named in the message."""
    with pytest.raises(UsageError, match=name):
        LoadingSettings(**{name: value})  # type: ignore[arg-type]
