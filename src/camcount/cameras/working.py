"""The working thread of a camera: frames -> gate and governor -> detector -> tracks -> counts -> store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import inf

from camcount.cameras.asking import Asked, Asking
from camcount.cameras.axis import LiveAxis
from camcount.cameras.checkpoint import Place, packed
from camcount.cameras.counted import Counted
from camcount.cameras.gate import MotionGate
from camcount.cameras.governor import Governor, Need, Thinning
from camcount.cameras.inbox import Arrival, Failed, Inbox, Opened, PassEnded
from camcount.cameras.lately import Lately
from camcount.cameras.ledger import Ledger
from camcount.cameras.pace import Pace
from camcount.cameras.promise import Promise, promised
from camcount.cameras.reading import Clocks, FileReading, LiveReading, Reading
from camcount.cameras.settings import CameraSettings
from camcount.cameras.states import Happening, Standing, State
from camcount.cameras.watch import PictureWatch
from camcount.counting.intervals import Interval
from camcount.counting.paths import HeatMap
from camcount.detections import Detections
from camcount.errors import CamcountError, ServiceError
from camcount.events import Event
from camcount.geometry import Line, Zone
from camcount.protocols import Detector, Source, SourceInfo, Step
from camcount.storage.counts import CountBatch

_TELL_S, _SOON_S = 1.0, 0.1
_SILENT_S = 3.0
_AGAIN_S = 0.2
_HEAT_CELL, _HEAT_COLUMNS = 8, 160
_HOPELESS = 25
"""Frames in a row that the model could not answer, after which the camera is in error."""


@dataclass
class Memory:
    """What a camera knows while it is stopped, and after a restart what its checkpoint told."""

    place: Place
    counted: Counted | None = None
    heat: HeatMap | None = None
    lately: Lately = field(default_factory=Lately)


@dataclass
class Working:
    """One run of one camera, from `run` in its own thread until `stop`.

    Args:
        memory: where to go on; kept true after every frame, under ``lock``.
        wake: is called when there is something to store.
    """

    name: str
    settings: CameraSettings
    memory: Memory
    ledger: Ledger
    wake: Callable[[], None]
    governor: Governor
    standing: Standing
    connect: Callable[[], Source]
    detector: Callable[[], Detector]
    lock: threading.RLock
    clocks: Clocks = field(default_factory=Clocks)

    def __post_init__(self) -> None:
        settings = self.settings
        self.last: Step | None = None
        self.pace = Pace()
        self.stopping = threading.Event()
        self.inbox = Inbox(keeps=settings.keeps, max_age_s=settings.max_lag_s / 2)
        self.reading = self._reading()
        self._gate = MotionGate() if settings.gated else None
        self._drawn: object = None
        self._watch = PictureWatch(settings.frozen_s, settings.black_s)
        self._thinning = Thinning()
        self._events: list[Event] = []
        self._intervals: list[Interval] = []
        self._changed = False
        self._told = self._came = self.clocks.steady()
        self._idled_s, self._fps = -inf, inf
        self._dropped = self._unanswered = 0
        self._ended = False

    @property
    def began(self) -> datetime:
        """When second 0 of the axis was."""
        return self.memory.place.began

    @property
    def promise(self) -> Promise | None:
        """What is not missed for want of frames, also while others need the machine; None before it is connected."""
        given = inf if self.settings.exact else min(self.settings.least_fps, self._thinning.rate)
        return promised(min(given, self._fps)) if self.reading.connects else None

    def now_s(self) -> float:
        """This moment on the axis of a camera that time does not wait for; the last frame's of a file."""
        if self.settings.keeps:
            return self.memory.place.time_s
        return (self.clocks.wall() - self.began).total_seconds()

    def run(self) -> None:
        """Counts until it is stopped, or the source has ended.

        Raises:
            CamcountError: the model cannot be had, a file cannot be read, or a line does not fit the picture.
        """
        # a model that remembers, and a gate, must have seen every frame before the next: exact, or not at all
        most = 1 if self.settings.keeps and self._gate is not None else self.settings.in_flight
        asking = Asking(self.detector(), most, self.inbox.poke)
        self.reading.start()
        try:
            while not self.stopping.is_set() and not self._ended:
                self._turn(asking)
        finally:
            self.reading.close()
            asking.close()
            self._tell(now=True)

    def stop(self) -> None:
        """Asks the thread to end."""
        self.stopping.set()
        self.reading.close(0.0)

    def redraw(self, lines: Sequence[Line], zones: Sequence[Zone]) -> None:
        """Counts at these from the next frame on.

        Raises:
            GeometryError: one does not fit the picture.
        """
        with self.lock:
            self.settings = replace(self.settings, lines=tuple(lines), zones=tuple(zones))
            if self.memory.counted is not None:
                self._events += self.memory.counted.redraw(lines, zones, self.memory.place.time_s)
                self._changed = True

    # -------------------------------------------------------------------------------------- one turn, step by step

    def _turn(self, asking: Asking) -> None:
        """Takes what came, counts what is back, tells what is new."""
        if asking.full or (self.settings.keeps and self.ledger.full):
            if not asking.ready():
                self.inbox.wait(_SOON_S)
        else:
            self._take(asking)
        while asking.ready() and not self.stopping.is_set():
            self._count(asking, asking.take())
        self._idle()
        self._tell()
        self._govern()

    def _take(self, asking: Asking) -> None:
        item = self.inbox.take(_SOON_S, self.clocks.steady())
        if isinstance(item, Arrival):
            self._came = self.clocks.steady()
            self._arrived(asking, item)
        elif isinstance(item, Opened):
            self._opened(item.info)
        elif isinstance(item, PassEnded):
            self._pass_ended(asking, item)
        elif isinstance(item, Failed):
            raise ServiceError(item.reason)

    def _opened(self, info: SourceInfo) -> None:
        size = info.width, info.height
        self._fps = info.fps or (0.0 if self.settings.exact else inf)  # of a file that does not say, nothing is known
        self._watch.reset()
        with self.lock:
            counted, settings = self.memory.counted, self.settings
            if counted is None:
                self.memory.counted = Counted(self.name, settings, size, self.began)
            elif counted.size != size:
                self._events += counted.resize(size, self.memory.place.time_s)
            if self.memory.heat is None or self.memory.heat.size != size:
                cell = max(_HEAT_CELL, size[0] // _HEAT_COLUMNS)
                self.memory.heat = HeatMap(*size, cell, anchor=settings.anchor)
            self._changed = True

    def _arrived(self, asking: Asking, arrival: Arrival) -> None:
        """Asks about a frame, or not: where nothing can be seen, nothing moves, or others need the machine more."""
        if not self.settings.keeps and not self._sees(arrival):
            return
        if self._gate is not None and not self._wanted(self._gate, arrival):
            asking.put(arrival, ask=False)
            return
        self.pace.wanted()
        if self.settings.keeps or self._thinning.passes(arrival.frame.time_s):
            asking.put(arrival)

    def _sees(self, arrival: Arrival) -> bool:
        verdict = self._watch.look(arrival.frame)
        if verdict is State.RUNNING:
            if self.standing.state in (State.FROZEN, State.BLACK):
                self.standing.happen(Happening.MOVED)
            return True
        if verdict is not self.standing.state:
            frozen = verdict is State.FROZEN
            seconds = self.settings.frozen_s if frozen else self.settings.black_s
            said = f"the {'same' if frozen else 'black'} picture for {seconds:g} s"
            self.standing.happen(Happening.FROZE if frozen else Happening.DARKENED, said)
        return False

    def _wanted(self, gate: MotionGate, arrival: Arrival) -> bool:
        counted = self.memory.counted
        assert counted is not None
        drawn = counted.lines, counted.zones, counted.size
        if drawn != self._drawn:
            self._drawn = drawn
            gate.redraw(*drawn)
        return gate.wants(arrival.frame)

    def _count(self, asking: Asking, asked: Asked) -> None:
        """One frame's detections to events."""
        try:
            found = asked.answer.result() if asked.answer is not None else Detections.empty(asking.labels)
        except CancelledError:
            return
        except CamcountError as error:
            self._without_answer(asking, asked, error)
            return
        if self._unanswered >= _HOPELESS:
            self.standing.happen(Happening.MOVED)
        self._unanswered = 0
        frame = asked.arrival.frame
        with self.lock:
            counted = self.memory.counted
            assert counted is not None
            tracks, events = counted.update(found, frame.time_s)
            if self.memory.heat is not None:
                self.memory.heat.update(tracks, frame.time_s)
            self._events += events
            self._intervals += counted.closed(frame.time_s)
            self.memory.place = replace(self.memory.place, index=asked.arrival.index, time_s=frame.time_s)
            self._changed = True
        self.memory.lately.add(tracks, frame.time_s, (frame.width, frame.height))
        if self._gate is not None and asked.answer is not None:
            self._gate.followed(tracks, frame.time_s)
        self.last = Step(frame, found, tracks, tuple(events))
        lag_s = 0.0 if self.settings.keeps else self.clocks.steady() - asked.arrival.at
        self.pace.counted(lag_s, asked=asked.answer is not None)

    def _without_answer(self, asking: Asking, asked: Asked, error: CamcountError) -> None:
        """A file waits for the model; a camera goes on, and that moment was not seen."""
        self._unanswered += 1
        if self._unanswered == _HOPELESS:
            self.standing.happen(Happening.BROKE, str(error))
        if self.settings.keeps and not self.stopping.wait(_AGAIN_S):
            asking.again(asked)

    def _pass_ended(self, asking: Asking, item: PassEnded) -> None:
        while len(asking) and not self.stopping.is_set():
            if asking.ready():
                self._count(asking, asking.take())
            else:
                self.inbox.wait(_SOON_S)
        counted = self.memory.counted
        if self.stopping.is_set() or counted is None:
            return
        with self.lock:
            place = self.memory.place
            self._events += counted.finish(place.time_s)
            self._changed = True
            if item.last:
                self._intervals += counted.rest()
                self._ended = True
            else:
                self.memory.place = replace(place, axis=item.axis, index=-1)
        if item.last:
            self._tell(now=True)
            while not self.ledger.wait_empty(_SOON_S) and not self.stopping.is_set():
                self.wake()
            self.standing.happen(Happening.FINISHED, "the file was counted to its end")

    # ------------------------------------------------------------------------------------------------ now and then

    def _idle(self) -> None:
        """Says so when a live camera is silent, and lets its minutes go by."""
        silent_s = self.clocks.steady() - self._came
        if self.settings.keeps or silent_s < _SILENT_S:
            return
        if self.standing.state is State.RUNNING:
            self.standing.happen(Happening.FROZE, f"no picture for {_SILENT_S:g} s")
        now_s, counted = self.now_s(), self.memory.counted
        if counted is None or now_s < self._idled_s + 1.0:
            return
        self._idled_s = now_s
        with self.lock:
            self._events += counted.idle(now_s)
            intervals = counted.closed(now_s)
            self._intervals += intervals
            self._changed = self._changed or bool(intervals)

    def _tell(self, *, now: bool = False) -> None:
        """Hands over what is new, with the state that led to it, to be stored in one transaction."""
        since = self.clocks.steady() - self._told
        if not now and since < (_SOON_S if self._events or self._intervals else _TELL_S):
            return
        with self.lock:
            counted = self.memory.counted
            if counted is None or not (self._events or self._intervals or self._changed):
                return
            self._told = self.clocks.steady()
            batch = CountBatch(
                camera_id=self.name,
                events=tuple(self._events),
                intervals=tuple(self._intervals),
                occupancy=counted.occupancy(),
                checkpoint=packed(self.memory.place, counted),
            )
            self._events, self._intervals, self._changed = [], [], False
            self.ledger.add(batch)
        self.wake()

    def _govern(self) -> None:
        now = self.clocks.steady()
        if not self.pace.second(now) or self.settings.keeps:
            return
        pace, settings = self.pace, self.settings
        dropped, self._dropped = self.inbox.dropped - self._dropped, self.inbox.dropped
        need = Need(
            wanted=pace.wanted_fps,
            served=pace.asked_fps,
            short=dropped > 0,
            least=settings.least_fps,
            priority=settings.priority,
        )
        self._thinning.rate = self.governor.tell(self.name, need, now)

    def _reading(self) -> Reading:
        place, settings = self.memory.place, self.settings
        if settings.exact:
            return FileReading(
                self.name,
                self.connect,
                self.inbox,
                self.standing,
                self.clocks,
                axis=replace(place.axis),
                index=place.index,
                loop=settings.loop,
                real_time=settings.real_time,
                began=place.began,
            )
        return LiveReading(
            self.name,
            self.connect,
            self.inbox,
            self.standing,
            self.clocks,
            began=place.began,
            axis=LiveAxis(last_s=place.time_s),
            backoff=settings.backoff,
        )
