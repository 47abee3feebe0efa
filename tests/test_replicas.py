"""The replicas of one model: shared work, failures, replacements, balancing, scaling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import pytest

from camcount.errors import InvalidInput, ModelError, ServiceError
from camcount.protocols import Thresholds
from camcount.serving.options import Endpoint, ServingOptions
from camcount.serving.replicas import Makers, Replicas
from camcount.serving.worker import Worker
from tests.fake_models import Faults, FaultyDetector, frame, job

Make = Callable[..., Replicas]


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Told to the detectors of one test; lets go of whoever hangs at its end."""
    faults = Faults()
    yield faults
    faults.hold.set()


@pytest.fixture
def make(faults: Faults) -> Iterator[Make]:
    """Makes replicas, and closes them."""
    made: list[Replicas] = []

    def make(batch: int = 1, remote: tuple[tuple[Endpoint, Any], ...] = (), **options: Any) -> Replicas:
        makers = Makers(local=lambda: Worker(FaultyDetector(faults)), remote=remote)
        replicas = Replicas("fake:1.0.0", makers, ServingOptions(**options), batch=batch)
        made.append(replicas)
        return replicas

    yield make
    faults.hold.set()
    for replicas in made:
        replicas.close()


def _ask(replicas: Replicas, count: int, **options: Any) -> list[Any]:
    jobs = [job(index, submitted=time.monotonic(), **options) for index in range(count)]
    for one in jobs:
        replicas.submit(one)
    return [one.future.result(10) for one in jobs]


