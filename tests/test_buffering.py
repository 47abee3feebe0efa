"""Reading ahead in a thread, and thinning by time stamp."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camcount.errors import SourceError, UsageError
from camcount.frame import Frame, Image
from camcount.protocols import Source, SourceInfo
from camcount.video.buffering import AtRate, Policy, ReadAhead


def _unwanted(width: int, height: int) -> Image:
    raise AssertionError("nobody asked for this picture")


class Given:
    """A source of frames at given times; after them the end, an error, or a silence that only closing ends."""

    def __init__(
        self,
        times: Sequence[float] = (),
        *,
        live: bool = False,
        error: Exception | None = None,
        silent: bool = False,
        pace_s: float = 0.0,
    ) -> None:
        self.warnings: list[str] = []
        self.given = 0
        self.closed = threading.Event()
        self._times = times
        self._live = live
        self._error = error
        self._silent = silent
        self._pace_s = pace_s

    def open(self) -> SourceInfo:
        return SourceInfo(uri="given", width=4, height=2, fps=30.0, frames=len(self._times), live=self._live)

    def read(self) -> Frame | None:
        time.sleep(self._pace_s)
        if self.closed.is_set():
            return None
        if self.given == len(self._times):
            if self._error is not None:
                raise self._error
            if self._silent:
                self.closed.wait()
            return None
        frame = Frame(index=self.given, time_s=self._times[self.given], width=4, height=2, render=_unwanted)
        self.given += 1
        return frame

    def close(self) -> None:
        self.closed.set()


def times(source: Source) -> list[float]:
    return [frame.time_s for frame in iter(source.read, None)]


def until(true: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do."""
    deadline = time.monotonic() + 5.0
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def threads() -> int:
    return sum(thread.name == "read-ahead" for thread in threading.enumerate())


@pytest.mark.parametrize("policy", ["block", None])
def test_blocking_loses_nothing(policy: Policy | None) -> None:
    """A file, read ahead, gives every frame in order and then None for ever, and leaves no thread."""
    source = ReadAhead(Given(range(100)), capacity=3, policy=policy)
    source.open()
    assert source.policy == "block"
    assert times(source) == list(range(100))
    assert [source.read(), source.read()] == [None, None]
    assert source.dropped == 0
    source.close()
    assert threads() == 0


def test_blocking_reads_no_further_than_the_buffer() -> None:
    """With nobody reading, a file is decoded ahead by the capacity and one frame in hand."""
    inner = Given(range(100))
    source = ReadAhead(inner, capacity=5)
    source.open()
    until(lambda: inner.given == 6)
    time.sleep(0.05)
    assert inner.given == 6
    source.close()
    assert threads() == 0


def test_a_live_source_drops_the_oldest_and_counts_them() -> None:
    """Frames that waited too long make room for newer ones; what is given and what was dropped make up the whole."""
    inner = Given(range(50), live=True)
    source = ReadAhead(inner, capacity=4)
    source.open()
    assert source.policy == "drop-oldest"
    until(lambda: inner.given == 50 and source.dropped == 46)
    assert times(source) == [46, 47, 48, 49]
    assert source.dropped == 46
    source.close()


