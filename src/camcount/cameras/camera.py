"""One camera: started, stopped, redrawn, asked how it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from camcount.cameras.axis import FileAxis
from camcount.cameras.checkpoint import Place, unpacked
from camcount.cameras.governor import Governor
from camcount.cameras.lately import Lately
from camcount.cameras.ledger import Counts, Ledger, Writer
from camcount.cameras.reading import Clocks
from camcount.cameras.settings import CameraSettings, check_names, with_secrets
from camcount.cameras.states import CameraState, Happening, Standing, State
from camcount.cameras.working import Memory, Working
from camcount.counting.paths import HeatMap
from camcount.errors import CamcountError, GeometryError, UsageError
from camcount.geometry import Line, Zone
from camcount.protocols import Detector, Source, Step
from camcount.video.open import source_for

MakeSource = Callable[..., Source]
"""Called as `camcount.video.open.source_for` is."""

_AGAIN_S = 3.0
_FLUSH_S = 5.0


class Camera:
    """One camera with its two threads; safe from all threads.

    Args:
        store: of counts. writer: stores them.
        detector: the model for these settings.
        secrets: what ``${NAME}`` in a source stands for. source: makes a source from an address.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        store: Counts,
        writer: Writer,
        governor: Governor,
        detector: Callable[[CameraSettings], Detector],
        *,
        secrets: Mapping[str, str] = os.environ,
        source: MakeSource = source_for,
        clocks: Clocks | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._store, self._writer, self._governor = store, writer, governor
        self._detector, self._secrets, self._source = detector, secrets, source
        self._clocks = clocks or Clocks()
        self._ledger = Ledger(name)
        writer.join(self._ledger)
        self._standing = Standing(self._clocks.wall)
        self._lock = threading.RLock()
        self._memory: Memory | None = None
        self._working: Working | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to count, where it stopped; nothing if it is at it."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopping = threading.Event()
            self._standing.happen(Happening.START)
            self._thread = threading.Thread(
                target=self._run, args=(self._stopping,), name=f"camera {self.name}", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Ends counting; waits a few seconds for what was counted to be stored, which goes on after that."""
        with self._lock:
            self._stopping.set()
            working, thread = self._working, self._thread
        if working is not None:
            working.stop()
        if thread is not None:
            thread.join(_FLUSH_S)
        self._standing.happen(Happening.STOP)
        self._writer.wake()
        self._ledger.wait_empty(_FLUSH_S)

    def close(self) -> None:
        """Stops for good."""
        self.stop()
        self._writer.leave(self._ledger)
        self._governor.forget(self.name)

    def edit(self, lines: Sequence[Line] | None = None, zones: Sequence[Zone] | None = None) -> None:
        """Counts at these lines and zones from the next frame on; what is not given stays.

        Raises:
            GeometryError: one does not fit the picture.
            UsageError: two have one name.
        """
        with self._lock:
            settings = self.settings
            lines = settings.lines if lines is None else tuple(lines)
            zones = settings.zones if zones is None else tuple(zones)
            check_names(tuple(lines), tuple(zones))
            working = self._working
            if working is not None:
                working.redraw(lines, zones)
            elif self._memory is not None and self._memory.counted is not None:
                check_shapes(lines, zones, self._memory.counted.size)
            self.settings = replace(settings, lines=tuple(lines), zones=tuple(zones))
        if self._standing.state is State.ERROR:
            self.start()

    def state(self) -> CameraState:
        """How it is."""
        state, reason, since = self._standing.get()
        shown = CameraState(name=self.name, source=self.settings.shown, state=state, reason=reason, since=since)
        working, memory, ledger = self._working, self._memory, self._ledger
        totals = {line.name: {"in": 0, "out": 0, "by_label": {}} for line in self.settings.lines}
        shown = replace(
            shown,
            totals=totals | ledger.totals(),
            pending=ledger.pending,
            lost=ledger.lost,
            alarm=ledger.alarm,
        )
        if memory is not None and memory.counted is not None:
            with self._lock:
                at_s = working.now_s() if working is not None else memory.place.time_s
                inside, coverage = memory.counted.occupancy(), memory.counted.coverage(at_s)
            shown = replace(shown, occupancy=inside, coverage=coverage)
        if working is None:
            return shown
        pace, reading = working.pace, working.reading
        return replace(
            shown,
            fps=pace.fps,
            detected_fps=pace.asked_fps,
            promise=working.promise,
            lag_s=pace.lag_s,
            dropped=working.inbox.dropped,
            connects=reading.connects,
            warnings=tuple(reading.warnings),
        )

    def heat(self) -> HeatMap | None:
        """Where objects were since the server started."""
        return self._memory.heat if self._memory is not None else None

    def last(self) -> Step | None:
        """The newest frame that was counted."""
        working = self._working
        return working.last if working is not None else None

    def lately(self) -> Lately:
        """What it saw in the last minute."""
        memory = self._memory
        return memory.lately if memory is not None else Lately()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self._count(stopping)
                return
            except (UsageError, GeometryError) as error:
                self._standing.happen(Happening.BROKE, str(error))
                return
            except CamcountError as error:
                self._standing.happen(Happening.BROKE, str(error))
            except Exception as error:  # one fault must not end a camera that runs for months
                self._standing.happen(Happening.BROKE, f"counting failed ({type(error).__name__})")
            if not stopping.wait(_AGAIN_S):
                self._standing.happen(Happening.START)

    def _count(self, stopping: threading.Event) -> None:
        if self._memory is None:
            self._memory = self._remembered()
        settings = self.settings
        working = Working(
            self.name,
            settings,
            self._memory,
            self._ledger,
            self._writer.wake,
            self._governor,
            self._standing,
            self._connect,
            lambda: self._detector(settings),
            self._lock,
            self._clocks,
        )
        with self._lock:
            self._working = working
            if stopping.is_set():
                return
            working.redraw(settings.lines, settings.zones)
        working.run()

    def _connect(self) -> Source:
        settings = self.settings
        return self._source(
            with_secrets(settings.source, self._secrets),
            camera_id=self.name,
            fps=settings.fps,
            timeout_s=settings.timeout_s,
            transport=settings.transport,
        )

    def _remembered(self) -> Memory:
        """Where it was when it was last committed, or a beginning.

        Raises:
            CamcountError: the store does not answer.
        """
        content = self._store.checkpoint(self.name)
        self._ledger.begin(self._store.totals(camera_id=self.name).get(self.name, {}))
        place, counted = unpacked(content) if content is not None else (None, None)
        mark = fingerprint(self.settings)
        if place is None:
            return Memory(Place(began=self._clocks.wall(), fingerprint=mark))
        if not mark:
            return Memory(replace(place, fingerprint=""), counted)
        if place.fingerprint == mark and counted is not None:
            return Memory(place, counted)
        if place.fingerprint == mark:  # counted again from the start, each event has the id that it had
            return Memory(Place(began=place.began, fingerprint=mark))
        if counted is not None:
            counted.finish(place.time_s)
        axis = FileAxis(offset_s=place.time_s + 1.0)
        return Memory(Place(began=place.began, fingerprint=mark, time_s=place.time_s, axis=axis), counted)


def check_shapes(lines: Sequence[Line], zones: Sequence[Zone], size: tuple[int, int]) -> None:
    """Refuses what cannot count in a picture of this size.

    Raises:
        GeometryError: which one, and why.
    """
    for line in lines:
        line.at(*size)
    for zone in zones:
        zone.at(*size)


def fingerprint(settings: CameraSettings) -> str:
    """What tells one file, and the way it is read, from another; empty of what is never the same twice."""
    if not settings.exact:
        return ""
    try:
        status = Path(settings.source.removeprefix("file://")).stat()
        stamp = f"{status.st_size} {status.st_mtime_ns}"
    except (OSError, ValueError):
        stamp = ""
    return f"{settings.source} {settings.fps} {stamp}"
