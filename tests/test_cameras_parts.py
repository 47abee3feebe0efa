"""The parts between reading and counting that need no camera: the inbox, sharing a busy machine, gating."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.cameras.gate import MotionGate
from camcount.cameras.governor import Governor, Need, Thinning, shared
from camcount.cameras.inbox import Arrival, Inbox, Opened
from camcount.detections import Detections
from camcount.frame import Frame, Image
from camcount.geometry import parse_line
from camcount.protocols import SourceInfo
from camcount.tracking.select import tracker_for
from tests.paths import tracks_at

LINE = parse_line("gate=0.5,0.0,0.5,1.0")


def frame(time_s: float, image: Image | None = None, size: tuple[int, int] = (192, 108)) -> Frame:
    """A frame with that picture."""
    render = None if image is None else (lambda w, h: image[:: size[1] // h, :: size[0] // w].copy())
    return Frame(index=round(time_s * 10), time_s=time_s, width=size[0], height=size[1], render=render)


# -------------------------------------------------------------------------------------------------------------- inbox


def test_a_camera_drops_the_oldest_and_a_file_waits() -> None:
    """The newest eight are left of twenty, news in between is kept; a file's sender is held until there is room."""
    live, opened = Inbox(keeps=False, max_age_s=100), Opened(SourceInfo(uri="x", width=1, height=1))
    assert live.put(opened)
    assert all(live.put(Arrival(frame(n), n, float(n))) for n in range(20))
    assert live.take(0, 20) is opened
    kept = [live.take(0, 20) for _ in range(9)]
    assert [item.index for item in kept if isinstance(item, Arrival)] == list(range(12, 20))
    assert (kept[-1], live.dropped) == (None, 12)
    file = Inbox(2, keeps=True)
    sender = threading.Thread(target=lambda: [file.put(Arrival(frame(n), n, 0.0)) for n in range(5)])
    sender.start()
    taken = [file.take(1, 1e9) for _ in range(5)]
    sender.join()
    assert [item.index for item in taken if isinstance(item, Arrival)] == list(range(5))
    assert file.dropped == 0


def test_what_is_too_old_goes_but_never_the_newest() -> None:
    """A worker that comes back late finds the newest frame only."""
    inbox = Inbox(keeps=False, max_age_s=0.5)
    for n in range(5):
        inbox.put(Arrival(frame(n / 10), n, n / 10))
    item = inbox.take(0, 10.0)
    assert isinstance(item, Arrival)
    assert (item.index, inbox.dropped) == (4, 4)


def test_closing_releases_a_sender_that_waits() -> None:
    """A full box does not keep a thread."""
    inbox = Inbox(1, keeps=True)
    inbox.put(Arrival(frame(0), 0, 0.0))
    said: list[bool] = []
    sender = threading.Thread(target=lambda: said.append(inbox.put(Arrival(frame(1), 1, 0.0))))
    sender.start()
    time.sleep(0.05)
    inbox.close()
    sender.join(2)
    assert said == [False]


# ------------------------------------------------------------------------------------------------------------ sharing


