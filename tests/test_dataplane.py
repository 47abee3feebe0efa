"""The request path: choosing, loading, caching, falling back, giving up, recording."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import camcount.serving.models
from camcount.errors import (
    InferenceTimeout,
    InvalidInput,
    ModelError,
    ModelNotFound,
    ModelVersionMismatch,
    Overloaded,
    ServiceError,
)
from camcount.models.loading import LoadingSettings
from camcount.models.references import Reference, registry_reference
from camcount.models.registered import RegisteredVersion, choose
from camcount.serving.cache import CacheSettings, MemoryCache
from camcount.serving.dataplane import DataPlane
from camcount.serving.fallback import StandIn
from camcount.serving.options import ServedModel, ServingOptions
from camcount.serving.requests import DetectionRequest, TensorRequest
from camcount.stats import RequestStats
from tests.fake_models import FakeFound, Faults, frame


@dataclass
class Records:
    """A recorder that remembers."""

    seen: list[RequestStats] = field(default_factory=list)

    def record(self, stats: RequestStats) -> None:
        """Keeps it."""
        self.seen.append(stats)

    def close(self) -> None:
        """Nothing."""

    def until(self, count: int) -> list[RequestStats]:
        """What was recorded, once it is so much."""
        until = time.monotonic() + 5
        while len(self.seen) < count and time.monotonic() < until:
            time.sleep(0.005)
        return self.seen


@dataclass
class Shelf:
    """A registry in memory with two versions of one model."""

    champion: str = "1.0.0"
    away: bool = False
    asked: int = 0

    def _all(self) -> list[RegisteredVersion]:
        self.asked += 1
        if self.away:
            raise ServiceError("the registry does not answer")
        return [
            RegisteredVersion(
                name="street",
                version=version,
                number=number,
                digest="",
                created=datetime.now(UTC),
                created_by="",
                run_id="",
                aliases=("champion",) if version == self.champion else (),
            )
            for number, version in enumerate(["1.0.0", "1.1.0"])
        ]

    def find(self, reference: str | Reference) -> RegisteredVersion:
        """The version that is meant."""
        wanted = registry_reference(str(reference))
        if wanted.name != "street":
            raise ModelNotFound(f"no model {wanted.name!r}")
        return choose(self._all(), wanted)

    def models(self) -> dict[str, list[RegisteredVersion]]:
        """Everything."""
        return {"street": self._all()}


@pytest.fixture
def faults() -> dict[str, Faults]:
    """What the models do, by what they are loaded from."""
    return {}


Make = Callable[..., DataPlane]


@pytest.fixture
def make(faults: dict[str, Faults], monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes data planes over fake models, and closes them."""
    made: list[DataPlane] = []

    def find(source: str, **_: Any) -> FakeFound:
        if source == "slow.onnx":
            time.sleep(0.3)
        if source == "broken.onnx":
            raise ModelError("broken.onnx is broken")
        return FakeFound(faults.setdefault(source, Faults()))

    monkeypatch.setattr(camcount.serving.models, "find_model", find)

    def make(
        models: dict[str, Any] | None = None, *, options: dict[str, Any] | None = None, **given: Any
    ) -> DataPlane:
        served = {name: ServedModel(**entry) for name, entry in (models or {}).items()}
        plane = DataPlane(served, options=ServingOptions(**{"replicas": 2, **(options or {})}), **given)
        made.append(plane)
        return plane

    yield make
    for each in faults.values():
        each.hold.set()
    for plane in made:
        plane.close(2)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _models(*names: str) -> dict[str, dict[str, str]]:
    for name in names:
        Path(f"{name}.onnx").touch()
    return {name: {"model": f"{name}.onnx"} for name in names}


def _request(model: str = "a", index: int = 0, **given: Any) -> DetectionRequest:
    return DetectionRequest(model=model, frame=frame(index), **given)


