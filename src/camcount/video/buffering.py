"""Between a source and its reader: decoding ahead in a thread, and thinning by time stamp."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import replace
from typing import Literal

from camcount.errors import UsageError
from camcount.frame import Frame
from camcount.protocols import Source, SourceInfo

Policy = Literal["block", "drop-oldest"]

_JOIN_S = 1.0


class ReadAhead:
    """A source that reads another one ahead in a thread of its own, into at most ``capacity`` frames.

    ``policy`` says what happens when the reader is slower: ``block`` makes the source wait (nothing is lost:
    right for files), ``drop-oldest`` lets the oldest waiting frame go and counts it in ``dropped`` (the lag
    stays bounded: right for cameras). ``None`` chooses by whether the source is live.

    An error in the inner source reaches the reader after the frames that came before it, once. ``close`` releases
    a waiting reader at once and ends the thread; a camera that has gone silent keeps the thread, not the
    caller, for at most the source's own time-out.
    """

    def __init__(self, source: Source, *, capacity: int = 8, policy: Policy | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"a buffer of {capacity} frames holds nothing: capacity must be 1 or more")
        self.dropped = 0
        self.warnings = source.warnings
        self._source = source
        self._capacity = capacity
        self._policy: Policy | None = policy
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def policy(self) -> Policy | None:
        """The policy in force; ``None`` until the source is open, if it was left to choose."""
        return self._policy

    def open(self) -> SourceInfo:
        """Opens the inner source and begins to read it."""
        info = self._source.open()
        if self._policy is None:
            self._policy = "drop-oldest" if info.live else "block"
        with self._changed:
            if not self._closed:
                self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
                self._thread.start()
        return info

    def read(self) -> Frame | None:
        """The next frame; waits for it."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._ended or self._closed or self._thread is None)
            if self._closed:
                return None
            if self._frames:
                frame = self._frames.popleft()
                self._changed.notify_all()
                return frame
            error, self._error = self._error, None
        if error is not None:
            raise error
        return None

    def close(self) -> None:
        """Ends the reading and lets the buffered frames go."""
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()
        self._source.close()
        # bounded: a camera that hangs inside the network code would otherwise hold its reader's Ctrl-C
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def _run(self) -> None:
        try:
            while (frame := self._source.read()) is not None and self._put(frame):
                pass
        except BaseException as error:  # whatever it is, it belongs to the reader
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, frame: Frame) -> bool:
        """Whether more is wanted."""
        with self._changed:
            if self._policy == "block":
                self._changed.wait_for(lambda: len(self._frames) < self._capacity or self._closed)
            elif len(self._frames) == self._capacity:
                self._frames.popleft()
                self.dropped += 1
            if self._closed:
                return False
            self._frames.append(frame)
            self._changed.notify_all()
            return True


class AtRate:
    """A source that lets at most ``fps`` frames per second of another one through, evenly, by time stamp.

    Time is cut into slots of ``1 / fps`` seconds that start a quarter of a slot early, so that a stamp that
    jitters about its slot's beginning stays in it; the first frame of each slot passes. Frames keep their
    index, and those that do not pass are never converted.

    Raises:
        UsageError: ``fps`` is not a positive number.
    """

    def __init__(self, source: Source, fps: float) -> None:
        if not (fps > 0 and math.isfinite(fps)):
            raise UsageError(f"{fps:g} frames per second is no rate: give a number above 0")
        self.warnings = source.warnings
        self._source = source
        self._fps = fps
        self._slot = -1
        self._start_s: float | None = None

    def open(self) -> SourceInfo:
        """Opens the inner source; ``fps`` is the lower of the two rates, ``frames`` still counts all indices."""
        info = self._source.open()
        return replace(info, fps=min(self._fps, info.fps) if info.fps else self._fps)

    def read(self) -> Frame | None:
        """The first frame of the next slot that has one."""
        while (frame := self._source.read()) is not None:
            if self._start_s is None:
                self._start_s = frame.time_s
            slot = math.floor((frame.time_s - self._start_s) * self._fps + 0.25)
            if slot > self._slot:
                self._slot = slot
                return frame
        return None

    def close(self) -> None:
        """Closes the inner source."""
        self._source.close()
