"""The parts of a camera that need no camera: clocks, waits, states, sharing, gating, what is kept for the store."""

from __future__ import annotations

import math
import pickle
import threading
import time
import zlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camcount.cameras.axis import FileAxis, LiveAxis
from camcount.cameras.backoff import Backoff
from camcount.cameras.checkpoint import Place, packed, unpacked
from camcount.cameras.counted import Counted
from camcount.cameras.gate import MotionGate
from camcount.cameras.governor import Governor, Need, Thinning, shared
from camcount.cameras.inbox import Arrival, Inbox, Opened
from camcount.cameras.ledger import Ledger
from camcount.cameras.reading import Burst
from camcount.cameras.settings import CameraSettings, with_secrets
from camcount.cameras.states import TABLE, Happening, Standing, State, after
from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.events import Crossing
from camcount.frame import Frame, Image
from camcount.geometry import parse_line
from camcount.protocols import SourceInfo
from camcount.storage.counts import CountBatch, StoredEvent
from camcount.tracking.select import tracker_for
from tests.paths import tracks_at

LINE = parse_line("gate=0.5,0.0,0.5,1.0")


def frame(time_s: float, image: Image | None = None, size: tuple[int, int] = (192, 108)) -> Frame:
    """A frame with that picture."""
    render = None if image is None else (lambda w, h: image[:: size[1] // h, :: size[0] // w].copy())
    return Frame(index=round(time_s * 10), time_s=time_s, width=size[0], height=size[1], render=render)


def crossing(time_s: float) -> Crossing:
    """One person over the gate."""
    return Crossing(
        camera_id="door",
        time_s=time_s,
        track_id=1,
        label="person",
        confidence=0.9,
        reason="stayed",
        point=(1.0, 2.0),
        line="gate",
        direction="in",
    )


# ------------------------------------------------------------------------------------------------------------ states


def test_every_state_can_be_stopped_and_left_again() -> None:
    """No state is a trap: each can be stopped, and each that is at rest can be started."""
    for state in State:
        assert after(state, Happening.STOP) is State.STOPPED
    for state in (State.STOPPED, State.ENDED, State.ERROR):
        assert after(state, Happening.START) is State.CONNECTING
    assert {state for state, _ in TABLE} == set(State)


def test_what_cannot_happen_changes_nothing() -> None:
    """A stopped camera cannot freeze; the pure table raises, the shared state only says no."""
    with pytest.raises(ValueError, match="a camera that is stopped cannot have froze"):
        after(State.STOPPED, Happening.FROZE)
    standing = Standing()
    before = standing.get()
    assert not standing.happen(Happening.FROZE)
    assert standing.get() == before


# ------------------------------------------------------------------------------------------------------------- waits


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_a_bound_and_keep_some_chance(failures: int, chance: float) -> None:
    """No wait is longer than the most or shorter than what jitter leaves of the first one."""
    backoff = Backoff()
    assert backoff.first_s * (1 - backoff.jitter) <= backoff.delay_s(failures, chance) <= backoff.most_s


def test_a_wait_that_cannot_be_is_refused() -> None:
    """Zero, shrinking, or more than all left to chance."""
    for wrong in ({"first_s": 0.0}, {"factor": 0.5}, {"jitter": 1.5}, {"first_s": 9.0}):
        with pytest.raises(UsageError, match="is no back-off"):
            Backoff(**wrong)


# -------------------------------------------------------------------------------------------------------------- time


@given(
    st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0.0, 5.0), st.booleans()), min_size=2, max_size=100),
    st.floats(-1e5, 1e5),
)
def test_the_axis_never_goes_back(steps: list[tuple[float, float, bool]], set_by: float) -> None:
    """Whatever stamps, delays, reconnects and clock changes come: time only rises."""
    axis, stamp, wall, times = LiveAxis(), 0.0, 100.0, []
    for number, (step, late, again) in enumerate(steps):
        stamp, wall = stamp + step, wall + step
        if number == len(steps) // 2:
            wall += set_by
        if again:
            stamp = 0.0
            axis.connected()
        times.append(axis.at(stamp, wall + late))
    assert times == sorted(times)


def test_the_axis_is_as_smooth_as_the_stamps_and_follows_the_wall() -> None:
    """Delays of up to half a second do not show; a clock that is 1 % slow is at the wall's time after an hour."""
    chance = np.random.default_rng(4)
    axis, times, walls = LiveAxis(), [], []
    for number in range(36_000):
        wall = number / 10
        times.append(axis.at(wall * 0.99, wall + 0.5 * chance.random() ** 4))
        walls.append(wall)
    assert np.diff(times).max() < 0.35
    assert abs(times[-1] - walls[-1]) < 0.5


@pytest.mark.parametrize("by", [3600.0, -3600.0])
def test_a_clock_that_is_set_is_noticed(by: float) -> None:
    """An hour ahead becomes a gap within ten seconds; an hour back makes the axis run slower, never back."""
    axis = LiveAxis()
    for number in range(600):
        wall = number / 10
        axis.at(wall, wall)
    for number in range(600, 1200):
        wall = number / 10
        last = axis.at(wall, wall + by)
    assert axis.jumps == 1
    assert last == pytest.approx(119.9 + by if by > 0 else 59.9 + 0.9 * 60, abs=0.5)


def test_a_file_goes_on_where_its_last_pass_ended() -> None:
    """The second pass begins one frame after the first."""
    axis = FileAxis()
    assert [axis.at(0.0), axis.at(0.9)] == [0.0, 0.9]
    axis.next_pass(0.1)
    assert (axis.at(0.0), axis.passes) == (1.0, 1)