def test_an_answer_says_what_answered_and_why(make: Make) -> None:
    """Model, version, decision, stages and times travel with the detections."""
    answer = make(_models("a")).detect(_request())
    assert (answer.model, answer.version) == ("a", "0.0.0")
    assert answer.decision.variant == "a:0.0.0"
    assert answer.detections.label(0) == "person"
    assert 0 <= answer.queue_s <= answer.total_s


def test_every_request_is_recorded_once(make: Make) -> None:
    """However it ended."""
    records = Records()
    plane = make(_models("a"), recorders=[records])
    plane.detect(_request(request_id="r1"))
    with pytest.raises(ModelNotFound):
        plane.detect(_request("nobody"))
    seen = records.until(2)
    assert [(one.model, one.outcome) for one in seen] == [("a", "ok"), ("nobody", "MODEL_001")]
    assert seen[0].request_id == "r1"
    assert seen[0].confidences.tolist() == [0.5]


def test_without_a_threshold_the_servers_own_holds(make: Make) -> None:
    """A confidence of 0.5 is above the default, and below what the second request wants."""
    from camcount.protocols import Thresholds

    plane = make(_models("a"))
    assert len(plane.detect(_request()).detections) == 1
    assert len(plane.detect(_request(thresholds=Thresholds(confidence=0.6))).detections) == 0


@pytest.mark.alone
def test_a_model_is_loaded_by_its_first_request_while_others_are_served(make: Make) -> None:
    """Submitting never waits for a load."""
    plane = make({**_models("a"), **_models("slow")})
    plane.detect(_request())
    begun = time.monotonic()
    slow = [plane.submit(_request("slow")) for _ in range(20)]
    assert time.monotonic() - begun < 0.2
    plane.detect(_request())
    assert not any(future.done() for future in slow)
    assert all(future.result(5).model == "slow" for future in slow)


def test_a_model_that_cannot_be_loaded_says_why(make: Make) -> None:
    """The loader's own reason, to every request that waited for it."""
    plane = make(_models("broken"))
    futures = [plane.submit(_request("broken")) for _ in range(5)]
    assert all("is broken" in str(future.exception(5)) for future in futures)
    assert plane.model("broken").state == "error"


def test_too_many_requests_are_refused_at_once(make: Make, faults: dict[str, Faults]) -> None:
    """The queue is bounded."""
    plane = make(_models("a"), options={"replicas": 1, "queue": 4})
    plane.detect(_request())
    faults["a.onnx"].hangs.add(0)
    futures = [plane.submit(_request()) for _ in range(20)]
    refused = [future for future in futures if future.done()]
    assert len(refused) >= 14
    assert all(isinstance(future.exception(), Overloaded) for future in refused)
    assert plane.gauges()[0].refused == len(refused)


