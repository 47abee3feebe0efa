"""Sketches of durations, and tallies per model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.tallies import OTHERS, UNKNOWN, PerModel, Sketch
from tests.requests_made import ended

durations = st.lists(st.floats(1e-5, 1e3), min_size=1, max_size=200)


def sketch_of(values: list[float]) -> Sketch:
    """All values in one sketch."""
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@settings(deadline=None)
@given(durations, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_right_within_two_percent(values: list[float], share: float) -> None:
    """Against NumPy's quantile that picks the value of the same rank."""
    found = sketch_of(values).quantile(share)
    assert found == pytest.approx(np.quantile(values, share, method="lower"), rel=0.0201)


@settings(deadline=None)
@given(durations, durations)
def test_sketches_add_up(first: list[float], second: list[float]) -> None:
    """The sum of two sketches is the sketch of all values, which no average of percentiles is."""
    together, apart = sketch_of(first + second), sketch_of(first)
    apart.merge(sketch_of(second))
    assert (apart.packed(), apart.count) == (together.packed(), together.count)
    assert apart.sum == pytest.approx(together.sum)


@settings(deadline=None)
@given(durations, durations)
def test_a_packed_sketch_is_the_same_sketch(first: list[float], second: list[float]) -> None:
    """What the database keeps adds up like the sketches themselves, one after the other in one go."""
    parts = [sketch_of(first), sketch_of(second)]
    whole = Sketch()
    whole.merge_packed(b"".join(part.packed() for part in parts), sum(part.sum for part in parts))
    assert (whole.packed(), whole.count) == (sketch_of(first + second).packed(), len(first + second))
    assert whole.sum == pytest.approx(sum(first + second))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300])
def test_no_value_breaks_a_sketch(value: float) -> None:
    """What is no duration is counted and leaves mean and quantiles finite."""
    sketch = sketch_of([0.1, value])
    assert sketch.count == 2
    assert math.isfinite(sketch.mean or math.nan)
    assert math.isfinite(sketch.quantile(1.0) or math.nan)


def test_an_empty_sketch_knows_nothing() -> None:
    """No mean and no quantile is better than 0."""
    assert (Sketch().mean, Sketch().quantile(0.5)) == (None, None)


def test_names_that_clients_invent_are_one_model() -> None:
    """A client that asks for ever new models does not make the metrics grow."""
    tallies: PerModel[list[int]] = PerModel(list)
    for number in range(100):
        tallies.of(ended(model=f"guess-{number}", outcome="MODEL_001")).append(number)
    tallies.of(ended(model="people", version=f"1.0.{number}", outcome="MODEL_004")).append(number)
    assert [(model, version, len(tally)) for model, version, tally in tallies] == [(*UNKNOWN, 101)]


@pytest.mark.parametrize("model", ["", "peo\nple", "people\x00", "\ud800", "\x1b[31m"])
def test_names_that_cannot_be_printed_are_unknown(model: str) -> None:
    """PostgreSQL refuses some of these and Prometheus' text others."""
    tallies: PerModel[list[int]] = PerModel(list)
    tallies.of(ended(model=model))
    assert [key[:2] for key in tallies] == [UNKNOWN]


def test_models_beyond_the_limit_are_counted_together() -> None:
    """Memory stays bounded however many versions come and go."""
    tallies: PerModel[list[int]] = PerModel(list, limit=3)
    for number in range(10):
        tallies.of(ended(version=f"1.0.{number}")).append(number)
    counted = {(model, version): len(tally) for model, version, tally in tallies}
    assert counted == {("people", f"1.0.{n}"): 1 for n in range(3)} | {OTHERS: 7}
