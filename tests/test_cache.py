"""Answers that are kept: in memory, under which keys, in which bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.protocols import Thresholds
from camcount.serving.cache import CacheSettings, MemoryCache, cache_for
from camcount.serving.cache_keys import inference_key, model_prefix
from camcount.serving.cache_values import decode, encode

KEYS = [f"{model}:{number}" for model in ("cars", "cars2", "people") for number in range(4)]
SMALL = CacheSettings(url=None, max_results=5, max_bytes=5000, inference_s=10, results_s=30)


class LruMachine(RuleBasedStateMachine):
    """MemoryCache against a list: oldest use first, each entry with the moment at which it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.cache = MemoryCache(SMALL, lambda: self.now)
        self.model: list[tuple[tuple[str, str], bytes, float]] = []

    def _without(self, place: tuple[str, str]) -> list[tuple[tuple[str, str], bytes, float]]:
        return [entry for entry in self.model if entry[0] != place]

    @rule(kind=st.sampled_from(["inference", "results"]), key=st.sampled_from(KEYS), size=st.integers(0, 6000))
    def put(self, kind: str, key: str, size: int) -> None:
        """What is put is the most recent; what no longer fits beside it goes, oldest use first."""
        value = bytes(size)
        self.cache.put(kind, key, value)
        self.model = self._without((kind, key))
        if self._size(key, value) <= SMALL.max_bytes:
            self.model.append(((kind, key), value, self.now + SMALL.seconds(kind)))
        while len(self.model) > SMALL.max_results or self._bytes() > SMALL.max_bytes:
            self.model.pop(0)

    @rule(kind=st.sampled_from(["inference", "results"]), key=st.sampled_from(KEYS))
    def get(self, kind: str, key: str) -> None:
        """A hit is what was put, and is the most recent afterwards."""
        found = [entry for entry in self.model if entry[0] == (kind, key)]
        self.model = self._without((kind, key))
        alive = [entry for entry in found if entry[2] > self.now]
        self.model += alive
        assert self.cache.get(kind, key) == (alive[0][1] if alive else None)

    @rule(seconds=st.floats(0, 12))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule(prefix=st.sampled_from(["cars:", "cars", "people:", "people:1", "none:", ""]))
    def invalidate(self, prefix: str) -> None:
        """All keys that begin so go."""
        self.cache.invalidate(prefix)
        self.model = [entry for entry in self.model if not entry[0][1].startswith(prefix)]

    @invariant()
    def bounded(self) -> None:
        """It holds as much as the list does, and never more than allowed."""
        assert self.cache.entries == len(self.model) <= SMALL.max_results
        assert self.cache.held_bytes == self._bytes() <= SMALL.max_bytes

    def _size(self, key: str, value: bytes) -> int:
        alone = MemoryCache(SMALL)
        alone.put("inference", key, b"")
        return alone.held_bytes + len(value)

    def _bytes(self) -> int:
        return sum(self._size(key, value) for (_, key), value, _ in self.model)


TestLru = LruMachine.TestCase
TestLru.settings = settings(deadline=None, max_examples=50)


def test_a_value_ends_on_the_second() -> None:
    """What is kept for 10 s is there just before they are over, and not when they are."""
    now = [0.0]
    cache = MemoryCache(SMALL, lambda: now[0])
    cache.put("inference", "m:1", b"value")
    found = []
    for now[0] in (9.999, 10.0):
        found.append(cache.get("inference", "m:1"))
    assert found == [b"value", None]


def test_many_threads_share_one_memory_cache() -> None:
    """Four threads that put, get and invalidate at once see only whole values, and the bound holds."""
    cache = MemoryCache(CacheSettings(url=None, max_results=50))
    start = threading.Barrier(4)

    def work(seed: int) -> int:
        rng = np.random.default_rng(seed)
        start.wait()
        for _ in range(3000):
            key = f"model{rng.integers(3)}:{rng.integers(40)}"
            found = cache.get("inference", key)
            assert found in (None, key.encode())
            cache.put("inference", key, key.encode())
            if rng.random() < 0.02:
                cache.invalidate(key.partition(":")[0] + ":")
        return cache.entries

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, range(4))) <= 50
    cache.invalidate("model")
    assert (cache.entries, cache.held_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"inference_s": 0}, "inference_s is 0"),
        ({"max_results": -1}, "max_results is -1"),
        ({"timeout_s": float("nan")}, "timeout_s is nan"),
        ({"batch_s": float("inf")}, "batch_s is inf"),
        ({"url": "http://cache"}, "http://cache is not one of redis://"),
        ({"url": "localhost:6379"}, "is not one of redis://"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], says: str) -> None:
    """A number that is none, or an address that is none of Redis, is said at the start."""
    with pytest.raises(UsageError, match=says):
        CacheSettings(**wrong)