def test_a_client_that_goes_away_is_not_computed_for(make: Make, faults: dict[str, Faults]) -> None:
    """Cancelled while it was queued: counted, and the model never sees the picture."""
    records = Records()
    plane = make(_models("a"), options={"replicas": 1}, recorders=[records])
    plane.detect(_request())
    faults["a.onnx"].hangs.add(0)
    busy = plane.submit(_request(index=1))
    assert faults["a.onnx"].begun.acquire(timeout=5)

    async def leave() -> None:
        task = asyncio.create_task(plane.infer(_request(index=2)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leave())
    faults["a.onnx"].hold.set()
    busy.result(5)
    seen = records.until(3)
    assert [one.outcome for one in seen if not one.computed] == ["cancelled"]
    assert 2 not in faults["a.onnx"].seen
    assert plane.gauges()[0].cancelled_unrun == 1


def test_no_answer_before_the_deadline_is_a_time_out(make: Make, faults: dict[str, Faults]) -> None:
    """INF_004, about when it was due; the late answer is nobody's."""
    plane = make(_models("a"), options={"replicas": 1})
    plane.detect(_request())
    faults["a.onnx"].hangs.add(0)
    begun = time.monotonic()
    with pytest.raises(InferenceTimeout):
        asyncio.run(plane.infer(_request(deadline=begun + 0.2)))
    assert time.monotonic() - begun < 2


def test_the_same_picture_is_answered_from_the_cache_and_says_so(make: Make, faults: dict[str, Faults]) -> None:
    """Until the content, the thresholds or the model are others."""
    plane = make(_models("a"), cache=MemoryCache(CacheSettings()))
    first = plane.detect(_request(content=b"picture"))
    _until(lambda: plane.detect(_request(content=b"picture")).cached)
    again = plane.detect(_request(content=b"picture"))
    assert (first.cached, again.cached) == (False, True)
    np.testing.assert_array_equal(again.detections.xyxy, first.detections.xyxy)
    assert not plane.detect(_request(content=b"another picture")).cached


def test_a_reloaded_model_does_not_answer_from_the_old_ones_cache(make: Make) -> None:
    """Invalidated on model update."""
    plane = make(_models("a"), cache=MemoryCache(CacheSettings()))
    _until(lambda: plane.detect(_request(content=b"picture")).cached)
    plane.load("a", anew=True)
    assert [one.model for one in plane.gauges()] == ["a"]
    assert not plane.detect(_request(content=b"picture")).cached


def test_a_fallback_answers_for_a_model_that_fails_and_the_answer_says_so(
    make: Make, faults: dict[str, Faults]
) -> None:
    """In the configured order, visible in the answer and in the records."""
    models: dict[str, Any] = _models("a", "b", "broken")
    models["a"]["fallbacks"] = (StandIn(target="broken"), StandIn(target="b"))
    records = Records()
    plane = make(models, recorders=[records])
    faults["a.onnx"] = Faults(raises={0, 1})
    answer = plane.detect(_request())
    assert (answer.model, answer.fallback) == ("b", "a")
    assert "MODEL_003" in answer.decision.reason
    assert records.until(1)[0].fallback == "a"


def test_a_fallback_does_not_stand_in_for_the_clients_own_faults(make: Make, faults: dict[str, Faults]) -> None:
    """A bad picture is bad for all models."""
    models: dict[str, Any] = _models("a", "b")
    models["a"]["fallbacks"] = (StandIn(target="b"),)
    plane = make(models)

    def no_picture(width: int, height: int) -> Any:
        raise ValueError

    plane.detect(_request())
    bad = replace(frame(), render=no_picture)
    assert plane.detect(replace(_request(), frame=bad)).model == "a"  # the fake model never looks at the picture
    with pytest.raises(InvalidInput):
        asyncio.run(plane.run(TensorRequest(model="a", feeds={})))


def test_versions_and_aliases_mean_what_the_registry_says(make: Make) -> None:
    """A name alone is the champion."""
    plane = make(registry=Shelf, ask_registry=True)
    assert plane.detect(_request("street")).version == "1.0.0"
    assert plane.detect(_request("street:1.1.0")).version == "1.1.0"
    assert plane.detect(_request("street@champion")).version == "1.0.0"
    with pytest.raises(ModelNotFound):
        plane.detect(_request("street:9.0.0"))


def test_a_moved_alias_changes_what_answers_without_a_restart(make: Make) -> None:
    """Within the refresh time; no request fails meanwhile."""
    shelf = Shelf()
    plane = make(registry=lambda: shelf, ask_registry=True, options={"alias_refresh": 0.05})
    assert plane.detect(_request("street")).version == "1.0.0"
    shelf.champion = "1.1.0"
    _until(lambda: plane.detect(_request("street")).version == "1.1.0")


def test_what_is_known_is_served_while_the_registry_is_away(make: Make) -> None:
    """Only new names cannot be looked up."""
    shelf = Shelf()
    plane = make(registry=lambda: shelf, ask_registry=True, options={"alias_refresh": 0.05})
    plane.detect(_request("street"))
    shelf.away = True
    for _ in range(5):
        time.sleep(0.03)
        assert plane.detect(_request("street")).version == "1.0.0"
    with pytest.raises(ServiceError):
        plane.detect(_request("street:1.1.0"))


def test_a_path_or_an_address_is_no_model_of_a_clients(make: Make, tmp_path: Path) -> None:
    """A client could otherwise have any file of the server's loaded."""
    plane = make(_models("a"))
    for name in (str(tmp_path / "a.onnx"), "./a.onnx", "a.onnx", "http://127.0.0.1/v2/models/a", "motion/../a"):
        with pytest.raises((ModelNotFound, ModelVersionMismatch)):
            plane.detect(_request(name))


def test_ready_means_that_what_should_be_loaded_is(make: Make) -> None:
    """And no longer when the server stops."""
    plane = make(_models("a", "broken"))
    assert plane.ready()
    assert list(plane.start(["a", "broken"])) == ["broken"]
    assert not plane.ready()
    plane = make(_models("a"))
    plane.start(["a"])
    assert plane.ready()
    plane.close(0)
    assert not plane.ready()
    with pytest.raises(ServiceError):
        plane.detect(_request())


def test_models_make_room_for_each_other_under_a_limit(make: Make) -> None:
    """Four models, room for two, eight threads: every answer is right and no limit is broken."""
    plane = make(_models("a", "b", "c", "d"), loading=LoadingSettings(max_models_in_memory=2))
    wrong: list[str] = []

    def ask(seed: int) -> None:
        for turn in range(12):
            name = "abcd"[(seed + turn) % 4]
            answer = plane.detect(_request(name, index=turn))
            if answer.model != name or answer.detections.class_id[0] != turn % 2:
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert sum(info.state == "ready" for info in plane.models()) <= 2


def test_the_counting_half_gets_a_detector(make: Make) -> None:
    """Only the labels it wants, whatever numbers the model gives them."""
    detector = make(_models("a")).detector("a", labels=["car"])
    found = detector.detect([frame(0), frame(1), frame(2), frame(3)])
    assert [len(one) for one in found] == [0, 1, 0, 1]
    assert found[1].label(0) == "car"


def test_closing_answers_what_was_taken(make: Make) -> None:
    """A graceful stop drains."""
    plane = make(_models("a"))
    plane.detect(_request())
    futures = [plane.submit(_request(index=index)) for index in range(50)]
    plane.close(10)
    assert all(future.result(1).model == "a" for future in futures)


def _until(fact: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.01)


def test_a_configured_name_may_stand_for_a_registered_model(make: Make) -> None:
    """Clients ask for the server's own name; its version is the registry's."""
    plane = make({"gate": {"model": "street@champion"}}, registry=Shelf)
    assert plane.detect(_request("gate")).decision.variant == "gate:1.0.0"
    assert plane.detect(_request("gate:1.1.0")).version == "1.1.0"
    with pytest.raises(ModelNotFound):
        plane.detect(_request("street"))


def test_a_model_that_nobody_asks_for_leaves_memory(make: Make) -> None:
    """And is loaded again by the next request."""
    plane = make(_models("a"), idle_s=0.2)
    plane.detect(_request())
    _until(lambda: plane.model("a").state == "registered")
    assert plane.detect(_request()).model == "a"


def test_a_new_server_knows_what_the_last_one_heard_from_a_registry_that_is_away(make: Make) -> None:
    """Through a cache that outlives the server."""
    cache = MemoryCache(CacheSettings())
    make(registry=Shelf, ask_registry=True, cache=cache).detect(_request("street"))
    away = make(registry=lambda: Shelf(away=True), ask_registry=True, cache=cache)
    assert away.detect(_request("street")).version == "1.0.0"
    with pytest.raises(ServiceError):
        away.detect(_request("street:1.1.0"))


def test_a_server_becomes_ready_when_a_model_loads_after_all(make: Make, faults: dict[str, Faults]) -> None:
    """What failed at the start is not held against it for ever."""
    models = _models("broken")
    plane = make(models)
    plane.start(["broken"])
    assert not plane.ready()
    models["broken"]["model"] = "a.onnx"
    Path("a.onnx").touch()
    plane._targets.configured["broken"] = ServedModel(model="a.onnx")
    plane.detect(_request("broken"))
    assert plane.ready()
