"""What a camera is doing, as a table: state and happening to the next state."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from camcount.cameras.promise import Promise


class State(StrEnum):
    """What a camera is doing."""

    CONNECTING = "connecting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    FROZEN = "frozen"
    BLACK = "black"
    STOPPED = "stopped"
    ENDED = "ended"
    ERROR = "error"


class Happening(StrEnum):
    """What can happen to it."""

    START = "start"
    OPENED = "opened"
    FAILED = "failed"
    LOST = "lost"
    FROZE = "froze"
    DARKENED = "darkened"
    MOVED = "moved"
    FINISHED = "finished"
    BROKE = "broke"
    STOP = "stop"


_CONNECTED = (State.RUNNING, State.FROZEN, State.BLACK)
_SEEKING = (State.CONNECTING, State.RECONNECTING)

TABLE: dict[tuple[State, Happening], State] = {
    **{(state, Happening.START): State.CONNECTING for state in (State.STOPPED, State.ENDED, State.ERROR)},
    **{(state, Happening.OPENED): State.RUNNING for state in _SEEKING},
    **{(state, Happening.FAILED): State.RECONNECTING for state in _SEEKING},
    **{(state, Happening.LOST): State.RECONNECTING for state in (*_CONNECTED, State.ERROR)},
    **{(state, Happening.FROZE): State.FROZEN for state in _CONNECTED},
    **{(state, Happening.DARKENED): State.BLACK for state in _CONNECTED},
    **{(state, Happening.MOVED): State.RUNNING for state in (*_CONNECTED, State.ERROR)},
    **{(state, Happening.FINISHED): State.ENDED for state in _CONNECTED},
    **{(state, Happening.BROKE): State.ERROR for state in State if state is not State.STOPPED},
    **{(state, Happening.STOP): State.STOPPED for state in State},
}
"""All that may happen; anything else is a mistake of the program."""


def after(state: State, happening: Happening) -> State:
    """The next state.

    Raises:
        ValueError: that cannot happen in this state.
    """
    try:
        return TABLE[state, happening]
    except KeyError:
        raise ValueError(f"a camera that is {state} cannot have {happening}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraState:
    """One camera as it stands.

    Attributes:
        state, reason, since: what it is doing, why, and since when.
        source: its address without secrets.
        fps: frames counted per second, lately.
        detected_fps: frames per second that the model was asked about; less where nothing moved.
        promise: what is not missed for want of frames even while other cameras need the machine; None where nothing
            can be said.
        lag_s: from the arrival of a frame to its count, the longest of the last second; 0 of a file, but for one
            that is looped in real time.
        coverage: share of the time since it first started that was seen, 0..1.
        dropped: frames let go because the machine was too slow.
        totals: line -> ``in``, ``out`` and ``by_label``, since it first started.
        occupancy: zone -> how many are inside now.
        pending: events counted and not stored yet; ``lost`` those that could not be kept until they were.
        alarm: what is wrong with storing them; empty if nothing is.
        connects: how often it was connected.
        warnings: the last remarks about its source.
    """

    name: str
    source: str = ""
    state: State = State.STOPPED
    reason: str = ""
    since: datetime
    fps: float = 0.0
    detected_fps: float = 0.0
    promise: Promise | None = None
    lag_s: float = 0.0
    coverage: float = 0.0
    dropped: int = 0
    totals: dict[str, Any] = field(default_factory=dict)
    occupancy: dict[str, int] = field(default_factory=dict)
    pending: int = 0
    lost: int = 0
    alarm: str = ""
    connects: int = 0
    warnings: tuple[str, ...] = ()


class Standing:
    """The state of one camera, told by several threads."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._state, self._reason, self._since = State.STOPPED, "", clock()

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    def get(self) -> tuple[State, str, datetime]:
        """State, reason, and since when."""
        with self._lock:
            return self._state, self._reason, self._since

    def happen(self, happening: Happening, reason: str = "") -> bool:
        """Takes note; False where it cannot happen in this state, which two threads may find out too late."""
        with self._lock:
            if (self._state, happening) not in TABLE:
                return False
            state = after(self._state, happening)
            if state is not self._state:
                self._since = self._clock()
            self._state, self._reason = state, reason
            return True
