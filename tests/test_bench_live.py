"""What `bench/live.py` makes of the moments at which a camera counted something."""

from __future__ import annotations

import numpy as np
import pytest
from bench.live_loops import Offline, played

LOOP = np.array([1.0, 1.4, 3.0, 7.5])
OFFLINE = Offline(10.0, tuple(float(at) for at in (LOOP + 10 * np.arange(20)[:, None]).ravel()))


def test_loops_are_told_apart_in_their_longest_pause() -> None:
    """Wherever in the loop it is."""
    assert OFFLINE.quiet_s == pytest.approx(5.25)
    assert Offline(10.0, (4.0, 5.0, 14.0, 15.0)).quiet_s == pytest.approx(9.5)
    assert Offline(10.0, ()).quiet_s == 0.0


def test_a_camera_that_counts_what_is_there_agrees_loop_by_loop() -> None:
    """Though it is not known to the second when its video began, and moments are a little off."""
    noise = np.random.default_rng(1)
    seen = np.array(OFFLINE.crossings_s)[:40] + noise.normal(0, 0.03, 40)
    part = played(OFFLINE, (seen + 1000.7).tolist(), 1000.0, 1100.0)
    assert part.counts == part.offline == (4,) * 9
    assert part.alike == 1.0
    assert abs(part.drift_s) < 0.1


def test_what_is_missed_or_dated_later_and_later_shows() -> None:
    """One crossing of the fourth loop is not there, and the clock runs away by 0.3 s."""
    times = np.delete(np.array(OFFLINE.crossings_s), 15)
    part = played(OFFLINE, (times + np.linspace(0, 0.3, 79)).tolist(), 0.5, 200.0)
    assert part.offline[:6] == (4,) * 6
    assert part.counts[:6] == (4, 4, 4, 3, 4, 4)
    assert part.drift_s == pytest.approx(0.2, abs=0.05)


def test_a_camera_that_counts_nothing_agrees_with_nothing() -> None:
    """Unless nothing was there."""
    assert played(OFFLINE, [], 0.0, 100.0).counts == (0,) * 9
    assert played(OFFLINE, [], 0.0, 100.0).alike == 0.0
    assert played(Offline(10.0, ()), [], 0.0, 100.0).alike == 1.0
