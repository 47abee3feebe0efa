"""What is told to recorders, and when."""

from __future__ import annotations

import threading
import time

import pytest

from camcount.serving.recording import Recording
from camcount.stats import RequestStats


class Notes:
    """Keeps what it is told; fails where it should."""

    def __init__(self, fails_at: str = "") -> None:
        self.seen: list[str] = []
        self.fails_at = fails_at

    def record(self, stats: RequestStats) -> None:
        """Keeps the request's id."""
        if stats.request_id == self.fails_at:
            raise RuntimeError("no room")
        self.seen.append(stats.request_id)

    def close(self) -> None:
        """Nothing to do."""


def _stats(name: str) -> RequestStats:
    return RequestStats(model="a", request_id=name)


def test_everything_is_told_to_everybody_in_order() -> None:
    """By itself, soon."""
    one, other = Notes(), Notes()
    recording = Recording([one, other])
    for number in range(100):
        recording.add(_stats(str(number)))
    until = time.monotonic() + 5
    while len(other.seen) < 100 and time.monotonic() < until:
        time.sleep(0.01)
    assert one.seen == other.seen == [str(number) for number in range(100)]
    recording.close()


def test_who_catches_up_finds_everything_told() -> None:
    """Whoever shows a count asks for that first."""
    notes = Notes()
    recording = Recording([notes])
    recording.add(_stats("x"))
    recording.catch_up()
    assert notes.seen == ["x"]
    recording.close()


def test_nothing_is_lost_at_the_end_and_after_it() -> None:
    """A replica may answer a last request while the server stops."""
    notes = Notes()
    recording = Recording([notes])
    recording.add(_stats("x"))
    recording.close()
    recording.add(_stats("late"))
    assert notes.seen == ["x", "late"]


def test_of_many_threads_each_request_is_told_once() -> None:
    """Some of them catching up meanwhile."""
    notes = Notes()
    recording = Recording([notes])

    def work(name: str) -> None:
        for number in range(200):
            recording.add(_stats(f"{name}{number}"))
            if number % 50 == 0:
                recording.catch_up()

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recording.close()
    assert sorted(notes.seen) == sorted(f"{name}{number}" for name in "abcd" for number in range(200))


def test_a_recorder_that_fails_is_named_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Nor itself for the next request."""
    broken, notes = Notes(fails_at="x"), Notes()
    recording = Recording([broken, notes])
    for name in "xy":
        recording.add(_stats(name))
    recording.close()
    assert (broken.seen, notes.seen) == (["y"], ["x", "y"])
    assert "Notes failed" in caplog.text


def test_without_recorders_there_is_nothing_to_tell() -> None:
    """And no thread for it."""
    before = threading.active_count()
    recording = Recording([])
    assert not recording
    assert threading.active_count() == before
    recording.close()
