"""What of a camera outlives it: what waits for the store, checkpoints, settings."""

from __future__ import annotations

import pickle
import zlib
from datetime import UTC, datetime

import numpy as np
import pytest

from camcount.cameras.checkpoint import Place, packed, unpacked
from camcount.cameras.counted import Counted
from camcount.cameras.ledger import Ledger
from camcount.cameras.settings import CameraSettings, with_secrets
from camcount.detections import Detections
from camcount.errors import UsageError
from camcount.events import Crossing
from camcount.geometry import parse_line
from camcount.storage.counts import CountBatch, StoredEvent

LINE = parse_line("gate=0.5,0.0,0.5,1.0")


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


# ------------------------------------------------------------------------------------------------- what is not stored


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


# -------------------------------------------------------------------------------------------------------- checkpoints


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


# ----------------------------------------------------------------------------------------------------------- settings


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