def _until(fact: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not fact() and time.monotonic() < until:
        time.sleep(0.01)
    return fact()


def test_all_replicas_share_the_work(make: Make) -> None:
    """One queue, whoever is free takes the next."""
    replicas = make(replicas=3)
    answers = _ask(replicas, 60)
    assert len(answers) == 60
    assert sum(state.answered for state in replicas.states()) == 60


def test_a_replica_that_raises_is_covered_by_the_others(make: Make, faults: Faults) -> None:
    """Every request is answered; the failing replica's breaker opens."""
    replicas = make(replicas=3, breaker_threshold=3)
    faults.raises.add(1)
    assert _until(lambda: bool(_ask(replicas, 3)) and any(state.breaker == "open" for state in replicas.states()))
    assert [state.failed for state in replicas.states() if state.breaker == "open"] == [3]


def test_a_breaker_closes_again_when_the_replica_works(make: Make, faults: Faults) -> None:
    """Left alone for the recovery time, tried once, and back."""
    replicas = make(replicas=2, breaker_threshold=2, breaker_recovery=0.3)
    faults.raises.add(0)
    assert _until(lambda: bool(_ask(replicas, 2)) and any(s.breaker == "open" for s in replicas.states()))
    faults.raises.clear()
    assert _until(lambda: bool(_ask(replicas, 2)) and all(s.breaker == "closed" for s in replicas.states()))


def test_a_replica_that_hangs_is_replaced_and_its_request_answered(make: Make, faults: Faults) -> None:
    """The client waits for the health time-out, not for ever."""
    replicas = make(replicas=2, health_timeout=0.3)
    faults.hangs.add(0)
    assert _until(lambda: len(_ask(replicas, 10)) == 10 and faults.made == 3)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_replica_whose_thread_ends_is_replaced_and_its_request_answered(make: Make, faults: Faults) -> None:
    """Killed in the middle of a request."""
    replicas = make(replicas=2)
    faults.dies.add(0)
    assert _until(lambda: len(_ask(replicas, 10)) == 10 and faults.made == 3)
    assert _until(lambda: all(state.healthy for state in replicas.states()))


def test_one_bad_answer_from_all_replicas_is_told(make: Make, faults: Faults) -> None:
    """After its attempts the request fails with the model's own error."""
    replicas = make(replicas=2, retry_attempts=2)
    faults.raises |= {0, 1}
    one = job(submitted=time.monotonic())
    replicas.submit(one)
    assert isinstance(one.future.exception(10), ModelError)
    assert one.attempts == 3


def test_where_no_replica_works_requests_are_refused_at_once(make: Make, faults: Faults) -> None:
    """Nobody waits for an open breaker."""
    replicas = make(replicas=1, breaker_threshold=1, retry_attempts=0)
    faults.raises.add(0)
    one = job(submitted=time.monotonic())
    replicas.submit(one)
    assert isinstance(one.future.exception(10), ModelError)
    assert _until(lambda: replicas.states()[0].breaker == "open")
    with pytest.raises(ServiceError, match="fail at the moment"):
        replicas.submit(job())


def test_a_picture_that_cannot_be_used_is_not_held_against_the_replica(make: Make) -> None:
    """The fault is the client's."""
    replicas = make(replicas=1, breaker_threshold=1)

    def no_picture(*_: Any) -> Any:
        raise InvalidInput("no picture")

    bad = job(submitted=time.monotonic())
    replicas._local()[0].worker.detector.detect = no_picture  # type: ignore[union-attr,method-assign]
    replicas.submit(bad)
    assert isinstance(bad.future.exception(10), InvalidInput)
    assert replicas.states()[0].breaker == "closed"


def test_pictures_that_wait_go_through_together_where_batching_is_on(make: Make, faults: Faults) -> None:
    """Up to the maximum, never beyond it."""
    replicas = make(replicas=1, batch=4, batch_size=4, max_batch_size=4, batch_timeout=0.05)
    answers = _ask(replicas, 12)
    assert max(faults.batches) == 4
    assert {answer.batch for answer in answers} <= {1, 2, 3, 4}


@pytest.mark.alone
def test_a_picture_waits_for_company_only_while_all_others_compute(make: Make, faults: Faults) -> None:
    """A GPU that is idle gains nothing from a fuller batch; one that is busy will take all that came meanwhile."""
    replicas = make(replicas=2, batch=4, batch_size=4, max_batch_size=4, batch_timeout=0.1)
    took = []
    for _ in range(5):
        begun = time.monotonic()
        _ask(replicas, 1)
        took.append(time.monotonic() - begun)
    assert median(took) < 0.09
    faults.hangs |= {0, 1}
    replicas.submit(job(100, submitted=time.monotonic()))
    assert _until(lambda: any(state.busy for state in replicas.states()))
    faults.hangs.clear()
    jobs = [job(index, submitted=time.monotonic()) for index in range(3)]
    for one in jobs:
        replicas.submit(one)
        time.sleep(0.01)
    assert {one.future.result(10).batch for one in jobs} == {3}


def test_requests_with_other_thresholds_are_not_put_together(make: Make, faults: Faults) -> None:
    """One pass of the model has one set of thresholds."""
    replicas = make(replicas=1, batch=8, batch_size=8, max_batch_size=8, batch_timeout=0.05)
    jobs = [
        job(index, submitted=time.monotonic(), thresholds=Thresholds(confidence=0.1 + 0.1 * (index % 2)))
        for index in range(8)
    ]
    for one in jobs:
        replicas.submit(one)
    for one in jobs:
        one.future.result(10)
    assert max(faults.batches) <= 4


def test_without_batching_nobody_waits_for_company(make: Make, faults: Faults) -> None:
    """The default on a processor."""
    _ask(make(replicas=2), 10)
    assert set(faults.batches) == {1}


def test_more_replicas_under_load_and_fewer_without(make: Make, faults: Faults) -> None:
    """Between the least and the most, by the queue."""
    faults.hangs |= set(range(20))
    replicas = make(replicas=1, max_replicas=2, health_timeout=30.0, scale_up_after=0.3)
    jobs = [job(index, submitted=time.monotonic()) for index in range(40)]
    for one in jobs:
        replicas.submit(one)
    assert _until(lambda: len(replicas.states()) == 2, 20)
    faults.hangs.clear()
    faults.hold.set()
    for one in jobs:
        one.future.result(10)


@pytest.mark.parametrize("balancing", ["round_robin", "weighted", "least_connections"])
def test_balanced_requests_reach_all_replicas(make: Make, balancing: str) -> None:
    """Each replica has a queue of its own."""
    replicas = make(replicas=3, balancing=balancing)
    for _ in range(10):
        _ask(replicas, 3)
    assert all(state.answered >= 5 for state in replicas.states())


def _elsewhere(faults: Faults) -> tuple[tuple[Endpoint, Any], ...]:
    endpoint = Endpoint(url="http://127.0.0.1:1/v2/models/fake", concurrency=1)
    return ((endpoint, lambda: Worker(FaultyDetector(faults))),)


def test_a_hybrid_model_is_served_here_as_long_as_that_is_enough(make: Make) -> None:
    """The remote endpoint stays idle."""
    other = Faults()
    replicas = make(replicas=2, balancing="hybrid", remote=_elsewhere(other))
    _ask(replicas, 5)
    assert not other.seen


def test_a_hybrid_model_goes_elsewhere_when_the_replicas_here_fail(make: Make, faults: Faults) -> None:
    """All breakers open: the remote endpoint takes over."""
    other = Faults()
    replicas = make(replicas=1, balancing="hybrid", breaker_threshold=1, retry_attempts=1, remote=_elsewhere(other))
    faults.raises.add(0)
    assert len(_ask(replicas, 4)) == 4
    assert len(other.seen) == 4


def test_closing_finishes_what_is_begun_and_refuses_the_rest(make: Make, faults: Faults) -> None:
    """Nobody is left waiting."""
    faults.hangs.add(0)
    replicas = make(replicas=1)
    first, second = job(1, submitted=time.monotonic()), job(2, submitted=time.monotonic())
    replicas.submit(first)
    assert faults.begun.acquire(timeout=5)
    replicas.submit(second)
    closing = threading.Thread(target=replicas.close)
    closing.start()
    assert isinstance(second.future.exception(5), ServiceError)
    faults.hold.set()
    assert first.future.result(5) is not None
    closing.join(10)
    assert faults.closed == [0]


def test_replicas_are_a_detector(make: Make) -> None:
    """The counting half could use them as they are."""
    found = make(replicas=2).detect([frame(0), frame(1), frame(2)])
    assert [one.label(0) for one in found] == ["person", "car", "person"]