@given(
    st.floats(0, 500),
    st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.builds(
            Need,
            wanted=st.floats(0, 60),
            served=st.just(0.0),
            short=st.just(True),
            least=st.floats(1, 10),
            priority=st.floats(0.1, 10),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_nobody_gets_more_than_wanted_and_nothing_is_left_over(capacity: float, needs: dict[str, Need]) -> None:
    """All is shared out, up to what is wanted; where there is enough for everyone's least, everyone has it."""
    given_to = shared(capacity, needs)
    assert sum(given_to.values()) == pytest.approx(min(capacity, sum(n.wanted for n in needs.values())), abs=1e-5)
    assert all(given_to[name] <= need.wanted + 1e-6 for name, need in needs.items())
    if capacity >= sum(min(n.least, n.wanted) for n in needs.values()):
        assert all(given_to[name] >= min(n.least, n.wanted) - 1e-6 for name, n in needs.items())


def test_twice_the_priority_is_twice_the_frames() -> None:
    """Beyond the least, which all have alike."""
    one = Need(wanted=100.0, served=10.0, short=True, least=5.0)
    given_to = shared(40, {"a": replace(one, priority=2), "b": one})
    assert given_to == {"a": pytest.approx(25), "b": pytest.approx(15)}


def test_nobody_is_held_back_until_somebody_is_short() -> None:
    """Without shortage there is no limit; with it, what came back is shared; after it, the limit rises and goes."""
    governor, fine = Governor(), Need(wanted=25, served=25, short=False, least=5)
    assert math.isinf(governor.tell("a", fine, 0.0))
    limit = governor.tell("a", Need(wanted=25, served=10, short=True, least=5), 1.0)
    assert limit == pytest.approx(10)
    limits = [governor.tell("a", Need(wanted=25, served=10, short=False, least=5), 2.0 + n) for n in range(12)]
    assert limits[0] == pytest.approx(11)
    assert math.isinf(limits[-1])


def test_a_machine_that_did_nothing_for_a_while_is_tried_again() -> None:
    """A second in which no answer came, such as while the model loads, must not hold a camera back for good."""
    governor = Governor()
    governor.tell("a", Need(wanted=25, served=0, short=True, least=5), 0.0)
    limits = [governor.tell("a", Need(wanted=25, served=1, short=False, least=5), 1.0 + n) for n in range(40)]
    assert limits[0] >= 1.0
    assert math.isinf(limits[-1])


@pytest.mark.parametrize("rate", [1.0, 7.0, 10.0, 24.0])
def test_thinning_keeps_its_rate_and_is_even(rate: float) -> None:
    """Of 25 frames per second so many pass, no gap longer than one and a half of theirs and a frame."""
    thinning = Thinning()
    thinning.rate = rate
    passed = [n / 25 for n in range(2500) if thinning.passes(n / 25)]
    assert len(passed) / 100 == pytest.approx(rate, rel=0.05)
    assert np.diff(passed).max() <= 1.5 / rate + 0.04 + 1e-6


# ------------------------------------------------------------------------------------------------------------- gating


def noisy(chance: np.random.Generator, at: tuple[int, int] | None = None, light: int = 90) -> Image:
    """A floor with a sensor's noise and, if told, a small person on it."""
    image = chance.integers(light - 4, light + 4, (108, 192, 3), np.uint8)
    if at is not None:
        image[at[1] : at[1] + 12, at[0] : at[0] + 6] = 200
    return image


def test_the_gate_is_shut_where_nothing_moves_and_open_while_something_does() -> None:
    """Of a still floor one look in two seconds is left; each frame of a walk is looked at; light does not open it."""
    chance, gate = np.random.default_rng(3), MotionGate((LINE,), (), (192, 108))
    still = [gate.wants(frame(n / 10, noisy(chance))) for n in range(300)]
    assert sum(still[50:]) <= 14
    walk = [gate.wants(frame(30 + n / 10, noisy(chance, at=(n, 50)))) for n in range(180)]
    assert all(walk)
    for n in range(150):
        gate.wants(frame(48 + n / 10, noisy(chance)))
    brighter = [gate.wants(frame(63 + n / 10, noisy(chance, light=96))) for n in range(100)]
    assert sum(brighter) <= 30


def test_tracks_that_move_keep_the_gate_open_and_those_at_rest_do_not() -> None:
    """A track under way holds it open without any change of the picture; one that stands for long lets it shut."""
    chance, gate = np.random.default_rng(3), MotionGate((LINE,), (), (192, 108))
    picture = noisy(chance)
    for n in range(100):
        gate.wants(frame(n / 10, picture))
    moving = []
    for n in range(100, 200):
        gate.followed(tracks_at({1: (n, 50.0)}), n / 10)
        moving.append(gate.wants(frame(n / 10, picture)))
    assert all(moving)
    resting = []
    for n in range(200, 400):
        gate.followed(tracks_at({1: (200.0, 50.0)}), n / 10)
        resting.append(gate.wants(frame(n / 10, picture)))
    assert sum(resting[100:]) <= 11


def test_somebody_who_stands_keeps_a_track_and_does_not_keep_the_gate_open() -> None:
    """Looked at once a second they are the same to the tracker all along, and the model rests in between."""
    gate, tracker, picture = (
        MotionGate((LINE,), (), (192, 108)),
        tracker_for("camcount"),
        noisy(np.random.default_rng(3)),
    )
    box = np.array([[50.0, 40.0, 70.0, 90.0]], np.float32)
    there = Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32), ("person",))
    wanted, ids = [], set()
    for n in range(600):
        found = gate.wants(frame(n / 10, picture))
        tracks = tracker.update(there if found else Detections.empty(("person",)), n / 10)
        if found:
            gate.followed(tracks, n / 10)
        wanted.append(found)
        ids |= set(tracks.track_id.tolist())
    assert len(ids) == 1
    assert sum(wanted[100:]) <= 51