def test_what_piled_up_before_a_connection_is_passed_over() -> None:
    """A burst of old pictures ends with the first that comes at its own pace, at the latest after three seconds."""
    burst = Burst(0.0)
    held = [burst.holds(n / 10, 0.001 * n) for n in range(10)]
    assert held == [False] + [True] * 9
    assert not burst.holds(1.0, 0.11)
    assert not burst.holds(1.1, 0.1101)
    late = Burst(0.0)
    assert [late.holds(n / 10, 0.04 * n) for n in range(100)].index(False, 1) == 76


# ------------------------------------------------------------------------------------------------------------- inbox


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


# ----------------------------------------------------------------------------------------------------------- sharing


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


# ------------------------------------------------------------------------------------------------------------ gating


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


# ------------------------------------------------------------------------------------------------- what is not stored


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


def stored(events: tuple[Crossing, ...]) -> list[StoredEvent]:
    """As a store would say."""
    return [StoredEvent(n, event, datetime.now(UTC)) for n, event in enumerate(events, 1)]


def test_a_ledger_keeps_order_and_the_newest_checkpoint() -> None:
    """What failed goes before what came later, with the later checkpoint; totals tell all of it once."""
    ledger = Ledger("door")
    ledger.begin({"gate": {"in": 5, "out": 1, "by_label": {"person": {"in": 5, "out": 1}}}})
    ledger.add(CountBatch(camera_id="door", events=(crossing(1.0),), checkpoint=b"1"))
    first = ledger.send()
    ledger.add(CountBatch(camera_id="door", events=(crossing(2.0),), checkpoint=b"2"))
    ledger.failed("away")
    assert (ledger.pending, ledger.alarm, ledger.totals()["gate"]["in"]) == (2, "away", 7)
    again = ledger.send()
    assert first is not None
    assert again is not None
    assert [event.time_s for event in again.events] == [1.0, 2.0]
    assert again.checkpoint == b"2"
    ledger.sent(stored((crossing(1.0), crossing(2.0))))
    assert (ledger.pending, ledger.alarm, ledger.totals()["gate"]["in"], ledger.send()) == (0, "", 7, None)


def test_a_ledger_is_bounded_and_says_what_it_lost() -> None:
    """Beyond its bound the oldest events go, and the number is told."""
    ledger = Ledger("door", most=3)
    for n in range(5):
        ledger.add(CountBatch(camera_id="door", events=(crossing(float(n)),)))
    batch = ledger.send()
    assert batch is not None
    assert [event.time_s for event in batch.events] == [2.0, 3.0, 4.0]
    assert (ledger.lost, ledger.full) == (2, True)


# ------------------------------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_goes_on_as_if_nothing_had_happened() -> None:
    """Packed and unpacked between any two frames, a walk gives the very same event."""
    began = datetime(2026, 3, 1, tzinfo=UTC)
    given_settings = CameraSettings(source="x.mp4", lines=(LINE,), zone="Europe/Paris")

    def walked(cut: bool) -> list[str]:
        counted, found = Counted("door", given_settings, (192, 108), began), []
        for n in range(60):
            x = 40 + 2.0 * n
            box = Detections(np.array([[x - 5, 30, x + 5, 60]]), np.array([0.9]), np.array([0]), ("person",))
            found += counted.update(box, n / 10)[1]
            if cut:
                place, again = unpacked(packed(Place(began=began, index=n, time_s=n / 10), counted))
                assert place is not None
                assert again is not None
                assert (place.index, place.began) == (n, began)
                counted = again
        return [event.event_id for event in found + counted.finish(6.0)]

    assert len(walked(False)) == 1
    assert walked(True) == walked(False)


def test_another_versions_state_is_refused_and_its_place_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count begins anew at the same second 0; what is no checkpoint gives nothing."""
    place = Place(began=datetime(2026, 3, 1, tzinfo=UTC), fingerprint="x", index=4, time_s=0.4)
    monkeypatch.setattr("camcount.cameras.checkpoint.__version__", "0.0.1")
    content = packed(place, None)
    monkeypatch.undo()
    assert unpacked(content) == (place, None)
    assert unpacked(b"something else") == (None, None)
    assert unpacked(content[:30]) == (None, None)


def test_a_checkpoint_cannot_call_anything() -> None:
    """A pickle that would run a command is refused like one of another version."""

    class Command:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return __import__("os").system, ("true",)

    place = Place(began=datetime(2026, 3, 1, tzinfo=UTC))
    head = packed(place, None).split(b"\n", 2)[:2]
    assert unpacked(b"\n".join([*head, zlib.compress(pickle.dumps(Command()))]))[1] is None


# ---------------------------------------------------------------------------------------------------------- settings


def test_settings_that_cannot_be_are_refused_in_words() -> None:
    """Each with what would be right."""
    for wrong, said in (
        ({"source": ""}, "needs its source"),
        ({"max_lag_s": 0}, "max_lag_s 0 must be above 0"),
        ({"fps": -1.0}, "-1 frames per second is no rate"),
        ({"zone": "Mars/Olympus"}, "no time zone 'Mars/Olympus'"),
        ({"lines": (LINE, LINE)}, "two lines are called 'gate'"),
        ({"transport": "pigeon"}, "choose tcp or udp"),
        ({"motion_gate": "maybe"}, "none of auto, on, off"),
    ):
        with pytest.raises(UsageError, match=said):
            CameraSettings(**{"source": "x.mp4", **wrong})  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(UsageError, match="the secret NOBODY of a camera's source is not set"):
        with_secrets("rtsp://guard:${NOBODY}@gate/1", {})
