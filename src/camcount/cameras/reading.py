"""The reading thread of a camera: connects, reads, dates frames, and connects again."""

from __future__ import annotations

import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from camcount.cameras.axis import JUMP_S, FileAxis, LiveAxis
from camcount.cameras.backoff import Backoff
from camcount.cameras.inbox import Arrival, Failed, Inbox, Opened, PassEnded
from camcount.cameras.states import Happening, Standing
from camcount.errors import CamcountError
from camcount.frame import Frame
from camcount.protocols import Source, SourceInfo

_STEADY_S = 10.0
"""A connection that held for so long was a good one: the next wait is short again."""
_KEPT = 5


@dataclass
class Clocks:
    """Where time comes from: the wall, aware, and a steady one in seconds."""

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    steady: Callable[[], float] = time.monotonic


@dataclass
class Reading(ABC):
    """What both kinds of reading threads share: one source at a time, closed from outside at any moment.

    Args:
        connect: makes the source, not yet open.
    """

    name: str
    connect: Callable[[], Source]
    inbox: Inbox
    standing: Standing
    clocks: Clocks = field(default_factory=Clocks)
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT))
    connects: int = 0

    def __post_init__(self) -> None:
        self._ending = threading.Event()
        self._source: Source | None = None
        self._thread = threading.Thread(target=self._guarded, name=f"read {self.name}", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self, patience_s: float = 1.0) -> None:
        """Ends the thread; one that hangs in the network code ends with its time-out."""
        self._ending.set()
        self.inbox.close()
        source = self._source
        if source is not None:
            source.close()
        if self._thread.is_alive():
            self._thread.join(patience_s)

    def _open(self) -> tuple[Source, SourceInfo]:
        source = self.connect()
        self._source = source
        info = source.open()
        self.connects += 1
        return source, info

    def _shut(self, source: Source) -> None:
        source.close()
        self.warnings.extend(source.warnings[-_KEPT:])
        self._source = None

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:  # whatever it is, the camera must say so and not fall silent
            said = str(error) if isinstance(error, CamcountError) else f"reading failed ({type(error).__name__})"
            self.inbox.put(Failed(said))

    @abstractmethod
    def _run(self) -> None:
        """Reads until it is told to end."""


class Burst:
    """The pictures that had piled up before a connection stood: they come all at once and are old."""

    def __init__(self, began: float, most_s: float = 3.0) -> None:
        self._until = began + most_s
        self._last: tuple[float, float] | None = None

    def holds(self, stamp_s: float, now: float) -> bool:
        """Whether this frame came faster than frames are taken; never later than three seconds after the first."""
        last, self._last = self._last, (stamp_s, now)
        if last is None or now > self._until:
            return False
        if now - last[1] < 0.5 * (stamp_s - last[0]):
            return True
        self._until = now  # the first one at its own pace ends it
        return False


@dataclass
class LiveReading(Reading):
    """Of a camera: it comes and goes, and time does not wait for it."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    axis: LiveAxis = field(default_factory=LiveAxis)
    backoff: Backoff = field(default_factory=Backoff)
    chance: Callable[[], float] = random.random

    def now_s(self) -> float:
        """This moment on the axis."""
        return (self.clocks.wall() - self.began).total_seconds()

    def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            failures = self._connection(failures)
            if self._ending.wait(self.backoff.delay_s(failures, self.chance())):
                return

    def _connection(self, failures: int) -> int:
        """One connection from its beginning to its end; returns the failures in a row."""
        try:
            source, info = self._open()
        except CamcountError as error:
            self.standing.happen(Happening.FAILED, str(error))
            return failures + 1
        began = self.clocks.steady()
        self.axis.connected()
        self.standing.happen(Happening.OPENED)
        if self.inbox.put(Opened(info)):
            self._read(source, info)
        self._shut(source)
        if not self._ending.is_set():
            self.standing.happen(Happening.LOST, self.warnings[-1] if self.warnings else "the stream ended")
        return 1 if self.clocks.steady() - began >= _STEADY_S else failures + 1

    def _read(self, source: Source, info: SourceInfo) -> None:
        began, jumps = self.clocks.steady(), self.axis.jumps
        burst = Burst(began)
        while (frame := source.read()) is not None:
            if not info.live and self._ending.wait(max(0.0, began + frame.time_s - self.clocks.steady())):
                return
            if burst.holds(frame.time_s, self.clocks.steady()):
                self.axis.connected()
                continue
            time_s = self.axis.at(frame.time_s, self.now_s())
            if self.axis.jumps > jumps:
                jumps = self.axis.jumps
                self.warnings.append(f"the clock was set at {self.clocks.wall():%Y-%m-%d %H:%M:%S}")
            frame = replace(frame, time_s=time_s)
            if not self.inbox.put(Arrival(frame, frame.index, self.clocks.steady())):
                return


@dataclass
class FileReading(Reading):
    """Of a file or a scene: each frame once, pass after pass, from the frame after ``index`` on.

    Looped in real time it stands for a live camera: it begins anew now, wherever it was stopped, and each pass
    follows the clock; one that is more than `JUMP_S` late has missed that time.
    """

    axis: FileAxis = field(default_factory=FileAxis)
    index: int = -1
    loop: bool = False
    real_time: bool = False
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float | None = None

    def _run(self) -> None:
        plays_live = self.loop and self.real_time
        after, first = -1 if plays_live else self.index, True
        while not self._ending.is_set():
            source, info = self._open()
            if plays_live:
                self._follow_clock(late_at_all=first)
            first = False
            self.standing.happen(Happening.OPENED)
            if not self.inbox.put(Opened(info)):
                return
            step_s = self._pass(source, info, after)
            self._shut(source)
            if step_s is None:
                return
            if self.loop:
                self.axis.next_pass(step_s)
            if not self.inbox.put(PassEnded(replace(self.axis), last=not self.loop)) or not self.loop:
                return
            after = -1

    def _follow_clock(self, *, late_at_all: bool) -> None:
        """Dates the pass that begins, and says when on the steady clock it began."""
        now_s = (self.clocks.wall() - self.began).total_seconds()
        late_s = now_s - self.axis.offset_s
        if late_s > (0 if late_at_all else JUMP_S):
            self.axis.offset_s, late_s = now_s, 0.0
        self._began = self.clocks.steady() - (late_s if abs(late_s) <= JUMP_S else 0.0)

    def _pass(self, source: Source, info: SourceInfo, after: int) -> float | None:
        """All frames after one; what the last one lasts, or None if nobody wants more."""
        began, self._began = self._began, None
        last: Frame | None = None
        while (frame := source.read()) is not None:
            last = frame
            time_s = self.axis.at(frame.time_s)
            if frame.index <= after:
                continue
            now = self.clocks.steady()
            began = now - frame.time_s if began is None else began
            if self.real_time and self._ending.wait(max(0.0, began + frame.time_s - now)):
                return None
            if not self.inbox.put(Arrival(replace(frame, time_s=time_s), frame.index, self.clocks.steady())):
                return None
        if self._ending.is_set() or last is None:
            return None
        return 1 / info.fps if info.fps else 0.04