def test_a_password_is_never_shown() -> None:
    """Neither the settings' text nor the address nor a refusal has it."""
    kept = CacheSettings(url="rediss://camera:hidden@cache.example:6380/2?ssl_ca_certs=ca.pem&password=hidden")
    assert kept.address == "rediss://cache.example:6380/2"
    assert "hidden" not in repr(kept) + str(kept)
    with pytest.raises(UsageError) as refused:
        CacheSettings(url="mongodb://camera:hidden@cache.example/?password=hidden")
    assert "hidden" not in str(refused.value)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``CAMCOUNT_CACHE_URL`` where nothing is said; an empty one means memory."""
    monkeypatch.setenv("CAMCOUNT_CACHE_URL", "redis://cache.example")
    assert CacheSettings().url == "redis://cache.example"
    monkeypatch.setenv("CAMCOUNT_CACHE_URL", "")
    assert CacheSettings().url is None
    assert CacheSettings().address == "memory"


def test_caching_can_be_switched_off() -> None:
    """Then there is no cache; by default it is this process's memory."""
    assert cache_for(CacheSettings(enabled=False)) is None
    assert isinstance(cache_for(CacheSettings(url=None)), MemoryCache)


def test_kinds_are_kept_as_long_as_stated() -> None:
    """Results 5 minutes, metadata an hour, inference a minute, batches half an hour; no other kind."""
    cache = CacheSettings(url=None)
    kept = {"results": 300, "metadata": 3600, "inference": 60, "batch": 1800}
    assert {kind: cache.seconds(kind) for kind in kept} == kept
    for unknown in ("timeout", "check", "anything"):
        with pytest.raises(ValueError, match="not '"):
            cache.seconds(unknown)


def test_a_key_changes_with_all_that_the_answer_depends_on() -> None:
    """Model, version, set-up, each threshold and the picture: none may be left out, nor run into the next."""
    keys = [
        inference_key(model, version, config, thresholds, content)
        for model in ("cars", "cars:1", "cars%3A1")
        for version in ("1", "1:a", "")
        for config in ("a", "a:")
        for thresholds in (Thresholds(), Thresholds(0.5), Thresholds(None, 0.5), Thresholds(None, None, 5))
        for content in (b"one", b"two")
    ]
    assert len(set(keys)) == len(keys)


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_models_prefix_is_no_other_models(one: str, other: str, version: str) -> None:
    """Invalidating a model hits all of its versions and no model of another name, whatever they are called."""
    key = inference_key(one, version, "config", Thresholds(), b"picture")
    assert key.startswith(model_prefix(one))
    assert key.startswith(model_prefix(one, version))
    assert key.startswith(model_prefix(other)) == (one == other)


FINITE = st.floats(-1e6, 1e6, width=32)
ROWS = st.integers(0, 20).flatmap(
    lambda n: st.builds(
        Detections,
        arrays(np.float32, (n, 4), elements=FINITE),
        arrays(np.float32, (n,), elements=FINITE),
        arrays(np.int32, (n,)),
        st.lists(st.text(), max_size=5).map(tuple),
    )
)


@settings(deadline=None)
@given(ROWS)
def test_detections_come_back_bit_by_bit(detections: Detections) -> None:
    """Boxes, confidences, classes and labels are exactly those that were kept."""
    back = decode(encode(detections))
    assert back is not None
    for name in ("xyxy", "confidence", "class_id"):
        assert getattr(back, name).tobytes() == getattr(detections, name).tobytes()
        assert getattr(back, name).dtype == getattr(detections, name).dtype
    assert back.labels == detections.labels


@settings(deadline=None)
@given(ROWS, st.data())
def test_a_damaged_value_is_a_miss(detections: Detections, data: st.DataObject) -> None:
    """Any byte changed, anything cut off or added, and it is as if there were nothing."""
    whole = encode(detections)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    damages: list[Callable[[], bytes]] = [lambda: bytes(changed), lambda: whole[:at], lambda: whole + b"\0"]
    assert [decode(damage()) for damage in damages] == [None] * 3
    assert decode(b"") is None
