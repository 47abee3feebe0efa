"""How a model does at the moment: a sliding window over its requests."""

from __future__ import annotations

import pytest

from camcount.monitoring.rates import Rates
from tests.requests_made import ended


class Clock:
    """Monotonic seconds, moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of its own for each test."""
    return Clock()


def test_performance_is_that_of_the_window(clock: Clock) -> None:
    """Latencies of answers, throughput of requests and of pictures, share of errors without clients that left."""
    rates = Rates(clock=clock)
    for second in range(20):
        clock.now = 1000.0 + second
        rates.record(ended(total_s=0.010 * (second + 1)))
    rates.record(ended(cached=True, computed=False, total_s=0.001))
    rates.record(ended(outcome="INF_004", total_s=5.0))
    rates.record(ended(outcome="cancelled", computed=False))
    clock.now = 1020.0
    found = rates.performance("people")
    assert found.requests == 23
    assert found.window_s == 20.0
    assert found.requests_per_s == pytest.approx(23 / 20)
    assert found.frames_per_s == pytest.approx(21 / 20)
    assert found.latency_avg_s == pytest.approx((2.1 + 0.001) / 21)
    assert found.latency_p95_s == pytest.approx(0.19, rel=0.03)
    assert found.error_share == pytest.approx(1 / 22)


def test_what_is_older_than_the_window_is_forgotten(clock: Clock) -> None:
    """A bad minute does not stay."""
    rates = Rates(clock=clock)
    rates.record(ended(outcome="MODEL_003"))
    clock.now += 30
    rates.record(ended())
    assert rates.performance("people").error_share == 0.5
    clock.now += 40
    assert (rates.performance("people").error_share, rates.performance("people").requests) == (0.0, 1)
    clock.now += 300
    idle = rates.performance("people")
    assert (idle.requests, idle.requests_per_s, idle.latency_avg_s, idle.latency_p95_s) == (0, 0.0, None, None)


def test_a_steady_load_is_seen_at_its_rate(clock: Clock) -> None:
    """At any moment, also where a slot has only begun: within one slot's rounding."""
    rates = Rates(clock=clock)
    seen = []
    for tick in range(2000):
        clock.now = 1000.0 + tick / 10
        rates.record(ended())
        if tick > 700:
            seen.append(rates.performance("people").requests_per_s)
    assert min(seen) == pytest.approx(10.0, rel=0.02)
    assert max(seen) == pytest.approx(10.0, rel=0.02)


def test_versions_are_told_apart_and_together(clock: Clock) -> None:
    """One version by its name, all without."""
    rates = Rates(clock=clock)
    rates.record(ended(version="1.0.0"))
    rates.record(ended(version="1.1.0"))
    clock.now += 1
    assert rates.performance("people", "1.1.0").requests == 1
    assert rates.performance("people").requests == 2
    assert rates.performance("dogs").requests == 0


def test_memory_stays_bounded(clock: Clock) -> None:
    """A day of requests leaves no more slots than the window has."""
    rates = Rates(slots=12, clock=clock)
    for _ in range(10_000):
        clock.now += 8.64
        rates.record(ended())
    [(_, _, slots)] = rates._models
    assert (len(slots), len(rates._used)) == (12, 12)


def test_the_process_share_of_the_processor_is_measured() -> None:
    """A loop that never waits uses one core's share or, on a busy machine, what it gets of it; idle uses none."""
    rates = Rates(window_s=1.2)
    for _ in range(30_000):
        rates.record(ended())
    resources = rates.performance("people").resources
    assert 0.01 < resources.cpu_share <= 1.0
    assert resources.memory_bytes > 10e6
    assert resources.gpu is None or resources.gpu.total_bytes > 0