@pytest.mark.alone
def test_dropping_keeps_the_lag_of_a_slow_reader_bounded() -> None:
    """A reader at a fifth of the camera's rate sees frames no older than the buffer, also at the end."""
    inner = Given(range(400), live=True, pace_s=0.002)
    source = ReadAhead(inner, capacity=4)
    source.open()
    lags = []
    while (frame := source.read()) is not None:
        lags.append(inner.given - 1 - frame.index)
        time.sleep(0.01)
    source.close()
    assert sorted(lags)[len(lags) // 2] <= 5
    assert max(lags) < 100
    assert source.dropped > 100
    assert source.dropped + len(lags) == 400


def test_an_error_reaches_the_reader_after_the_frames_before_it() -> None:
    """What breaks in the thread is raised once to the reader, as it was; then comes the end."""
    source = ReadAhead(Given([0.0, 0.1], error=SourceError("the camera burns")))
    source.open()
    assert source.read() is not None
    assert source.read() is not None
    with pytest.raises(SourceError, match="the camera burns"):
        source.read()
    assert source.read() is None
    source.close()
    assert threads() == 0


def test_closing_releases_a_waiting_reader() -> None:
    """A reader that waits for a silent camera gets None when another thread closes, and no thread remains."""
    source = ReadAhead(Given(silent=True, live=True))
    source.open()
    got: list[Frame | None] = []
    reader = threading.Thread(target=lambda: got.append(source.read()))
    reader.start()
    time.sleep(0.02)
    assert got == []
    source.close()
    reader.join(1.0)
    assert got == [None]
    assert threads() == 0


def test_closing_frees_a_full_buffer() -> None:
    """A producer that waits for room ends when the source is closed; closing twice and reading after are fine."""
    inner = Given(range(100))
    source = ReadAhead(inner, capacity=1)
    source.open()
    until(lambda: inner.given == 2)
    source.close()
    source.close()
    assert threads() == 0
    assert inner.closed.is_set()
    assert source.read() is None


def test_warnings_pass_through_both() -> None:
    """A warning that the innermost source gives on the way is seen from outside."""
    inner = Given([0.0])
    source = ReadAhead(AtRate(inner, 5))
    inner.warnings.append("it is dark")
    assert source.warnings == ["it is dark"]


def test_a_buffer_that_holds_nothing_is_refused() -> None:
    """The capacity must be one frame at least."""
    with pytest.raises(ValueError, match="capacity"):
        ReadAhead(Given(), capacity=0)


@pytest.mark.parametrize(
    ("rate", "fps", "kept"),
    [
        pytest.param(30, 10, range(0, 60, 3), id="a third"),
        pytest.param(30, 20, [n for n in range(60) if n % 3 != 1], id="two of three"),
        pytest.param(30, 30, range(60), id="the same"),
        pytest.param(29.97, 30, range(60), id="a little more"),
        pytest.param(25, 100, range(60), id="more than there are"),
        pytest.param(30, 0.5, [0, 60 - 15, 60 + 45], id="one in two seconds"),
    ],
)
def test_thinning_is_even(rate: float, fps: float, kept: Sequence[int]) -> None:
    """The frames that pass are those that begin each slot of the wanted rate, at their own index."""
    source = AtRate(Given([n / rate for n in range(max(60, max(kept) + 1))]), fps)
    source.open()
    assert [frame.index for frame in iter(source.read, None)] == pytest.approx(list(kept), abs=0)


@settings(max_examples=25, deadline=None)
@given(st.floats(1, 25), st.lists(st.floats(-0.005, 0.005), min_size=300, max_size=300))
def test_thinning_does_not_drift(fps: float, jitter: list[float]) -> None:
    """Ten seconds at 30 frames per second with jitter give the wanted rate, and no gap of two frames too many.

    Frames that jitter are up to 43 ms apart: above 23 a second a slot may have none, and each that has one gives one.
    """
    stamps = [n / 30 + late for n, late in enumerate(jitter)]
    source = AtRate(Given(stamps), fps)
    passed = times(source)
    slots = {math.floor((stamp - stamps[0]) * fps + 0.25) for stamp in stamps}
    empty = max(slots) + 1 - len(slots)
    assert len(passed) == len(slots)
    assert 10 * fps - 1 - empty <= len(passed) <= 10 * fps + 2
    gaps = [after - before for before, after in pairwise(passed)]
    assert max(gaps) < 1 / fps + 2 / 30


def test_thinning_survives_a_gap() -> None:
    """After a pause the next frame passes, and no frames are let through to catch up."""
    source = AtRate(Given([0, 0.1, 0.2, 100, 100.1, 100.2, 100.3, 100.4, 100.5]), 2)
    assert times(source) == [0, 100, 100.4]


def test_thinning_tells_its_rate() -> None:
    """The lower of both rates is announced; a rate that is none is refused."""
    assert AtRate(Given(), 10).open().fps == 10
    assert AtRate(Given(), 50).open().fps == 30
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="above 0"):
            AtRate(Given(), fps)
